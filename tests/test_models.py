import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import CONTEXT, tiny_module

from specdec_lib import AutoregressiveDecoder, ModelDrafter, SpeculativeDecoder, load_model
from specdec_lib.models import EMBEDDED, PAPER, as_language_model, pick_device, resolve


def test_a_local_folder(checkpoint):
    model = load_model(checkpoint)
    assert (model.name, model.attention, model.bits, model.dtype) == (checkpoint, "sdpa", 32, "float32")
    assert (model.vocab_size, model.context, model.end_ids) == (60, CONTEXT, frozenset([1]))
    assert not model.module.training
    assert model.encode("w0 w1 nowhere") == [2, 3, 0]


def test_text_comes_in_and_goes_out(checkpoint):
    model = load_model(checkpoint)
    out = SpeculativeDecoder(model, ModelDrafter(model), 2).generate("w1 w3", 6)
    assert out.prompt_ids == [3, 5]
    assert out.text == model.tokenizer.decode(out.token_ids, skip_special_tokens=True)
    assert out.token_ids == AutoregressiveDecoder(model).generate([3, 5], 6).token_ids


def test_attentions_agree(checkpoint):
    logits = {}
    for attention in ("eager", "sdpa"):
        model = load_model(checkpoint, attention=attention)
        assert model.module.config._attn_implementation == attention == model.attention
        with torch.inference_mode():
            logits[attention] = model.module(torch.arange(20).view(1, -1)).logits
    torch.testing.assert_close(logits["eager"], logits["sdpa"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({"bits": 16}, "bfloat16"),
        ({"dtype": torch.float64}, "float64"),
        ({"bits": 16, "dtype": torch.float16}, "float16"),
    ],
)
def test_precision(checkpoint, options, dtype):
    model = load_model(checkpoint, device="cpu", **options)
    assert model.dtype == dtype
    assert model.bits == options.get("bits", 32)


def test_weights_are_counted_once():
    module = tiny_module("gpt2")
    assert module.lm_head.weight is module.transformer.wte.weight
    assert as_language_model(module).parameters == sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(("end", "ids"), [(None, set()), (4, {4}), ([4, 5], {4, 5}), (0, {0})])
def test_end_tokens(end, ids):
    assert as_language_model(tiny_module("llama", end=end)).end_ids == ids


def test_any_causal_lm_is_taken_as_it_is():
    module = tiny_module("llama").train()
    model = as_language_model(module)
    assert model.module is module
    assert not module.training
    assert as_language_model(model) is model


def test_the_names_of_the_paper():
    assert len(PAPER) == 18
    assert resolve("409M-xlsum-sft") == "u-hyszk/japanese-gpt-neox-409M-xlsum-sft"
    assert resolve("6M") == "u-hyszk/japanese-gpt-neox-6M"
    assert resolve("someone/something") == "someone/something"


@pytest.mark.parametrize("name", ["mini-targt", "409m", "./no/such/folder", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ValueError, match="Unknown model") as error:
        load_model(name)
    assert all(known in str(error.value) for known in [*EMBEDDED, *PAPER])


def test_no_network_and_no_cached_model():
    with pytest.raises(ValueError, match="connect to the network"):
        load_model("nobody/no-such-model")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 7}, "bits must be one of 32, 16, 8, 4"),
        ({"bits": 0}, "bits must be one of"),
        ({"attention": "flash"}, "attention must be one of"),
        ({"device": "gpu"}, "device must be"),
    ],
)
def test_bad_options(checkpoint, options, message):
    with pytest.raises(ValueError, match=message):
        load_model(checkpoint, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_asked_for_and_absent(checkpoint, device):
    with pytest.raises(ValueError, match="choose device cpu or auto"):
        load_model(checkpoint, device=device)
    assert pick_device() == "cpu"


@pytest.fixture
def copied(checkpoint, tmp_path):
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_weights_of_another_form_are_refused(copied):
    module = tiny_module("neox")
    (copied / "model.safetensors").unlink()
    torch.save(module.state_dict(), copied / "pytorch_model.bin")
    with pytest.raises(ValueError, match="safetensors"):
        load_model(str(copied))


def test_damaged_weights_are_refused(copied):
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match="copy"):
        load_model(str(copied))


@pytest.mark.parametrize("config", ["{", json.dumps({})])
def test_a_damaged_configuration_is_refused(copied, config):
    (copied / "config.json").write_text(config)
    with pytest.raises(ValueError, match="copy"):
        load_model(str(copied))
