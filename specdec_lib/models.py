"""The checkpoints by name, and how one is loaded."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import ERROR, getLogger
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from specdec_lib import weights
from specdec_lib.attention import BETTERTRANSFORMER
from specdec_lib.paths import DATA, RUNS, possible

EMBEDDED = ["mini-target", "mini-draft-1", "mini-draft-2", "mini-draft-3", "mini-draft-4", "mini-draft-5"]
"""The family that comes with the package, target first, drafts by rising size."""

PAPER_SIZES = ["6M", "13M", "29M", "47M", "72M", "115M", "165M", "247M", "409M"]
"""The paper's checkpoints, by parameter count: pre-trained as "409M", fine-tuned on XL-Sum as "409M-xlsum-sft"."""

PAPER = {
    f"{size}{tuning}": f"u-hyszk/japanese-gpt-neox-{size}{tuning}"
    for size in PAPER_SIZES
    for tuning in ("", "-xlsum-sft")
}

REPLICA = {f"replica-{size}": RUNS / "replica-models" / size for size in PAPER_SIZES}
"""Stand-ins of the paper's sizes, which `data/mini/train.py --sizes paper` trains."""

GEMMA = "gemma-3-270m"
"""A real model that writes Japanese, and needs no hub (`gemma.py`)."""

GEMMA_DRAFTS = ["gemma-draft-1", "gemma-draft-2"]
"""Drafts for it, by rising size, over a small part of its vocabulary."""

USUAL_DRAFT = {EMBEDDED[0]: "mini-draft-4", GEMMA: GEMMA_DRAFTS[-1]}
"""The draft of a target where none is named."""

ATTENTIONS = ["eager", "sdpa", BETTERTRANSFORMER]
BITS = [32, 16, 8, 4]

PIECES = "pieces.json"
"""The file of a draft's own vocabulary, in its folder."""

LOCAL = {"local_files_only": True, "trust_remote_code": False}
"""How transformers is asked: it opens files that are here, and runs none of them."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal LM of transformers with its tokenizer and how it was loaded."""

    module: PreTrainedModel
    tokenizer: object | None
    name: str
    attention: str
    bits: int
    revision: str | None = None
    """The hub's commit; None for a local folder."""
    pieces: tuple[str, ...] | None = None
    """The tokens of a draft with a vocabulary of its own, as the target's tokenizer writes them (`vocabulary.py`)."""

    @property
    def device(self) -> torch.device:
        return self.module.device

    @property
    def dtype(self) -> str:
        return str(self.module.dtype).removeprefix("torch.")

    @property
    def vocab_size(self) -> int:
        return self.module.config.get_text_config().vocab_size

    @property
    def context(self) -> float:
        """Tokens that fit, prompt and new ones together; infinite where the configuration doesn't say."""
        return getattr(self.module.config.get_text_config(), "max_position_embeddings", None) or float("inf")

    @property
    def parameters(self) -> int:
        """Weights, tied ones counted once."""
        return self.module.num_parameters()

    @property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a text."""
        ends = self.module.generation_config.eos_token_id
        return frozenset([ends] if isinstance(ends, int) else ends or [])

    def encode(self, text: str) -> list[int]:
        if self.tokenizer is None:
            raise ValueError(f"{self.name} came without a tokenizer: give the prompt as token ids.")
        return self.tokenizer(text, verbose=False).input_ids


def as_language_model(model: LanguageModel | PreTrainedModel) -> LanguageModel:
    """Any causal LM of transformers, as it is; prompts for it are token ids."""
    if isinstance(model, LanguageModel):
        return model
    name = model.config.name_or_path or type(model).__name__
    attention = model.config._attn_implementation
    revision = getattr(model.config, "_commit_hash", None)
    return LanguageModel(model.eval(), None, name, attention, bits=8 * model.dtype.itemsize, revision=revision)


def check_pair(target: LanguageModel, draft: LanguageModel) -> None:
    """Raise ValueError unless both are on one device and a token means the same to both.

    A draft with a vocabulary of its own (`pieces`) must have half of it in common with the target.
    """
    check_device(target, draft)
    if draft.pieces is not None:
        known = len(known_pieces(target, draft))
        if 2 * known < len(draft.pieces):
            raise ValueError(
                f"{target.name} has {known} of the {len(draft.pieces)} tokens of {draft.name}: choose a draft that was "
                "made for this target (`specdec models`)."
            )
        return
    if target.vocab_size != draft.vocab_size:
        raise ValueError(
            f"{draft.name} knows {draft.vocab_size} tokens and {target.name} {target.vocab_size}: "
            "draft and target must share one vocabulary. Choose a draft of the target's family (`specdec models`)."
        )
    if target.tokenizer and draft.tokenizer and target.tokenizer.get_vocab() != draft.tokenizer.get_vocab():
        raise ValueError(
            f"{draft.name} and {target.name} have different tokenizers: the same number means different text to each. "
            "Choose a draft of the target's family (`specdec models`)."
        )


def known_pieces(target: LanguageModel, draft: LanguageModel) -> dict[str, int]:
    """The target's ids of those pieces of a draft that it has."""
    if target.tokenizer is None:
        raise ValueError(f"{target.name} came without a tokenizer, by which {draft.name} would know its tokens.")
    ids = target.tokenizer.get_vocab()
    return {piece: ids[piece] for piece in draft.pieces if ids.get(piece, target.vocab_size) < target.vocab_size}


def check_device(target: LanguageModel, draft: LanguageModel) -> None:
    """Raise ValueError unless both are on one device."""
    if target.device != draft.device:
        raise ValueError(
            f"{draft.name} is on {draft.device} and {target.name} on {target.device}: load both on one device."
        )


def resolve(name: str) -> str:
    """What transformers loads for a name: a registry name, a hub id "owner/name" or a local folder."""
    if name in EMBEDDED:
        return str(DATA / "mini" / name.removeprefix("mini-"))
    if name in PAPER:
        return PAPER[name]
    if name == GEMMA:
        from specdec_lib import gemma  # which only it needs

        return gemma.source()
    if name in GEMMA_DRAFTS:
        return str(DATA / "gemma-drafts" / name.removeprefix("gemma-"))
    if name in REPLICA:
        if (REPLICA[name] / "config.json").exists():
            return str(REPLICA[name])
        raise ValueError(f"{name} is not trained yet: run `python data/mini/train.py --sizes paper` in a clone first.")
    if name and possible(name) and Path(name).is_dir():
        if (Path(name) / "config.json").exists():
            return name
        raise ValueError(f"The folder {name} holds no model: there is no config.json in it.")
    if name.count("/") == 1:
        return name
    raise ValueError(
        f"Unknown model {name!r}. Known are {', '.join([*EMBEDDED, *PAPER, GEMMA, *GEMMA_DRAFTS])}; "
        "a hub id (owner/name) or a local folder works too."
    )


def pick_device(device: str = "auto") -> str:
    """ "auto" is CUDA where there is one, else the CPU."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = device.split(":")[0]
    if not re.fullmatch("(cpu|cuda)(:[0-9]{1,3})?", device):
        raise ValueError(f"device must be auto, cpu or cuda, not {device!r}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError("This machine has no CUDA device that PyTorch can use: choose device cpu or auto.")
    return device


def load_model(
    name: str,
    attention: str = "sdpa",
    bits: int = 32,
    device: str = "auto",
    dtype: torch.dtype | None = None,
    revision: str | None = None,
    pickled: bool = False,
) -> LanguageModel:
    """Load a checkpoint and its tokenizer.

    name: of the registry (`EMBEDDED`, `PAPER`), a hub id or a local folder. attention: "eager" or "sdpa", today's name
    for what the paper calls BetterTransformer; "bettertransformer-2023" is what the study's library computed under that
    name, which is not the model where speculative decoding meets a cache (see `attention.py`). bits: 32; 16, which is
    fp16 on CUDA (the paper's) and bf16 on the CPU; 8 and 4 (NF4), quantized by bitsandbytes, with the rest in a 16-bit
    type. dtype overrides. revision: a branch, tag or commit of the hub's; `hub.REVISIONS` says which by default.
    pickled: take weights in PyTorch's pickled form, read as data alone, where there are none in safetensors. Code that
    comes with a checkpoint is never run.
    Raises ValueError, saying what to do, for an unknown name or option or a model that can't be had, doesn't fit in
    memory, or whose files are broken or don't belong together.
    """
    if attention not in ATTENTIONS:
        raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {attention!r}.")
    if bits not in BITS:
        raise ValueError(f"bits must be one of {', '.join(map(str, BITS))}, not {bits}.")
    device = pick_device(device)
    source = resolve(name)
    folder, commit = (Path(source), None) if Path(source).is_dir() else _from_hub(source, revision, pickled)
    if revision and not commit:
        raise ValueError(f"{name} is a folder on this machine: a revision can be asked of the hub's models only.")
    # int8 layers compute in fp16 everywhere, and say so once a layer when given anything else.
    half = torch.float16 if device.startswith("cuda") or bits == 8 else torch.bfloat16
    options = {"dtype": dtype or (torch.float32 if bits == 32 else half), "attn_implementation": attention}
    if bits < 16:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_8bit=bits == 8,
            load_in_4bit=bits == 4,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=options["dtype"],
        )
        options["device_map"] = {"": device}
    places = [device] if bits < 16 else list(dict.fromkeys(["cpu", device]))
    with quiet():
        files = weights.choose(folder, name, pickled)
        shapes = _examine(name, folder, files)
        weights.check_size(name, shapes, bits if bits < 16 else 8 * options["dtype"].itemsize, places)
        with _sentence(name, folder, "model"):
            module, info = AutoModelForCausalLM.from_pretrained(
                folder,
                use_safetensors=files[0].suffix == ".safetensors",
                weights_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **LOCAL,
                **options,
            )
        weights.check_loaded(name, module, info)
        pieces = _pieces(name, folder, module.config.get_text_config().vocab_size)
        tokenizer = None if pieces else _tokenizer(name, folder)
    if attention == BETTERTRANSFORMER and not module._supports_attention_backend:
        raise ValueError(
            f"{name} is a {type(module).__name__}, whose attention transformers can't replace: "
            f"{BETTERTRANSFORMER} needs another architecture, such as GPT-NeoX."
        )
    if bits >= 16:
        with _sentence(name, folder, "model"):
            module.to(device)
    return LanguageModel(module.eval(), tokenizer, name, attention, bits, commit, pieces)


def _tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    with _sentence(name, folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
        tokenizer.decode(tokenizer("a", verbose=False).input_ids)  # a broken one may load and fail when it's used
        _ = tokenizer.all_special_ids  # asks without end for an unknown token that isn't in the vocabulary
    if len(tokenizer.get_vocab()) <= len(tokenizer.added_tokens_decoder):
        raise ValueError(f"There is no vocabulary for the tokenizer of {name} in {folder}: put tokenizer.json there.")
    return tokenizer


def _pieces(name: str, folder: Path, size: int) -> tuple[str, ...] | None:
    """The tokens of a draft that has a vocabulary of its own, `size` of them."""
    file = folder / PIECES
    if not file.is_file():
        return None
    with _sentence(name, folder, "vocabulary"):
        pieces = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(pieces, list) and len(pieces) == size and all(isinstance(piece, str) for piece in pieces)):
            raise ValueError(f"{PIECES} is no list of {size} texts")
    return tuple(pieces)


def _from_hub(hub_id: str, revision: str | None, pickled: bool) -> tuple[Path, str]:
    from specdec_lib import hub  # local models do without it

    return hub.checkpoint(hub_id, revision, pickled)


def _examine(name: str, folder: Path, files: list[Path]) -> dict[str, tuple[int, ...]]:
    """The weights' shapes; ValueError where the configuration can't be used or asks for more than the files hold."""
    with _sentence(name, folder, "weights"):
        shapes = weights.shapes(files)
    with _sentence(name, folder, "configuration"):
        config = AutoConfig.from_pretrained(folder, **LOCAL)
        text = config.get_text_config()
        layers, positions = (getattr(text, size, None) for size in ("num_hidden_layers", "max_position_embeddings"))
        if (layers or 0) < 0 or (positions or 1) < 1:
            raise ValueError(f"{layers} layers over {positions} positions")
        if (folder / "generation_config.json").is_file():  # of which transformers overlooks that it is broken
            GenerationConfig.from_pretrained(folder, local_files_only=True)
    if (layers or 0) > len(shapes):
        raise ValueError(
            f"The configuration of {name} describes {layers} layers and its files hold {len(shapes)} tensors: "
            "they don't belong together, so delete that copy and load it again."
        )
    with _sentence(name, folder, "configuration"), torch.device("meta"):
        described = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    if not hasattr(config, "quantization_config"):
        weights.check_described(name, described, shapes)
    return shapes


@contextmanager
def _sentence(name: str, folder: Path, part: str) -> Iterator[None]:
    """One sentence for whatever transformers raises about a part of a checkpoint: it may be nearly anything."""
    try:
        yield
    except Exception as error:
        text = " ".join(str(error).split())
        if "custom code" in text or "trust_remote_code" in text:
            message = f"{name} needs code that comes with it, which is never run here: choose another model."
        elif isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in text:
            message = f"{name} doesn't fit in memory: load it with fewer bits, or choose a smaller model or device cpu."
        elif "CUDA" in text or "bitsandbytes" in text:
            message = (
                f"{name} can't be brought to its device ({type(error).__name__}: {text[:200]}): "
                "choose device cpu or 16 or 32 bits, or mend what the message names."
            )
        else:
            message = (
                f"The {part} of {name} can't be used ({type(error).__name__}: {text[:200]}): "
                f"delete that copy ({folder}) and load it again, or choose another model."
            )
        raise ValueError(message) from error


class quiet:
    """No progress bar for weights that load in a second, no notice of an optional package, no table before an error."""

    def __enter__(self) -> None:
        getLogger("bitsandbytes.backends.cpu.ops").setLevel(ERROR)
        self.bars = logging.is_progress_bar_enabled()
        self.verbosity = logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity_error()

    def __exit__(self, *_) -> None:
        logging.set_verbosity(self.verbosity)
        if self.bars:
            logging.enable_progress_bar()
