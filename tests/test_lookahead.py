import pytest
import torch
from conftest import perturbed, tiny_module

from specdec_lib.calibration import LARGEST
from specdec_lib.decoders import AutoregressiveDecoder, SpeculativeDecoder
from specdec_lib.drafters import FirstDrafter, ModelDrafter, PromptLookupDrafter
from specdec_lib.enumeration import decoder_law, target_law
from specdec_lib.lookahead import Adaptive, Calibration, Tally
from specdec_lib.models import as_language_model
from specdec_lib.sampling import Sampling

CHEAP = Calibration((0, 0.05, 0.1, 0.15, 0.2), (1, 1, 1, 1, 1))
DEAR = Calibration((0, 0.9, 1.8), (1, 1.2, 1.4))
PROMPT = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.fixture(scope="module")
def target():
    return as_language_model(tiny_module("neox", context=500))


@pytest.fixture(scope="module")
def draft(target):
    return as_language_model(perturbed(target.module, 0.1))


def test_the_best_lookahead_is_the_one_that_theory_says():
    assert [CHEAP.best(alpha) for alpha in (0.0, 0.04, 0.1, 0.3, 0.5, 0.9)] == [0, 0, 1, 2, 3, 4]
    assert DEAR.best(0.5) == 0
    assert DEAR.best(1.0) == 0  # 2 tokens for 2.1


def test_it_follows_what_was_accepted():
    lookahead = Adaptive(CHEAP, Tally())
    assert lookahead.choose() == 2
    for _ in range(10):
        lookahead.learn(4, 0)
    assert lookahead.choose() == 4
    for _ in range(200):
        lookahead.learn(0, 1)
    assert lookahead.choose() == 1


def test_a_draft_that_does_not_pay_is_tried_ever_more_seldom():
    lookahead = Adaptive(DEAR, Tally())
    chosen = [lookahead.choose() for _ in range(16 + 1 + 32 + 1 + 64 + 1)]
    assert [place for place, k in enumerate(chosen) if k] == [16, 49, 114]
    assert set(chosen) == {0, 1}


def test_a_draft_that_pays_again_is_tried_as_soon_as_ever():
    lookahead = Adaptive(DEAR, tally := Tally(judged=50, patience=512))
    assert lookahead.choose() == 0
    tally.accepted = tally.judged
    cheap = Adaptive(CHEAP, tally)
    assert cheap.choose() == 4
    assert tally.patience == 16


@pytest.mark.parametrize("calibration", [CHEAP, DEAR, None], ids=["cheap", "dear", "measured"])
def test_the_text_is_the_targets(calibration, target, draft):
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), "auto", calibration=calibration)
    plain = AutoregressiveDecoder(target)
    for prompt in (PROMPT, [7], PROMPT * 3):
        out = decoder.generate(prompt, 60)
        assert out.token_ids == plain.generate(prompt, 60).token_ids
        assert out.calibration == decoder.calibration


def test_seed_and_calibration_give_one_text(target, draft):
    options = {"max_new_tokens": 60, "temperature": 1.0, "seed": 4}
    decoder, again = (SpeculativeDecoder(target, ModelDrafter(draft), "auto", calibration=CHEAP) for _ in range(2))
    first = decoder.generate(PROMPT, **options)
    decoder.generate(PROMPT, 60)
    assert [step.tokens for step in decoder.generate(PROMPT, **options).steps] == [step.tokens for step in first.steps]
    assert [step.tokens for step in again.generate(PROMPT, **options).steps] == [step.tokens for step in first.steps]
    assert len({len(step.drafted) for step in first.steps}) > 1


def test_at_temperature_0_a_text_begins_with_what_the_last_one_taught(target, draft):
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), "auto", calibration=CHEAP)
    firsts = [len(decoder.generate(PROMPT, 60).steps[0].drafted) for _ in range(3)]
    assert firsts[0] == 2
    assert firsts[1] == firsts[2] == 4


@pytest.mark.parametrize("calibration", [CHEAP, DEAR])
def test_the_law_is_the_targets(calibration):
    module = tiny_module("neox", vocab=3, scale=4.0)
    target, draft = as_language_model(module.double()), as_language_model(perturbed(module, 0.5).double())
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), "auto", calibration=calibration)
    exact, due = decoder_law(decoder, [0, 1], 4, Sampling(1.5)), target_law(target, [0, 1], 4, Sampling(1.5))
    assert exact == pytest.approx(due, abs=1e-10)


DRAFTERS = {
    "model": lambda target, draft: ModelDrafter(draft),
    "lookup": lambda target, draft: PromptLookupDrafter(target.vocab_size),
    "lookup, else model": lambda target, draft: FirstDrafter(
        PromptLookupDrafter(target.vocab_size), ModelDrafter(draft)
    ),
}


@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("session", ["static", "cached", "uncached"])
def test_a_calibration_has_a_cost_for_every_lookahead(drafter, session, target, draft):
    calibration = SpeculativeDecoder(target, DRAFTERS[drafter](target, draft), "auto", session=session).calibration
    assert calibration.drafting[0] == 0
    assert calibration.verification[0] == 1
    costs = torch.tensor([calibration.drafting, calibration.verification])
    assert costs.shape == (2, LARGEST + 1)
    assert costs[:, 1:].gt(0).all()
    assert costs.isfinite().all()


def test_a_lookahead_is_a_number_or_auto(target, draft):
    with pytest.raises(ValueError, match="n_lookahead must be a whole number of at least 1 or \"auto\", not 'fast'"):
        SpeculativeDecoder(target, ModelDrafter(draft), "fast")
