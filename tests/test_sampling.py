import math

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from specdec_lib.sampling import (
    Sampling,
    SeededChance,
    acceptance_probabilities,
    residual_distribution,
    verify,
)


class ScriptedChance:
    """Decides as told, and keeps the distribution that the next token is drawn from."""

    def __init__(self, decisions):
        self.decisions = decisions

    def accept(self, probabilities):
        self.probabilities = probabilities
        return torch.tensor(self.decisions, dtype=torch.bool)

    def draw(self, distribution):
        self.distribution = distribution
        return distribution.argmax(-1, keepdim=True)


def random_logits(rows=6, vocab=40, seed=0, dtype=torch.float32):
    return 3 * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 7, 40, 1000])
@pytest.mark.parametrize("top_p", [None, 0.05, 0.8, 1.0])
def test_distribution_is_that_of_transformers_processors(temperature, top_k, top_p):
    logits = random_logits()
    expected = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k is not None:
        expected = TopKLogitsWarper(top_k)(None, expected)
    if top_p is not None:
        expected = TopPLogitsWarper(top_p)(None, expected)
    torch.testing.assert_close(Sampling(temperature, top_k, top_p).distribution(logits), expected.softmax(-1))


def test_distribution_by_hand():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert Sampling(1.0).distribution(logits)[0].tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05])
    assert Sampling(0.5).distribution(logits)[0].tolist() == pytest.approx(
        [x / 0.365 for x in (0.25, 0.09, 0.0225, 0.0025)]
    )
    assert Sampling(1.0, top_k=2).distribution(logits)[0].tolist() == pytest.approx([0.625, 0.375, 0, 0])
    assert Sampling(1.0, top_p=0.7).distribution(logits)[0].tolist() == pytest.approx([0.625, 0.375, 0, 0])
    assert Sampling(1.0, top_p=0.85).distribution(logits)[0].tolist() == pytest.approx(
        [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]
    )


def test_distribution_does_not_change_the_logits():
    logits = random_logits()
    before = logits.clone()
    for sampling in (Sampling(), Sampling(0.5), Sampling(1.0, 3, 0.5)):
        sampling.distribution(logits)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_temperature_zero_is_one_hot(dtype):
    logits = random_logits(50).to(dtype)
    rows = Sampling(0, top_k=3, top_p=0.5).distribution(logits)
    assert torch.equal(rows.argmax(-1), logits.argmax(-1))
    assert set(rows.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(rows.sum(-1), torch.ones(50))


def test_temperature_zero_takes_one_of_equal_tokens():
    row = Sampling().distribution(torch.tensor([[1.0, 5.0, 5.0]]))[0]
    assert sorted(row.tolist()) == [0, 0, 1]


@pytest.mark.parametrize("temperature", [1e-6, 1e-30, 1e-40, 1e-300])
def test_a_tiny_temperature_is_nearly_greedy(temperature):
    logits = random_logits()
    torch.testing.assert_close(Sampling(temperature).distribution(logits), Sampling().distribution(logits))


@pytest.mark.parametrize(("dtype", "kept"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_distribution_has_at_least_single_precision(dtype, kept):
    assert Sampling(0.7, 5, 0.9).distribution(random_logits().to(dtype)).dtype == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature must be"),
        ({"temperature": math.nan}, "temperature must be"),
        ({"temperature": math.inf}, "temperature must be"),
        ({"top_k": 0}, "top_k must be"),
        ({"top_k": -3}, "top_k must be"),
        ({"top_k": 2.5}, "top_k must be"),
        ({"top_p": 0.0}, "top_p must be"),
        ({"top_p": -0.5}, "top_p must be"),
        ({"top_p": 1.01}, "top_p must be"),
        ({"top_p": math.nan}, "top_p must be"),
    ],
)
def test_bad_sampling(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


def test_acceptance_by_hand():
    target = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.0, 0.4, 0.6]])
    draft = torch.tensor([[0.25, 0.6, 0.15], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
    # 0.3 / 0.6; 0.8 / 0.7, cut to 1; 0 / 0.3
    assert acceptance_probabilities(target, draft, torch.tensor([1, 2, 0])).tolist() == pytest.approx([0.5, 1, 0])


def test_residual_by_hand():
    target, draft = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.1, 0.6, 0.3])
    assert residual_distribution(target, draft).tolist() == [1, 0, 0]
    target, draft = torch.tensor([0.5, 0.4, 0.1]), torch.tensor([0.2, 0.2, 0.6])
    assert residual_distribution(target, draft).tolist() == pytest.approx([0.6, 0.4, 0])


def test_residual_of_equal_distributions_is_the_target():
    target = torch.tensor([0.5, 0.3, 0.2])
    assert torch.equal(residual_distribution(target, target), target)


TARGET = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]])
DRAFT = torch.tensor([[0.3, 0.6, 0.1], [0.7, 0.2, 0.1]])


@pytest.mark.parametrize(
    ("decisions", "count", "distribution"),
    [
        ([False, False], 0, [2 / 3, 0, 1 / 3]),  # of 0.2, 0, 0.1
        ([False, True], 0, [2 / 3, 0, 1 / 3]),  # what follows a rejection is not asked
        ([True, False], 1, [0, 0, 1]),
        ([True, True], 2, [0.2, 0.5, 0.3]),  # the bonus comes from the target alone
    ],
)
def test_verify_by_hand(decisions, count, distribution):
    chance = ScriptedChance(decisions)
    accepted, token = verify(TARGET, DRAFT, torch.tensor([1, 0]), chance)
    assert chance.probabilities.tolist() == pytest.approx([0.5, 1 / 7])
    assert accepted.item() == count
    assert chance.distribution.tolist() == pytest.approx(distribution)
    assert token.tolist() == [distribution.index(max(distribution))]


def test_verify_with_nothing_drafted_draws_from_the_target():
    chance = ScriptedChance([])
    count, _ = verify(TARGET[:1], DRAFT[:0], torch.empty(0, dtype=torch.long), chance)
    assert count.item() == 0
    assert chance.distribution.tolist() == pytest.approx([0.5, 0.3, 0.2])


def test_seeded_draws_follow_the_distribution():
    chance = SeededChance(0)
    distribution = torch.tensor([0.5, 0.0, 0.3, 0.15, 0.05, 0.0])
    n = 20_000
    counts = torch.bincount(torch.cat([chance.draw(distribution) for _ in range(n)]), minlength=6)
    assert counts[1] == counts[5] == 0
    deviation = (n * distribution * (1 - distribution)).sqrt()
    assert ((counts - n * distribution).abs() <= 4 * deviation).all()


def test_seeded_decisions_follow_their_probabilities_and_are_independent():
    chance = SeededChance(0)
    probabilities = torch.tensor([0.0, 0.25, 0.6, 1.0]).repeat(20_000)
    decisions = chance.accept(probabilities).view(-1, 4).double()
    assert torch.equal(chance.uniforms < probabilities, decisions.flatten().bool())
    assert decisions.mean(0).tolist() == pytest.approx([0, 0.25, 0.6, 1], abs=0.015)
    assert decisions[:, 0].sum() == 0
    assert decisions[:, 3].all()
    both = (decisions[:, 1] * decisions[:, 2]).mean()
    assert both.item() == pytest.approx(0.15, abs=0.012)


def test_the_impossible_is_never_accepted_and_the_certain_always():
    chance = SeededChance(12)
    assert not chance.accept(torch.zeros(1 << 20)).any()
    assert (chance.uniforms == 0).any(), "choose a seed that brings up the rarest number"
    assert chance.accept(torch.ones(1 << 20)).all()


def test_one_seed_one_sequence():
    def sequence(seed):
        torch.rand(seed)  # the global generator has no say
        chance = SeededChance(seed)
        return [chance.draw(torch.full((1000,), 1e-3)).item() for _ in range(5)]

    assert sequence(3) == sequence(3)
    assert sequence(3) != sequence(4)
