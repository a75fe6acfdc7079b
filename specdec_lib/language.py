"""The language that figures, traces and answers speak: English or Japanese."""

from collections.abc import Iterator
from contextlib import contextmanager

LANGUAGES = ("en", "ja")
_now = LANGUAGES[0]


def use(language: str) -> None:
    """From here on speak "en" or "ja"; ValueError for another."""
    global _now
    _now = checked(language)


def current() -> str:
    return _now


@contextmanager
def spoken(language: str | None) -> Iterator[str]:
    """Speak a language for a while, the current one for None."""
    before = _now
    use(language)
    try:
        yield _now
    finally:
        use(before)


def checked(language: str | None) -> str:
    """A language of ours, the current one for None; ValueError for another."""
    if language is None:
        return _now
    if language not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}, not {language!r}.")
    return language


def say(english: str, japanese: str) -> str:
    """The one of two texts that is in the language spoken."""
    return japanese if _now == "ja" else english
