"""Tiny random models, built once: their logits differ strongly, so that a wrong context shows in the text."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the network

from types import SimpleNamespace

import pytest
import torch
from hub import Hub, serving
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _http
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from specdec_lib.models import as_language_model

pytest.register_assert_rewrite("checks")

ARCHITECTURES = ["neox", "gpt2", "llama", "qwen2", "gemma3"]  # the last with layers that see a window
CONTEXT = 64
CAUGHT = pytest.StashKey[dict[str, list[str]]]()  # mutant -> the checks that caught it


def tiny_module(architecture, seed=5, vocab=60, end=None, context=CONTEXT, scale=10.0, **options):
    """A random causal LM, by default of 2 layers x 32, whose logits spread over tens of units."""
    tokens = {"vocab_size": vocab, "bos_token_id": None, "eos_token_id": end, "pad_token_id": None}
    if architecture == "gpt2":
        kind = GPT2LMHeadModel
        config = GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=context, **tokens)
    else:
        kind, configuration = {
            "neox": (GPTNeoXForCausalLM, GPTNeoXConfig),
            "llama": (LlamaForCausalLM, LlamaConfig),
            "qwen2": (Qwen2ForCausalLM, Qwen2Config),
            "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig),
        }[architecture]
        grouped = {} if architecture == "neox" else {"num_key_value_heads": 2}
        if architecture == "gemma3":
            windows = ["sliding_attention", "full_attention"]
            grouped |= {"sliding_window": 16, "layer_types": windows, "head_dim": 8, "query_pre_attn_scalar": 8}
            grouped |= {"tie_word_embeddings": False}
        options = {"hidden_size": 32} | grouped | options
        config = configuration(
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=context,
            **options,
            **tokens,
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind(config)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.dim() > 1:
                weight.mul_(scale)
    return module.eval()


def perturbed(module, amount, seed=1):
    """A model near the given one: a draft that agrees with it often, but not always."""
    near = type(module)(module.config).eval()
    near.load_state_dict(module.state_dict())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in near.parameters():
            if weight.dim() > 1:
                weight.add_(torch.randn(weight.shape, generator=generator) * weight.std() * amount)
    return near


def word_tokenizer(words):
    """Each word, between spaces, is one token."""
    model = WordLevel({word: number for number, word in enumerate(words)}, unk_token=words[0])
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=words[0], eos_token=words[1])


@pytest.fixture
def waits():
    """Seconds that the client would have slept."""
    return []


@pytest.fixture
def hub(tmp_path, monkeypatch, waits):
    """A hub without anything, which the client knows as the only one, with an empty cache."""
    for module in (_http, file_download):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serving(Hub()) as hub:
        ask(hub.endpoint, monkeypatch)
        yield hub
    _http.close_session()


def ask(endpoint, monkeypatch):
    """Let the client ask another hub."""
    _http.close_session()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture(scope="session")
def targets():
    """Architecture -> LanguageModel without an end token."""
    return {name: as_language_model(tiny_module(name)) for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def drafts(targets):
    """Architecture -> a draft near that target."""
    return {name: as_language_model(perturbed(model.module, 0.1)) for name, model in targets.items()}


@pytest.fixture(scope="session")
def target(targets):
    return targets["neox"]


@pytest.fixture(scope="session")
def draft(drafts):
    return drafts["neox"]


@pytest.fixture(scope="session")
def words():
    return ["<unk>", "</s>", *(f"w{number}" for number in range(58))]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, words):
    """A folder as transformers saves it: a tiny GPT-NeoX with a tokenizer, its end token set."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_module("neox", end=1).save_pretrained(folder)
    word_tokenizer(words).save_pretrained(folder)
    return str(folder)


def pytest_terminal_summary(terminalreporter, config):
    """Say which check catches which mutant, where mutants were run."""
    if caught := config.stash.get(CAUGHT, {}):
        terminalreporter.section("mutants, and the checks that catch them")
        width = max(map(len, caught))
        for name, checks in caught.items():
            terminalreporter.write_line(f"{name:{width}}  {', '.join(checks) or 'NONE'}")
