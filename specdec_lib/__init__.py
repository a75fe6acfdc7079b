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
    "Study": "measuring.study",
    "Trace": "viewer",
    "check": "exercises",
    "load_model": "models",
    "parameters": "notebook",
}
_MODULES = {
    "": """calibration decoders drafters enumeration exercises explore figures language models notebook paths profiles
        report results rouge sampling sessions tables theory traces xlsum""",
    "measuring.": "experiments forwards frequencies peers rounds speed ties",
    "reporting.": "published round_tables speed_report speed_tables verdicts",
}
_PLACES = {name: place for place, names in _MODULES.items() for name in names.split()}
__all__ = [*_HOMES, *_PLACES]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"specdec_lib.{_HOMES[name]}"), name)
    if name in _PLACES:
        return import_module(f"specdec_lib.{_PLACES[name]}{name}")
    raise AttributeError(f"module 'specdec_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
