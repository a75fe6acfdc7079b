"""What figures call drafts, sessions and numbers, in the current language."""

import re
from collections.abc import Iterable

from specdec_lib.language import say


def short(name: str) -> str:
    """A model's name where there is little room: "draft 2", "29M", or the end of a folder's path."""
    name = str(name)
    if size := re.search(r"(?<![\w.])(\d+(?:\.\d+)?[MB])(?![A-Za-z])", name):
        return size[1]
    if number := re.search(r"draft-(\d+)$", name):
        return say(f"draft {number[1]}", f"ドラフト{number[1]}")
    if name.endswith("target"):
        return say("target", "ターゲット")
    last = "".join(letter for letter in re.split(r"[/\\]", name)[-1] if letter.isprintable())
    return last if len(last) <= 16 else f"{last[:15]}…"


def session_name(session: str) -> str:
    """What a session is called in a figure."""
    names = {
        "uncached": say("no cache", "キャッシュなし"),
        "cached": say("cached", "キャッシュあり"),
        "static": say("fast path", "高速版"),
        "auto": say("auto session", "自動選択"),
    }
    return names.get(session, short(session))


def times(value: float) -> str:
    """A ratio of times as "×1.42"."""
    return say(f"×{value:.2f}", f"{value:.2f}倍")


def percent(share: float) -> str:
    """A share as "61%", below 10 % with a digit more."""
    return in_percent(f"{100 * share:.0f}" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}")


def in_percent(number: str) -> str:
    return number + say("%", "％")


def span(values: Iterable[float], form: str = ".2f") -> str:
    """Values from the lowest to the highest, in words; one where they read alike."""
    low, high = (format(value, form) for value in (min(values), max(values)))
    return low if low == high else say(f"{low} to {high}", f"{low}〜{high}")


def lookahead() -> str:
    """The label of an axis of n_lookahead."""
    return say("n_lookahead k", "先読み数 k")
