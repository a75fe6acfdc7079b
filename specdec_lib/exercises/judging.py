"""How an answer is judged: a check raises `Miss` with a message that teaches, or returns what to say to a right one."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from specdec_lib.language import say


class Miss(Exception):
    """The answer isn't right yet. The message says which case failed, what was expected, and what to look at."""


@dataclass(frozen=True)
class Verdict:
    """What a notebook shows below an exercise."""

    passed: bool
    message: str

    def __str__(self) -> str:
        return f"{'✓' if self.passed else '…'} {self.message}"

    def _repr_mimebundle_(self, **formats) -> dict[str, str]:
        colour, sign = ("#1d7a3c", "✓") if self.passed else ("#a87400", "…")
        style = f"border-left:4px solid {colour};padding:0.2em 0.8em;white-space:pre-wrap;max-width:56em"
        html = f'<div role="status" style="{style}"><b aria-hidden="true">{sign}</b> {escape(self.message)}</div>'
        return {"text/html": html, "text/plain": str(self)}


def judge(check: Callable[[object], str], answer) -> Verdict:
    """The verdict of a check on an answer."""
    try:
        return Verdict(True, check(answer))
    except Miss as miss:
        return Verdict(False, str(miss))
    except Exception as error:  # of the learner's code: a message teaches more than a traceback through ours
        told = f"{type(error).__name__}: {error}"
        return Verdict(False, say(f"Your code stopped with {told}", f"コードがエラーで止まりました（{told}）"))


def expect(right: bool, english: str, japanese: str) -> None:
    """Raise Miss with this message unless the case is right."""
    if not right:
        raise Miss(say(english, japanese))
