"""Titles in lines."""

import unicodedata
from collections.abc import Iterable

import numpy as np

from specdec_lib.figures.style import STYLE

NOT_FIRST = "、。，．：；）」』】・ー〜…％%!?！？)],.:;"
"""What no line of a Japanese title begins with."""

TIED = {" = ": "\0=\0", " / ": "\0/ "}
"""Where no line is broken at a space."""


def wrapped(sentence: str, inches: float, size: float = STYLE["figure.titlesize"]) -> str:
    """A title in as few lines as a figure's width allows, of about one length.

    Broken at spaces, in Japanese where a phrase may begin.
    """
    room = 0.97 * inches * 72 / size
    lines = _lines(sentence, room)
    for narrower in np.arange(room, room / 2, -0.5):
        if len(tried := _lines(sentence, narrower)) > len(lines):
            break
        lines = tried
    return "\n".join(lines).replace("\0", " ")


def _lines(sentence: str, room: float) -> list[str]:
    for spaced, tied in TIED.items():
        sentence = sentence.replace(spaced, tied)
    lines, line = [], ""
    for piece in _pieces(sentence):
        if line and _ems(line + piece.rstrip()) > room:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line]


def _pieces(sentence: str) -> Iterable[str]:
    """What may stand alone on a line, in turn."""
    piece = ""
    for before, letter in zip(f" {sentence}", sentence, strict=False):
        if piece and _may_break(before, letter):
            yield piece
            piece = ""
        piece += letter
    yield piece


def _may_break(before: str, letter: str) -> bool:
    """After spaces and Japanese stops; else where a phrase may begin: not with hiragana, nor within a word."""
    if before == " ":
        return True
    if letter in NOT_FIRST or before in "「『（〜" or not (_wide(before) or _wide(letter)):
        return False
    scripts = _script(before), _script(letter)
    return before in "、。" or (scripts[1] != "HIRAGANA" and scripts[0] not in (scripts[1], "DIGIT"))


def _script(letter: str) -> str:
    """HIRAGANA, KATAKANA, CJK (of kanji), DIGIT, or another beginning of a letter's Unicode name."""
    return "KATAKANA" if letter == "ー" else unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]


LARGE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZmw%&")


def _wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def _ems(text: str) -> float:
    """About how wide a text is, in units of its size: the font's Greek and signs are as wide as its Japanese."""
    wide = [unicodedata.east_asian_width(letter) in "WFA" for letter in text]
    return sum(
        1.0 if is_wide else 0.68 if letter in LARGE else 0.51 for letter, is_wide in zip(text, wide, strict=True)
    )
