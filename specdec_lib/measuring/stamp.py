"""The environment that rows are measured in: what they must share to be put together, and facts beside it."""

import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from specdec_lib.paths import HOME, PACKAGE

MEASURING_MODULES = [
    "sampling",
    "sessions",
    "neox",
    "linears",
    "graphs",
    "drafters",
    "vocabulary",
    "theory",
    "lookahead",
    "clock",
    "workspace",
    "calibration",
    "decoders",
    "attention",
    "models",
    "measuring/cells",
    "measuring/lab",
    "measuring/bench",
    "measuring/grid",
    "measuring/forwards",
    "measuring/rounds",
    "measuring/frequencies",
    "measuring/ties",
    "measuring/peers",
    "measuring/ways",
    "measuring/speed",
    "xlsum",
    "rouge",
]
PACKAGES = ["accelerate", "datasets", "evaluate", "huggingface-hub", "numpy", "safetensors", "tokenizers"]
VECTOR_FLAGS = re.compile(r"(sse4|avx|amx|fma|f16c|bf16|asimd|sve|neon)")
GPU_FACTS = ["driver_version", "power.limit", "clocks.max.sm", "clocks.max.mem"]


def code_version() -> str:
    """A hash of the modules that decode and measure: editing any other file voids no result."""
    digest = hashlib.sha256()
    for module in MEASURING_MODULES:
        digest.update((PACKAGE / f"{module}.py").read_bytes())
    return digest.hexdigest()[:12]


def file_version(file: Path) -> str:
    """A hash of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:12]


def environment(device: str, threads: int, seed: int = 0, sources: Mapping[str, str] | None = None) -> dict:
    """What rows put together must share, with an `id` that is the same wherever all of it is; and `facts` beside it.

    device: "cpu" or "cuda", with or without a number. sources: of each model and the articles, the version measured.
    """
    shared = {
        "machine": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "bitsandbytes")},
        "seed": seed,
        "code": code_version(),
        "sources": dict(sources or {}),
    }
    return {"id": hashlib.sha256(json.dumps(shared).encode()).hexdigest()[:12], **shared, "facts": facts(device)}


def facts(device: str) -> dict:
    """Memory, processor flags, libraries, the tree's commit, and the GPU's driver, memory, power limit and clocks."""
    found = {
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "flags": " ".join(_vector_flags()) or None,
        **{package: _version(package) for package in PACKAGES},
        **_tree(),
    }
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        found |= {"cuda": torch.version.cuda, "gpu_memory": f"{properties.total_memory / 2**30:.0f} GiB"}
        found |= gpu_facts(getattr(properties, "uuid", None))
    return {name: value for name, value in found.items() if value is not None}


def _processor() -> str:
    for line in _processor_lines("model name"):
        return line
    return platform.processor() or platform.machine()


def _vector_flags() -> list[str]:
    for line in [*_processor_lines("flags"), *_processor_lines("Features")]:
        return [flag for flag in line.split() if VECTOR_FLAGS.match(flag)]
    return []


def _processor_lines(name: str) -> list[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return [line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == name]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tree() -> dict[str, str]:
    """The clone's commit, and whether the working tree is that commit; nothing outside a clone."""
    commit = _output("git", "-C", str(HOME), "rev-parse", "HEAD")
    if commit is None or not (HOME / "reproduce.sh").exists():
        return {}
    changed = _output("git", "-C", str(HOME), "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit[:12], "tree": "changed" if changed else "clean"}


def gpu_facts(uuid: object | None) -> dict[str, str]:
    """Of the GPU with this UUID, as nvidia-smi reads them; what can't be read is left out."""
    which = [f"--id=GPU-{uuid}"] if uuid else []
    line = _output("nvidia-smi", *which, f"--query-gpu={','.join(GPU_FACTS)}", "--format=csv,noheader")
    values = [value.strip() for value in (line or "").split("\n")[0].split(",")]
    if len(values) != len(GPU_FACTS):
        return {}
    return {name: value for name, value in zip(GPU_FACTS, values, strict=True) if not value.startswith("[")}


def _output(*command: str) -> str | None:
    """What a command prints; None where it isn't there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
