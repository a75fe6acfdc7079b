"""Answers to the notebooks' exercises, judged: what was right, or which case failed and where to look."""

from importlib import import_module

from specdec_lib.exercises.given import FunctionDrafter, ToyCache
from specdec_lib.exercises.judging import Verdict, judge

__all__ = ["FunctionDrafter", "ToyCache", "Verdict", "check"]

_MODULES = ("models", "speculative", "benchmark", "figures")


def check(exercise: str, answer) -> Verdict:
    """Judge an answer to the exercise of that name; an error in the answer's own code is told, never raised.

    Raises ValueError for a name that no exercise has.
    """
    checks = {name: look for module in _MODULES for name, look in _checks(module).items()}
    if exercise not in checks:
        raise ValueError(f"There is no exercise {exercise!r}: choose among {', '.join(checks)}.")
    return judge(checks[exercise], answer)


def _checks(module: str) -> dict:
    return import_module(f"specdec_lib.exercises.{module}").CHECKS
