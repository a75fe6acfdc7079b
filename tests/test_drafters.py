"""Drafters that look up and drafters in turn; what ModelDrafter does is tested through the decoders."""

import pytest
import torch
from conftest import tiny_module

from specdec_lib import AutoregressiveDecoder, ModelDrafter, SpeculativeDecoder
from specdec_lib.drafters import FirstDrafter, PromptLookupDrafter
from specdec_lib.models import as_language_model
from specdec_lib.sampling import GreedyChance, Sampling

PROMPT = [3, 5, 7, 11, 2, 3, 5]


def proposals(drafter, prompt, k, *confirmed):
    """What it proposes after the prompt, and after each further piece of text."""
    drafter.start(prompt, Sampling(), GreedyChance())
    found = [drafter.propose(k)[0].tolist()]
    for tokens in confirmed:
        drafter.observe(tokens)
        found.append(drafter.propose(k)[0].tolist())
    return found


def test_lookup_proposes_what_followed_before():
    assert proposals(PromptLookupDrafter(60), [1, 2, 3, 4, 1, 2], 2) == [[3, 4]]
    assert proposals(PromptLookupDrafter(60), [1, 2, 3, 4, 1, 2], 9) == [[3, 4, 1, 2, 3, 4, 1, 2, 3]]
    assert proposals(PromptLookupDrafter(60), [1, 2, 3, 4], 2, [1, 2], [9]) == [[], [3, 4], []]


def test_lookup_takes_the_longest_ending_then_the_latest_place():
    text = [1, 2, 3, 7, 8, 2, 3, 9, 1, 2, 3]
    assert proposals(PromptLookupDrafter(60), text, 1) == [[7]]
    assert proposals(PromptLookupDrafter(60, longest=2), text, 1) == [[9]]
    assert proposals(PromptLookupDrafter(60, shortest=1), [5, 6, 5, 7, 5], 1) == [[7]]


@pytest.mark.parametrize("prompt", [[1], [1, 2], [1, 2, 3]])
def test_lookup_finds_nothing_in_a_text_without_repetition(prompt):
    assert proposals(PromptLookupDrafter(60), prompt, 3) == [[]]


def test_lookup_goes_on_as_a_loop_does():
    assert proposals(PromptLookupDrafter(60), [4, 4, 4], 3) == [[4, 4, 4]]
    assert proposals(PromptLookupDrafter(60), [9, 1, 2, 1, 2, 1, 2], 5) == [[1, 2, 1, 2, 1]]


@pytest.mark.parametrize(("longest", "shortest"), [(1, 2), (3, 0)])
def test_lookup_refuses_lengths_that_make_no_sense(longest, shortest):
    with pytest.raises(ValueError, match="shortest <= longest"):
        PromptLookupDrafter(60, longest, shortest)


@pytest.fixture
def in_turn(draft):
    return FirstDrafter(PromptLookupDrafter(60), ModelDrafter(draft))


@pytest.mark.parametrize("session", ["static", "cached", "uncached"])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_text_is_the_targets_when_drafters_take_turns(target, in_turn, session, k):
    plain = AutoregressiveDecoder(target).generate(PROMPT, 30).token_ids
    for drafter in (in_turn, PromptLookupDrafter(60)):
        out = SpeculativeDecoder(target, drafter, k, session=session).generate(PROMPT, 30)
        assert out.token_ids == plain


def test_the_model_is_asked_where_lookup_finds_nothing(target, draft, in_turn):
    first = SpeculativeDecoder(target, in_turn, 3).generate([9, 8, 7], 10).steps[0]
    alone = SpeculativeDecoder(target, ModelDrafter(draft), 3).generate([9, 8, 7], 10).steps[0]
    assert first.drafted == alone.drafted
    repeated = SpeculativeDecoder(target, in_turn, 3).generate([9, 8, 7, 9, 8], 10).steps[0]
    assert repeated.drafted == [7, 9, 8]


def test_interleaved_streams_do_not_share_a_text(target, in_turn):
    decoder = SpeculativeDecoder(target, in_turn, 3)
    apart = [decoder.generate(prompt, 20).token_ids for prompt in (PROMPT, [8, 1, 8, 1])]
    streams = [decoder.stream(prompt, 20) for prompt in (PROMPT, [8, 1, 8, 1])]
    running = list(streams)
    while running:
        running = [stream for stream in running if next(iter(stream), None)]
    assert [stream.generation.token_ids for stream in streams] == apart


def test_every_model_behind_a_drafter_must_share_the_vocabulary(target):
    other = as_language_model(tiny_module("neox", vocab=61))
    with pytest.raises(ValueError, match="share one vocabulary"):
        SpeculativeDecoder(target, FirstDrafter(PromptLookupDrafter(60), ModelDrafter(other)))


def test_sampling_with_a_lookup_keeps_to_what_the_target_allows(target):
    out = SpeculativeDecoder(target, PromptLookupDrafter(60), 4).generate([1, 2] * 9, 30, temperature=0.7, top_k=1)
    assert out.token_ids == AutoregressiveDecoder(target).generate([1, 2] * 9, 30).token_ids
    assert torch.tensor(out.token_ids).max() < 60
