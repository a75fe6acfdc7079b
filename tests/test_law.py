"""The law of the decoder's output is the target's own: exactly, by every branch of every draw and decision."""

import itertools
from collections import Counter

import pytest
import torch
from checks import CHECKS, VOCABULARIES, Case, assert_same_law, check_case, chi_square, table_model
from conftest import perturbed, tiny_module
from test_decoders import PROMPT, check_accounting, reference

from specdec_lib import ModelDrafter, SpeculativeDecoder
from specdec_lib.enumeration import Branching, branches, decoder_law, law, merged_law, target_law, walk
from specdec_lib.models import as_language_model
from specdec_lib.sampling import Sampling
from specdec_lib.sessions import CachedSession, StaticSession, UncachedSession

GREEDY, NARROW = Sampling(0.0), Sampling(1.2, top_k=2, top_p=0.7)
PAIRS = [Sampling(1.7, top_k=2), Sampling(0.6, top_k=2), Sampling(1.5, top_k=2, top_p=0.95), NARROW]
NUCLEUS = Sampling(1.3, top_p=0.8)
WIDE = [Sampling(1.0), Sampling(0.6), Sampling(0.8, top_k=3), Sampling(1.4, top_k=3, top_p=0.9)]
SESSIONS = ["cached", "uncached"]


def short_cases():
    """k = 1 and 2: everything with everything, about half of it by the whole decoder's branches."""
    drafters = ["growing", "frozen", "itself", "uniform", "paced", "cycle", "silent", "lookup", "in turn"]
    samplings = [GREEDY, *PAIRS, NUCLEUS, *WIDE]
    for number, (k, drafter, sampling, session) in enumerate(itertools.product((1, 2), drafters, samplings, SESSIONS)):
        cheap = k == 1 or sampling in (GREEDY, NUCLEUS, *PAIRS)
        vocab = 3 + number % 3 if sampling.top_k or k == 1 else 3
        yield Case(
            k,
            n=k + 2,
            sampling=sampling,
            drafter=drafter,
            session=session,
            whole=drafter == "cycle" or (cheap and drafter != "uniform" and number % 5 < 3),
            vocab=min(vocab, 4) if drafter == "uniform" else vocab,
            ends=number % 7 < 3,
            seed=number,
            prompt=(0, 1) if number % 4 else (1,),
        )


def long_cases():
    """k = 3 and 4, with few tokens to draw from."""
    drafters = ["growing", "frozen", "itself", "uniform", "paced", "cycle", "lookup", "in turn"]
    samplings = [GREEDY, *PAIRS, NUCLEUS]
    for number, (k, drafter, sampling, session, ends) in enumerate(
        itertools.product((3, 4), drafters, samplings, SESSIONS, (False, True))
    ):
        yield Case(
            k,
            n=k + 2,
            sampling=sampling,
            drafter=drafter,
            session=session,
            whole=drafter == "cycle" or (sampling is GREEDY and drafter != "uniform"),
            vocab=3 + number % 3 if sampling.top_k and drafter != "uniform" else 3,
            ends=ends,
            seed=1000 + number,
            prompt=(0, 1) if number % 4 else (1,),
        )


def costly_cases():
    """The full vocabulary at k = 3 and 4, every branch of several rounds at k = 3, and longer texts."""
    for seed, (drafter, session) in enumerate(itertools.product(("growing", "frozen"), SESSIONS), 2000):
        yield Case(3, 5, NARROW, drafter, session, whole=True, ends=True, seed=seed)
        yield Case(3, 5, WIDE[0], drafter, session, seed=seed)
        yield Case(4, 6, WIDE[1], drafter, session, ends=True, seed=seed)
        yield Case(1, 6, PAIRS[0], drafter, session, whole=True, seed=seed)
        yield Case(2, 6, PAIRS[2], drafter, session, seed=seed)
        yield Case(2, 5, NARROW, drafter, session, whole=True, seed=seed)


def vocabulary_cases():
    """Drafts that lack tokens of the target, that have some it lacks, and that have one of its tokens twice."""
    samplings = [GREEDY, *PAIRS, NUCLEUS, WIDE[0]]
    for number, (k, drafter, sampling, session) in enumerate(
        itertools.product((1, 2, 3, 4), VOCABULARIES, samplings, SESSIONS), 3000
    ):
        yield Case(
            k,
            n=k + 2,
            sampling=sampling,
            drafter=drafter,
            session=session,
            whole=k < 3 and number % 3 == 0 and sampling is not WIDE[0],
            vocab=3 + number % 2,
            ends=number % 5 < 2,
            seed=number,
        )


CASES = [*short_cases(), *long_cases(), *costly_cases(), *vocabulary_cases()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_law_of_the_output_is_the_targets(case):
    check_case(case)


def test_the_cases_cover_what_they_should():
    assert len(set(map(str, CASES))) == len(CASES) >= 500
    assert min(Counter(case.k for case in CASES if case.sampling.temperature).values()) >= 60
    assert all(case.n >= case.k + 2 for case in CASES)
    for k in range(1, 5):
        seen = {
            (case.drafter, case.session, case.ends, case.sampling.top_k, case.sampling.top_p)
            for case in CASES
            if case.k == k
        }
        for session, context, ends in itertools.product(SESSIONS, ("growing", "frozen"), (False, True)):
            assert len([one for one in seen if one[:3] == (context, session, ends)]) >= 3


def over_device_positions(model):
    """The session that CUDA graphs record; here nothing is, as every draw is the proof's own."""
    return StaticSession(model, recorder=lambda work, generators: None)


@pytest.mark.parametrize("session", [StaticSession, over_device_positions, CachedSession, UncachedSession])
@pytest.mark.parametrize("context", ["growing", "frozen"])
def test_the_law_of_real_models_is_the_targets(session, context):
    module = tiny_module("neox", vocab=3, scale=4.0)
    target, draft = as_language_model(module.double()), as_language_model(perturbed(module, 0.5).double())
    decoder = SpeculativeDecoder(target, ModelDrafter(draft, context=context), 2, session=session)
    exact = decoder_law(decoder, [0, 1], 4, Sampling(1.5, top_k=2))
    assert len(exact) > 8
    assert_same_law(exact, target_law(target, [0, 1], 4, Sampling(1.5, top_k=2)))


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_our_own_code_passes_what_every_mutant_meets(check):
    check()


@pytest.mark.parametrize(
    "case",
    [
        Case(3, 5, Sampling(0.7), seed=20, ends=True),
        Case(2, 4, Sampling(1.5, top_k=2, top_p=0.95), "frozen", vocab=4, seed=21),
        Case(4, 5, Sampling(1.0), "uniform", "uncached", seed=22, ends=True),
    ],
    ids=str,
)
def test_no_random_number_serves_twice(case):
    """Enumeration can't see that, the frequencies of generated texts do. Seeds 0 to 1499, as they come."""
    statistic, p = chi_square(case, texts=1500)
    assert p > 1e-3, f"chi-square {statistic:.1f}, p = {p:.1g}"


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_a_frozen_context_writes_the_targets_own_greedy_text(targets, drafts, k, session):
    for name, target in targets.items():
        decoder = SpeculativeDecoder(target, ModelDrafter(drafts[name], context="frozen"), k, session=session)
        out = decoder.generate(PROMPT, max_new_tokens=20)
        assert out.token_ids == reference(target, PROMPT, 20)
        check_accounting(out, k, 20)


# The enumeration itself.


def test_the_targets_law_by_hand():
    target = table_model(1, ends=[2])
    sampling = Sampling(0.9)

    def row(*context):
        return (target.module.row(context) / 0.9).softmax(-1).tolist()

    exact = target_law(target, [1], 2, sampling)
    expected = {(2,): row(1)[2]}
    expected |= {(one, two): row(1)[one] * row(1, one)[two] for one in (0, 1) for two in (0, 1, 2)}
    assert exact == pytest.approx(expected, abs=1e-12)


def test_a_walk_meets_every_outcome_of_draws_and_decisions():
    def decode(chance):
        token = chance.draw(torch.tensor([0.5, 0.0, 0.5])).item()
        return token, *chance.accept(torch.tensor([0.25, 1.0, 0.5])).tolist()

    whole = {(t, a, True, b): 0.5 * (0.25 if a else 0.75) * 0.5 for t in (0, 2) for a in (0, 1) for b in (0, 1)}
    assert law(decode) == whole
    runs = {(t, False, True, True): 0.5 * 0.75 for t in (0, 2)}
    runs |= {(t, True, True, b): 0.5 * 0.25 * 0.5 for t in (0, 2) for b in (False, True)}
    assert law(decode, every_decision=False) == runs


@pytest.mark.parametrize("drafter", ["growing", "paced"])
def test_the_branches_of_a_round_are_its_tree(drafter):
    case = Case(3, 5, Sampling(1.3), drafter, seed=11, ends=True, prompt=(0, 1, 1))
    target = case.target
    tree = branches(case.decoder(target), case.prompt, case.n, case.sampling)
    assert sum(branch.probability for branch in tree) == pytest.approx(1, abs=1e-12)
    assert len({tuple(branch.choices) for branch in tree}) == len(tree)
    assert {branch.step.kind for branch in tree} >= {"resampled", "end"}
    for branch in tree:
        product = 1.0
        for choice in branch.choices:
            product *= choice.probability
        assert branch.probability == pytest.approx(product)
        kinds = [choice.kind for choice in branch.choices]
        assert kinds == [*sorted(kinds[:-1], key="draw accept".index), "draw"]
        assert branch.drafted == branch.step.drafted
        assert branch.choices[-1].outcome == branch.next_token or branch.step.kind == "end"
        if branch.step.kind == "resampled":
            assert branch.decisions[-1] is False
        assert all(branch.decisions[:-1])
    first = {token: 0.0 for token in range(3)}
    for branch in tree:
        first[branch.step.tokens[0]] += branch.probability
    row = case.sampling.distribution(target.module.row(case.prompt).unsqueeze(0))[0]
    assert list(first.values()) == pytest.approx(row.tolist(), abs=1e-12)


def test_merged_and_whole_walks_agree():
    case = Case(2, 5, Sampling(1.4, top_k=2), seed=12, ends=True)
    decoder = case.decoder(case.target)
    assert_same_law(*(one(decoder, case.prompt, case.n, case.sampling) for one in (merged_law, decoder_law)))


def test_a_walk_of_too_many_branches_stops():
    def decode(chance):
        return tuple(chance.draw(torch.tensor([0.5, 0.5])).item() for _ in range(20))

    with pytest.raises(ValueError, match="more than 100 branches: ask for fewer tokens"):
        law(decode, max_branches=100)
    assert len(list(itertools.islice(walk(decode), 3))) == 3


def test_what_depends_on_more_than_its_choices_is_refused():
    calls = itertools.count()

    def decode(chance):
        p = 0.5 + 0.1 * next(calls)
        return chance.draw(torch.tensor([p, 1 - p])).item()

    with pytest.raises(ValueError, match="must depend on them alone"):
        law(decode)


@pytest.mark.parametrize("numbers", [[0.5, 0.4], [1.5, -0.5], [float("nan"), 1.0]])
def test_a_draw_from_no_distribution_is_refused(numbers):
    with pytest.raises(ValueError, match="is no distribution"):
        Branching([]).draw(torch.tensor(numbers))


@pytest.mark.parametrize("number", [-0.1, 1.1, float("nan")])
def test_a_decision_without_a_probability_is_refused(number):
    with pytest.raises(ValueError, match="is no probability"):
        Branching([]).accept(torch.tensor([number]))
