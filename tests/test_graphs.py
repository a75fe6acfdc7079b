"""Recorded rounds. The recorder of this file keeps the tensor operations of a run and repeats them, with every number
that the host had put in: what a CUDA graph does, on any device. A round that needs the host meanwhile goes wrong."""

import gc

import pytest
import torch
from conftest import perturbed, tiny_module
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from specdec_lib.decoders import AutoregressiveDecoder, SpeculativeDecoder
from specdec_lib.drafters import FirstDrafter, ModelDrafter, PromptLookupDrafter
from specdec_lib.models import as_language_model
from specdec_lib.sampling import SeededChance
from specdec_lib.sessions import StaticSession

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6]
SAMPLED = {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "seed": 3}


class Tape(TorchDispatchMode):
    """The operations of a run, to be repeated on what the tensors hold by then."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, result))
        return result

    def repeat(self):
        for function, args, kwargs, result in self.operations:
            again = function(*args, **kwargs)
            tree_map(lambda old, new: old.copy_(new) if old is not new else old, result, again)


class Recorder:
    """Records by a Tape and counts."""

    def __init__(self):
        self.recorded = self.repeated = 0

    def __call__(self, work, generators):
        self.recorded += 1
        with Tape() as tape:
            outputs = work()

        def repeat():
            self.repeated += 1
            tape.repeat()

        return outputs, repeat


@pytest.fixture(scope="module")
def target():
    return as_language_model(tiny_module("neox", context=600))


@pytest.fixture(scope="module")
def draft(target):
    return as_language_model(perturbed(target.module, 0.1))


def recording(recorder):
    return lambda model: StaticSession(model, recorder)


def test_the_draft_loop_is_recorded_as_well_as_the_verification(target, draft):
    drafts, verifications = Recorder(), Recorder()
    drafter = ModelDrafter(draft, session=recording(drafts))
    decoder = SpeculativeDecoder(target, drafter, 3, session=recording(verifications))
    rounds = len(decoder.generate(PROMPT, 40).steps)
    assert drafts.recorded + drafts.repeated > rounds - 3
    assert (drafts.recorded, verifications.recorded) == (1, 1)


def test_a_failed_recording_is_not_tried_again(target):
    tried = []

    def broken(work, generators):
        tried.append(work)
        raise RuntimeError("no")

    decoder = AutoregressiveDecoder(target, session=recording(broken))
    with pytest.warns(RuntimeWarning, match="not recorded"):
        texts = [decoder.generate(PROMPT, 20).token_ids for _ in range(3)]
    assert texts == [AutoregressiveDecoder(target).generate(PROMPT, 20).token_ids] * 3
    assert len(tried) == 1


def test_weights_that_change_are_recorded_anew():
    target = as_language_model(tiny_module("neox"))
    decoder = AutoregressiveDecoder(target, session=recording(Recorder()))
    decoder.generate(PROMPT, 20)
    before = decoder.generate(PROMPT, 20).token_ids
    with torch.no_grad():
        target.module.gpt_neox.layers[0].mlp.dense_h_to_4h.weight.mul_(1.5)
    after = decoder.generate(PROMPT, 20).token_ids
    assert after == AutoregressiveDecoder(target, session="cached").generate(PROMPT, 20).token_ids != before


def test_a_callers_own_chance_is_not_kept(target, draft):
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), 3, session=recording(Recorder()))
    first = decoder.generate(PROMPT, 30, **SAMPLED).token_ids
    list(decoder.stream(PROMPT, 30, 0.9, 20, 0.95, chance=SeededChance(8)))
    assert decoder.generate(PROMPT, 30, **SAMPLED).token_ids == first


def test_sessions_go_with_their_text(target, draft):
    """No cycle holds a cache of a whole context until the garbage collector comes by."""

    def sessions():
        return sum(type(thing) is StaticSession for thing in gc.get_objects())

    decoder = SpeculativeDecoder(target, ModelDrafter(draft), 3)
    gc.collect()
    before = sessions()
    gc.disable()
    try:
        for _ in range(5):
            decoder.generate(PROMPT, 10)
        assert sessions() == before
    finally:
        gc.enable()


DRAFTERS = {
    "model": lambda target, draft: ModelDrafter(draft),
    "frozen model": lambda target, draft: ModelDrafter(draft, context="frozen"),
    "lookup": lambda target, draft: PromptLookupDrafter(target.vocab_size, shortest=1),
    "lookup, else model": lambda target, draft: FirstDrafter(
        PromptLookupDrafter(target.vocab_size, shortest=1), ModelDrafter(draft)
    ),
}


@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("options", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_recorded_rounds_write_the_same_texts(drafter, options, target, draft):
    recorder = Recorder()
    drafter = DRAFTERS[drafter](target, draft)
    recorded = SpeculativeDecoder(target, drafter, 3, session=recording(recorder))
    plain = SpeculativeDecoder(target, drafter, 3, session="static")
    for prompt in (PROMPT, [7], PROMPT[::-1]):
        ours, expected = (decoder.generate(prompt, 40, **options) for decoder in (recorded, plain))
        assert [step.tokens for step in ours.steps] == [step.tokens for step in expected.steps]
        assert [step.drafted for step in ours.steps] == [step.drafted for step in expected.steps]
    assert recorder.repeated > recorder.recorded > 0


def test_another_text_records_nothing_anew(target, draft):
    recorder = Recorder()
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), 3, session=recording(recorder))
    first = decoder.generate(PROMPT, 40, **SAMPLED)
    before = recorder.recorded
    assert decoder.generate(PROMPT, 40, **SAMPLED).token_ids == first.token_ids
    assert decoder.generate(PROMPT[:3], 40, **SAMPLED).token_ids != first.token_ids
    assert decoder.generate(PROMPT, 40, **SAMPLED).token_ids == first.token_ids
    assert recorder.recorded == before


def test_a_text_may_outgrow_its_room(target, draft):
    """Room grows at 256 tokens: what was recorded before saw none of the tokens beyond."""
    prompt = PROMPT * 30  # 240 tokens
    recorded, plain = (
        SpeculativeDecoder(target, ModelDrafter(draft), 4, session=session)
        for session in (recording(Recorder()), "static")
    )
    for _ in range(2):
        assert recorded.generate(prompt, 60).token_ids == plain.generate(prompt, 60).token_ids
        assert recorded.generate(PROMPT, 20).token_ids == plain.generate(PROMPT, 20).token_ids


def test_texts_decoded_in_turn_keep_apart(target, draft):
    decoder = SpeculativeDecoder(target, ModelDrafter(draft), 3, session=recording(Recorder()))
    alone = [decoder.generate(prompt, 30, seed=7, temperature=0.8).token_ids for prompt in (PROMPT, PROMPT[::-1])]
    streams = [decoder.stream(prompt, 30, seed=7, temperature=0.8) for prompt in (PROMPT, PROMPT[::-1])]
    for _ in range(30):
        for stream in streams:
            next(iter(stream), None)
    assert [stream.generation.token_ids for stream in streams] == alone


@pytest.mark.parametrize("options", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_a_trace_shows_the_same_numbers(options, target, draft):
    recorded, plain = (
        SpeculativeDecoder(target, ModelDrafter(draft), 3, session=session)
        for session in (recording(Recorder()), "static")
    )
    for _ in range(2):
        ours, expected = (decoder.generate(PROMPT, 30, trace=True, **options) for decoder in (recorded, plain))
        for step, other in zip(ours.steps, expected.steps, strict=True):
            for draw, another in zip(step.draws, other.draws, strict=True):
                assert (draw.token, draw.uniform) == (another.token, another.uniform)
                assert draw.target == pytest.approx(another.target, abs=1e-4)
                assert draw.draft == pytest.approx(another.draft, abs=1e-4)


def test_memory_that_holds_no_numbers_does_no_harm(target):
    for _ in range(8):
        used = [torch.full((2, 2, 4, 600, 8), float("nan")) for _ in range(4)]  # of a cache's shape
        del used
        session = StaticSession(target, Recorder())
        session.extend(PROMPT, last=0)
        assert session.extend([1]).isfinite().all()


def test_plain_decoding_is_recorded_too(target):
    recorder = Recorder()
    text = AutoregressiveDecoder(target, session=recording(recorder)).generate(PROMPT, 30).token_ids
    assert text == AutoregressiveDecoder(target).generate(PROMPT, 30).token_ids
    assert (recorder.recorded, recorder.repeated) == (1, 28)


def test_where_recording_fails_a_warning_says_so_and_the_text_is_the_same(target, draft):
    def broken(work, generators):
        work()
        raise RuntimeError("operation not permitted when stream is capturing")

    decoder = SpeculativeDecoder(target, ModelDrafter(draft), 3, session=recording(broken))
    with pytest.warns(RuntimeWarning, match="not recorded.*not permitted"):
        text = decoder.generate(PROMPT, 40).token_ids
    assert text == SpeculativeDecoder(target, ModelDrafter(draft), 3).generate(PROMPT, 40).token_ids
