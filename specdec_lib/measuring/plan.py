"""What a study has to measure, and about how long it takes."""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import NamedTuple

from specdec_lib.measuring.tasks import Task

TYPICAL_TOKENS = 64  # of a summary
BRIEF = 0.05  # seconds of what doesn't decode


class PlainSeconds(NamedTuple):
    """What plain decoding takes in one session."""

    prompt: float
    token: float


class Pace:
    """Seconds that tasks take: the mean of their experiment's rows, or else by those of plain decoding."""

    def __init__(self, plain: Mapping[str, PlainSeconds], rows: Iterable[Mapping]):
        self.plain = {**plain, **dict.fromkeys(("static", "auto", None), plain["cached"])}
        timed: dict[str, list[float]] = {}
        for row in rows:
            if row.get("seconds"):
                timed.setdefault(row["experiment"], []).append(row["seconds"])
        self.mean = {experiment: fmean(seconds) for experiment, seconds in timed.items()}

    def seconds(self, tasks: Iterable[Task]) -> float:
        return sum(self.mean.get(task.experiment) or self._guess(task) for task in tasks)

    def _guess(self, task: Task) -> float:
        prompt, token = self.plain.get(getattr(task.work[0], "session", "none"), (0, 0))
        return prompt + token * min(task.max_new_tokens, TYPICAL_TOKENS) or BRIEF


def duration(seconds: float) -> str:
    """A length of time in words, to two figures at most."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}" if unit != "min" else f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
