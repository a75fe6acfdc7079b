import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import CONTEXT, tiny_module
from safetensors.torch import load_file, save_file
from transformers.utils import logging

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


def refusal(name, **options):
    """The one sentence in place of a model."""
    with pytest.raises(ValueError, match=r"\A[^\n]+: [^\n]+\.\Z") as error:
        load_model(str(name), **options)
    return str(error.value)


def rewrite(folder, change):
    """Change a folder's weights, given by name."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


DENSE = "gpt_neox.layers.0.attention.dense.weight"


def test_pickled_weights_are_refused_unless_asked_for(copied):
    before = load_model(str(copied)).module.state_dict()
    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    assert re.search(r"no weights in safetensors, only pickled ones .* pickled=True", refusal(copied))
    loaded = load_model(str(copied), pickled=True).module
    torch.testing.assert_close(loaded.state_dict(), before, rtol=0, atol=0)


class Harmful:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_pickled_weights_run_nothing(copied, tmp_path):
    (copied / "model.safetensors").unlink()
    torch.save({"weight": Harmful(tmp_path / "ran")}, copied / "pytorch_model.bin")
    assert "weights of" in refusal(copied, pickled=True)
    assert not (tmp_path / "ran").exists()


def test_an_empty_folder_is_refused(tmp_path, copied):
    assert "no config.json" in refusal(tmp_path)
    (copied / "model.safetensors").unlink()
    assert "has no weights" in refusal(copied)


@pytest.mark.parametrize(
    "index", [b"", b"[]", b"{}", b"\xff", {"weight_map": []}, {"weight_map": {"a": 5}}, {"weight_map": {}}]
)
def test_a_broken_index_is_refused(copied, index):
    (copied / "model.safetensors").unlink()
    content = json.dumps(index).encode() if isinstance(index, dict) else index
    (copied / "model.safetensors.index.json").write_bytes(content)
    assert re.search("has a broken model.safetensors.index.json|has no weights", refusal(copied))


@pytest.mark.parametrize("name", ["gone.safetensors", "../elsewhere.safetensors"])
def test_an_index_of_files_that_are_not_there_is_refused(copied, name):
    (copied / "model.safetensors").rename(copied.parent / "elsewhere.safetensors")
    index = json.dumps({"metadata": {}, "weight_map": {DENSE: name}})
    (copied / "model.safetensors.index.json").write_text(index)
    assert re.search(f"incomplete .{Path(name).name} not in", refusal(copied))


@pytest.mark.parametrize("kept", [0, 100, -5])
def test_damaged_weights_are_refused(copied, kept):
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    assert re.search("weights of .* delete that copy", refusal(copied))


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"{",
        b"{}",
        b"[1]",
        b"null",
        b"\xff\xfe",
        pytest.param(b'{"a":' * 100_000, id="deep"),
        {"model_type": "own"},
        {"model_type": 5},
        {"hidden_size": "32"},
        {"hidden_size": -32},
        {"hidden_size": 0},
        {"hidden_size": 10**7},
        {"num_hidden_layers": -1},
        {"num_hidden_layers": 10**9},
        {"vocab_size": None},
        {"vocab_size": 10**10},
        {"num_attention_heads": 3},
        {"max_position_embeddings": -5},
        {"hidden_act": "nothing"},
        {"eos_token_id": "</s>"},
    ],
    ids=lambda config: str(config)[:40],
)
def test_a_broken_configuration_is_refused(copied, config):
    file = copied / "config.json"
    if isinstance(config, dict):
        config = json.dumps(json.loads(file.read_text()) | config).encode()
    file.write_bytes(config)
    assert re.search("configuration of .* delete that copy", refusal(copied))


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"\xff", None])
def test_a_broken_tokenizer_is_refused(copied, content):
    file = copied / "tokenizer.json"
    file.unlink() if content is None else file.write_bytes(content)
    assert "tokenizer of" in refusal(copied)


def test_a_missing_tokenizer_is_not_made_up(copied):
    for file in copied.glob("tokenizer*"):
        file.unlink()
    assert "put tokenizer.json there" in refusal(copied)


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_a_broken_generation_configuration_is_not_overlooked(copied, content):
    (copied / "generation_config.json").write_bytes(content)
    assert "configuration of" in refusal(copied)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda weights: weights.pop(DENSE), "describes 20,992 weights and its files hold 19,968"),
        (lambda weights: weights.update(other=weights.pop(DENSE)), f"1 missing, such as {DENSE}"),
        (lambda weights: weights.update({DENSE: torch.ones(16, 64)}), f"1 of another shape, such as {DENSE}"),
        (lambda weights: weights.update(extra=torch.ones(1)), "1 not the architecture's, such as extra"),
    ],
)
def test_weights_and_configuration_belong_together(copied, change, says, caplog):
    rewrite(copied, change)
    logging.enable_propagation()
    try:
        assert says in refusal(copied)
    finally:
        logging.disable_propagation()
    assert caplog.records == []


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen2"])
def test_tied_weights_are_not_missed(tmp_path, checkpoint, architecture):
    shutil.copytree(checkpoint, tmp_path / "tied", ignore=shutil.ignore_patterns("config.json", "model*"))
    options = {} if architecture == "gpt2" else {"tie_word_embeddings": True}
    module = tiny_module(architecture, end=1, **options)
    module.save_pretrained(tmp_path / "tied")
    loaded = load_model(str(tmp_path / "tied")).module
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight
    torch.testing.assert_close(loaded.state_dict(), module.state_dict(), rtol=0, atol=0)


def test_buffers_of_older_checkpoints_are_no_fault(copied):
    mask = {"gpt_neox.layers.0.attention.bias": torch.ones(1, 1, CONTEXT, CONTEXT, dtype=torch.bool)}
    rewrite(copied, lambda weights: weights.update(mask))
    assert load_model(str(copied)).parameters == 20_992


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_are_finite(copied, value):
    rewrite(copied, lambda weights: weights[DENSE][3, 4].fill_(value))
    assert re.search(rf"not all finite \({DENSE}\): load it with more bits", refusal(copied))


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_a_quantized_model_is_checked_where_it_is_not(copied, bits):
    load_model(str(copied), bits=bits, device="cpu")
    embedding = "gpt_neox.embed_in.weight"
    rewrite(copied, lambda weights: weights.update({embedding: weights[embedding].double() * 1e300}))
    assert f"not all finite ({embedding})" in refusal(copied, bits=bits, device="cpu")


@pytest.mark.parametrize(
    ("name", "bits", "gigabytes"),
    [
        ("layer.weight", 32, 48_000.0),
        ("layer.weight", 16, 24_000.0),
        ("layer.weight", 8, 12_000.0),
        ("layer.weight", 4, 6_000.0),
        ("embed_in.weight", 4, 24_000.0),
    ],
)
def test_a_model_too_large_for_the_memory_is_refused(copied, name, bits, gigabytes):
    tensor = {"dtype": "BOOL", "shape": [10**7, 10**6], "data_offsets": [0, 10**13]}
    nothing = {"dtype": "BOOL", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({"0": nothing, "1": nothing, name: tensor}).encode()
    with (copied / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 10**13)
    message = refusal(copied, bits=bits, device="cpu")
    assert re.search(rf"needs about {gigabytes} GB of main memory and \d+\.\d GB are free: .*fewer bits", message)
