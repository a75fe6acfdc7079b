import json
from copy import deepcopy
from hashlib import sha256

import pytest
import torch
from conftest import ARCHITECTURES
from safetensors.torch import load_file
from transformers import BloomConfig, BloomForCausalLM

from specdec_lib import AutoregressiveDecoder, ModelDrafter, SpeculativeDecoder, load_model
from specdec_lib.attention import BETTERTRANSFORMER
from specdec_lib.models import as_language_model
from specdec_lib.paths import DATA
from specdec_lib.sessions import CachedSession, UncachedSession

ORACLE = DATA / "oracle"
CASES = {"full forward": None, "one cached token": 1, "four cached tokens": 4}
PROMPT = [3, 5, 7, 11, 2, 40, 17, 29]


def relative(logits, reference):
    return float((logits - reference).abs().max() / reference.abs().max())


def logits_of(model, tokens, cached):
    """Logits of the last 4 tokens of one forward, or of the last `cached`, read at once over a cache of the others."""
    if cached is None:
        return UncachedSession(model).extend(tokens, last=4)
    session = CachedSession(model)
    session.extend(tokens[:-cached], last=0)
    return session.extend(tokens[-cached:])


def with_attention(model, attention):
    """The same weights under another attention."""
    module = deepcopy(model.module)
    module.set_attn_implementation(attention)
    return as_language_model(module)


@pytest.fixture(scope="module")
def of_2023(targets):
    """Architecture -> the target under the study's attention."""
    return {name: with_attention(model, BETTERTRANSFORMER) for name, model in targets.items()}


@pytest.fixture(scope="module")
def oracle():
    """What the library of 2023 computed with the embedded target's weights."""
    weights = sha256((DATA / "mini" / "target" / "model.safetensors").read_bytes()).hexdigest()
    if json.loads((ORACLE / "oracle.json").read_text())["weights_sha256"] != weights:
        pytest.fail("data/oracle/ was written for other weights of mini-target: run data/oracle/run.sh", pytrace=False)
    return load_file(ORACLE / "logits.safetensors")


@pytest.fixture(scope="module")
def mini():
    """Attention -> the embedded target."""
    return {name: load_model("mini-target", attention=name, device="cpu") for name in ("sdpa", BETTERTRANSFORMER)}


def oracle_logits(model, oracle, case):
    logits = logits_of(model, oracle["token_ids"].tolist(), CASES[case])
    return logits[:, :: model.vocab_size // oracle[f"plain, {case}"].shape[1]]


# Against the library of 2023 itself.


@pytest.mark.parametrize("case", CASES)
def test_the_rebuilt_attention_is_that_of_the_library(mini, oracle, case):
    logits = oracle_logits(mini[BETTERTRANSFORMER], oracle, case)
    assert relative(logits, oracle[f"bettertransformer, {case}"]) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_sdpa_is_the_plain_attention_of_the_library(mini, oracle, case):
    assert relative(oracle_logits(mini["sdpa"], oracle, case), oracle[f"plain, {case}"]) < 1e-4


def test_the_library_is_wrong_about_several_tokens_over_a_cache_and_right_otherwise(oracle):
    for case in CASES:
        difference = relative(oracle[f"bettertransformer, {case}"], oracle[f"plain, {case}"])
        assert difference > 0.1 if case == "four cached tokens" else difference < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_sdpa_is_the_uncached_forward(mini, oracle, case):
    tokens = oracle["token_ids"].tolist()
    full = logits_of(mini["sdpa"], tokens, None)
    logits = logits_of(mini["sdpa"], tokens, CASES[case])
    assert relative(logits, full[-len(logits) :]) < 1e-5


# On any architecture.


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_full_forwards_and_single_cached_tokens_are_right(targets, of_2023, architecture):
    for cached in (None, 1):
        logits = logits_of(of_2023[architecture], PROMPT, cached)
        assert relative(logits, logits_of(targets[architecture], PROMPT, cached)) < 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("n", [2, 3, 5])
def test_several_tokens_over_a_cache_see_the_first_keys_only(targets, of_2023, architecture, n):
    tokens = [*PROMPT, *range(20, 20 + n)]
    elsewhere = [*PROMPT[:n], *(token + 1 for token in PROMPT[n:]), *range(20, 20 + n)]
    logits = logits_of(of_2023[architecture], tokens, n)
    assert relative(logits, logits_of(targets[architecture], tokens, n)) > 0.01
    torch.testing.assert_close(logits, logits_of(of_2023[architecture], elsewhere, n), rtol=1e-5, atol=1e-5)


def test_larger_batches_are_right(target, of_2023):
    tokens = torch.tensor([PROMPT, PROMPT[::-1]])
    with torch.inference_mode():
        module = of_2023["neox"].module
        cache = module(tokens[:, :4], use_cache=True).past_key_values
        logits = module(tokens[:, 4:], past_key_values=cache).logits
        assert relative(logits, target.module(tokens).logits[:, 4:]) < 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_only_speculative_text_with_a_cache_is_not_the_targets(targets, drafts, of_2023, architecture):
    published, draft = of_2023[architecture], with_attention(drafts[architecture], BETTERTRANSFORMER)
    expected = AutoregressiveDecoder(targets[architecture]).generate(PROMPT, 24).token_ids
    for cache in (True, False):
        assert AutoregressiveDecoder(published, kv_cache=cache).generate(PROMPT, 24).token_ids == expected
        for k in (1, 3):
            right = SpeculativeDecoder(targets[architecture], ModelDrafter(drafts[architecture]), k, kv_cache=cache)
            assert right.generate(PROMPT, 24).token_ids == expected
            out = SpeculativeDecoder(published, ModelDrafter(draft), k, kv_cache=cache).generate(PROMPT, 24)
            assert (out.token_ids != expected) == cache


# Loading.


def test_it_is_loaded_by_name_and_never_by_default(checkpoint):
    model = load_model(checkpoint, attention=BETTERTRANSFORMER)
    assert model.attention == model.module.config._attn_implementation == BETTERTRANSFORMER == "bettertransformer-2023"
    assert load_model(checkpoint).attention == "sdpa"


def test_an_unknown_attention_lists_the_known_ones(checkpoint):
    with pytest.raises(ValueError, match="attention must be one of eager, sdpa, bettertransformer-2023, not 'flash'"):
        load_model(checkpoint, attention="flash")


def test_an_architecture_with_an_attention_of_its_own_is_refused(checkpoint, tmp_path):
    load_model(checkpoint).tokenizer.save_pretrained(tmp_path)
    BloomForCausalLM(BloomConfig(vocab_size=60, hidden_size=16, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"BloomForCausalLM.*needs another architecture"):
        load_model(str(tmp_path), attention=BETTERTRANSFORMER)
