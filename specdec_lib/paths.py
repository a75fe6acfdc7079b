"""Where things lie: what comes with the package, and what a run writes."""

import errno
import os
from pathlib import Path

PACKAGE = Path(__file__).parent
_CLONE = PACKAGE.parent if (PACKAGE.parent / "reproduce.sh").exists() else None

DATA = PACKAGE / "data" if (PACKAGE / "data").is_dir() else PACKAGE.parent / "data"
"""The embedded models, the news set and the published tables: in the wheel, or beside the package in a clone."""

HOME = _CLONE or Path.cwd()
"""Where results and figures go: the clone's folder, or the working folder of an installed package."""

RUNS = HOME / "runs"
"""Measured rows and executed notebooks, a folder a profile."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "specdec"
"""What is made once and kept for this user."""


def possible(path: str | Path) -> bool:
    """Whether a file could have this name: it isn't too long, has no NUL in it and is no half of a surrogate pair."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    except ValueError:
        return False
    return True


def write(file: Path, text: str) -> None:
    """Write a file whole or not at all, its folder too; ValueError, saying why, where that is impossible."""
    unfinished = file.with_name(f"{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8") as content:
            content.write(text)
            content.flush()
            os.fsync(content.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise ValueError(
            f"{file.name} can't be written to {file.parent} ({error.strerror}): make room or mend its permissions."
        ) from error


def output(profile: str) -> Path:
    """Where a profile's RESULTS.md and figures/ go: a quick look or another model must not replace the study's."""
    return RUNS / profile if profile in ("quick", "gemma") else HOME


def figures(out: Path, lang: str) -> Path:
    """The figures beside a report, in a language: figures/, and a folder in it for all but English."""
    return out / "figures" / ("" if lang == "en" else lang)
