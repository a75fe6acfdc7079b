"""Where things lie: what comes with the package, and what a run writes."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_CLONE = _PACKAGE.parent if (_PACKAGE.parent / "reproduce.sh").exists() else None

DATA = _PACKAGE / "data" if (_PACKAGE / "data").is_dir() else _PACKAGE.parent / "data"
"""The embedded models, the news set and the published tables: in the wheel, or beside the package in a clone."""

HOME = _CLONE or Path.cwd()
"""Where results and figures go: the clone's folder, or the working folder of an installed package."""

RUNS = HOME / "runs"
"""Measured rows and executed notebooks, a folder a profile."""


def output(profile: str) -> Path:
    """Where a profile's RESULTS.md and figures/ go: a quick look must not replace the real ones."""
    return RUNS / profile if profile == "quick" else HOME
