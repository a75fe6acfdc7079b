"""Where rounding changes a greedy text, the two tokens were nearly tied."""

import pytest
import torch
from conftest import perturbed, tiny_module, word_tokenizer
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from specdec_lib import AutoregressiveDecoder, Study, load_model, tables
from specdec_lib.measuring import ties
from specdec_lib.models import as_language_model
from specdec_lib.profiles import QUICK
from specdec_lib.results import Results

PROMPTS = [[3, 5, 7, 11, last] for last in range(3)]


def explained(found):
    return found["gap"] <= 2 * found["noise"]


def writing(text):
    """A decoder in place of the speculative one, with a text of its own."""

    class Writer:
        token_ids = text

        def __init__(self, *_, **__):
            pass

        def generate(self, *_):
            return self

    return Writer


def test_in_32_bits_no_text_differs(target, draft):
    for prompt in PROMPTS:
        found = ties.compare(target, draft, prompt, 16)
        assert (found["tokens"], found["differs_at"], found["gap"], found["noise"]) == (16, None, None, None)
        assert found["usual_noise"] < 1e-3 < found["usual_gap"]


def test_a_difference_that_is_no_tie_is_not_explained(target, draft, monkeypatch):
    text = AutoregressiveDecoder(target).generate(PROMPTS[0], 12).token_ids
    monkeypatch.setattr(ties, "SpeculativeDecoder", writing([*text[:6], (text[6] + 1) % 60, *text[7:]]))
    found = ties.compare(target, draft, PROMPTS[0], 12)
    assert found["differs_at"] == 6
    assert not explained(found)


def test_a_tie_is_explained(draft, monkeypatch):
    """Two tokens with one and the same output row."""
    target = as_language_model(tiny_module("neox"))
    text = AutoregressiveDecoder(target).generate(PROMPTS[0], 12).token_ids
    twin = next(token for token in range(60) if token not in [*text, *PROMPTS[0]])
    with torch.no_grad():
        weight = target.module.get_output_embeddings().weight
        weight[twin] = weight[text[6]]
    plain = AutoregressiveDecoder(target).generate(PROMPTS[0], 12).token_ids
    place = next(i for i, token in enumerate(plain) if token in (twin, text[6]))
    other = twin if plain[place] == text[6] else text[6]
    monkeypatch.setattr(ties, "SpeculativeDecoder", writing([*plain[:place], other, *plain[place + 1 :]]))
    found = ties.compare(target, draft, PROMPTS[0], 12)
    assert (found["differs_at"], found["gap"]) == (place, 0)
    assert explained(found)


@pytest.mark.parametrize("bits", [8, 4])
def test_quantized_texts_differ_at_near_ties_alone(tmp_path, words, bits):
    pytest.importorskip("bitsandbytes")
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=60, eos_token_id=1, **sizes))
    for name, model in (("target", module), ("draft", perturbed(module, 0.1))):
        model.save_pretrained(tmp_path / name)
        word_tokenizer(words).save_pretrained(tmp_path / name)
    target, draft = (load_model(str(tmp_path / name), bits=bits, device="cpu") for name in ("target", "draft"))
    for prompt in PROMPTS[:2]:
        found = ties.compare(target, draft, prompt, 12)
        assert found["differs_at"] is None or explained(found)


def test_a_study_measures_each_article_once(tmp_path, monkeypatch):
    monkeypatch.setattr(ties, "ARTICLES", {32: 1, 16: 2})
    monkeypatch.setattr(ties, "NEW_TOKENS", 8)
    study = Study(QUICK, "cpu", folder=tmp_path)
    for _ in range(2):
        study.run("ties")
    assert len(study.results.rows) == 3
    table = tables.ties(Results(tmp_path))
    assert table[["bits", "dtype", "articles"]].values.tolist() == [[32, "float32", 1], [16, "bfloat16", 2]]
    assert table["differ"].tolist()[0] == 0
    assert (table["explained"] == table["differ"]).all()
    assert table["usual_noise"].tolist()[0] < 1e-3 < table["usual_noise"].tolist()[1]
