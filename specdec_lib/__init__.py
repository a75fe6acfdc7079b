"""Speculative decoding in Japanese: the decoders, their measurement and the paper's experiments.

Names are loaded when they are first used, so that `import specdec_lib` and `specdec --help` take no time.
"""

import warnings
from importlib import import_module

__version__ = "0.1.0"

warnings.filterwarnings("ignore", "IProgress not found")  # a notebook without widgets lacks nothing here

_HOMES = {
    "AutoregressiveDecoder": "decoders",
    "FirstDrafter": "drafters",
    "Generation": "decoders",
    "ModelDrafter": "drafters",
    "PromptLookupDrafter": "drafters",
    "SpeculativeDecoder": "decoders",
    "Step": "decoders",
    "Study": "study",
    "load_model": "models",
    "parameters": "notebook",
}
_MODULES = [
    "calibration",
    "decoders",
    "drafters",
    "enumeration",
    "experiments",
    "figures",
    "forwards",
    "frequencies",
    "models",
    "notebook",
    "paths",
    "peers",
    "profiles",
    "published",
    "report",
    "results",
    "rouge",
    "round_tables",
    "rounds",
    "sampling",
    "sessions",
    "speed",
    "speed_report",
    "speed_tables",
    "tables",
    "theory",
    "ties",
    "traces",
    "xlsum",
]
__all__ = [*_HOMES, *_MODULES]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"specdec_lib.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"specdec_lib.{name}")
    raise AttributeError(f"module 'specdec_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
