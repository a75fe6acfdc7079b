"""Other libraries' decoders write our greedy text, and leave shared models as they were."""

from logging import getLogger

import pytest
from conftest import CONTEXT, perturbed, tiny_module

from specdec_lib import AutoregressiveDecoder
from specdec_lib.measuring import peers
from specdec_lib.measuring.peers import ASSISTANT_SETTINGS, Peers
from specdec_lib.models import as_language_model

PROMPTS = [[3, 5, 7, 11, last] for last in range(3)]
STRATEGIES = [("auto", None), ("composite-g4", None), ("bandit", 1), ("bandit", 3)]


def decoders(target, draft):
    """Every peer by name; flashspec's where it is installed."""
    made = Peers(target)
    ways = {
        "generate": made.generate(),
        "static cache": made.compiled(),
        "prompt lookup": made.prompt_lookup(3),
        "assisted": made.assisted(draft, 2),
        "assisted default": made.assisted(draft),
    }
    if peers.has_flashspec():
        ways |= {f"flashspec {strategy} {k}": made.flashspec(draft, strategy, k) for strategy, k in STRATEGIES}
    return ways


def calls(module):
    """A list that grows with each forward of a module."""
    made = []
    module.register_forward_hook(lambda *_: made.append(1))
    return made


def test_every_peer_writes_our_greedy_text(target, draft):
    plain = AutoregressiveDecoder(target)
    for name, decode in decoders(target, draft).items():
        for prompt in PROMPTS:
            assert decode(prompt, 20) == plain.generate(prompt, 20).token_ids, name


def test_every_peer_stops_at_the_end_token_and_keeps_it(draft):
    target = as_language_model(tiny_module("neox"))
    free = AutoregressiveDecoder(target).generate(PROMPTS[0], 20).token_ids
    target.module.generation_config.eos_token_id = free[6]
    expected = free[: free.index(free[6]) + 1]
    for name, decode in decoders(target, draft).items():
        assert decode(PROMPTS[0], 20) == expected, name


def test_settings_of_one_way_are_gone_in_the_next(target, draft):
    config = draft.module.generation_config
    before = [getattr(config, name) for name in ASSISTANT_SETTINGS]
    fair = Peers(target).assisted(draft, 1)
    fair(PROMPTS[0], 8)
    assert [getattr(config, name) for name in ASSISTANT_SETTINGS] == before
    with pytest.raises(IndexError):
        fair([target.vocab_size], 8)
    assert [getattr(config, name) for name in ASSISTANT_SETTINGS] == before


def test_fair_assistance_drafts_n_lookahead_tokens_a_round_however_unsure(target):
    for n_lookahead in (1, 3):
        near = as_language_model(perturbed(target.module, 2.0))
        verifying = as_language_model(perturbed(target.module, 0.0))
        rounds, drafts = calls(verifying.module), calls(near.module)
        Peers(verifying).assisted(near, n_lookahead)(PROMPTS[0], 16)
        assert n_lookahead * (len(rounds) - 3) < len(drafts) <= n_lookahead * len(rounds)


def test_logging_is_as_loud_afterwards_as_before(target, draft):
    levels = [getLogger(name).level for name in ("transformers", "flashspec")]
    Peers(target).assisted(draft, 2)(PROMPTS[0], 4)
    assert [getLogger(name).level for name in ("transformers", "flashspec")] == levels


def test_a_draft_of_another_vocabulary_is_refused(target):
    other = as_language_model(tiny_module("neox", vocab=61, context=CONTEXT))
    with pytest.raises(ValueError, match="must share one vocabulary"):
        Peers(target).assisted(other)
    with pytest.raises(ValueError, match="must share one vocabulary"):
        Peers(target).flashspec(other)


def test_without_flashspec_a_sentence_says_how_to_get_it(target, draft, monkeypatch):
    monkeypatch.setattr(peers, "has_flashspec", lambda: False)
    with pytest.raises(ValueError, match=r"pip install \.\[bench\]"):
        Peers(target).flashspec(draft)
