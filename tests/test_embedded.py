"""The embedded family writes, greedily, what transformers itself writes."""

import pytest
import torch

from specdec_lib import ModelDrafter, SpeculativeDecoder, load_model, xlsum
from specdec_lib.models import EMBEDDED

NEW_TOKENS = 24
LOOKAHEADS = {"mini-draft-1": (1, 8), "mini-draft-2": (2, 7), "mini-draft-3": (3, 6), "mini-draft-4": (4, 5)}
LOOKAHEADS["mini-draft-5"] = (2, 4)


@pytest.fixture(scope="module")
def target():
    return load_model(EMBEDDED[0], device="cpu")


@pytest.fixture(scope="module")
def texts(target):
    """Prompt -> what transformers writes after it: a news article, and a single token."""
    article = xlsum.prompt(xlsum.load(n=1)[0], target.tokenizer, max_text_tokens=48)
    written = {}
    for prompt in (tuple(target.encode(article)), tuple(target.encode("東京")[:1])):
        ids = torch.tensor([prompt])
        out = target.module.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0
        )
        written[prompt] = out[0, len(prompt) :].tolist()
    return written


def test_every_draft_and_n_lookahead_has_its_turn():
    assert list(LOOKAHEADS) == EMBEDDED[1:]
    assert {k for pair in LOOKAHEADS.values() for k in pair} == set(range(1, 9))


@pytest.mark.parametrize("name", LOOKAHEADS)
def test_greedy_text_is_that_of_transformers(target, texts, name):
    draft = load_model(name, device="cpu")
    short, long = LOOKAHEADS[name]
    for session, context, lookaheads in (
        ("cached", "growing", (short, long)),
        ("cached", "frozen", (short, long)),
        ("uncached", "growing", (short, long)),
        ("uncached", "frozen", (short,)),
    ):
        for k in lookaheads:
            decoder = SpeculativeDecoder(target, ModelDrafter(draft, context=context), k, session=session)
            for prompt, expected in texts.items():
                out = decoder.generate(prompt, NEW_TOKENS)
                assert out.token_ids == expected, (session, context, k, len(prompt))
