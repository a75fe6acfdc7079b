"""What a study has to measure, and about how long it takes."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from specdec_lib.language import say
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


def extent(name: str, tasks: Sequence[Task], missing: int) -> str:
    """How much there is of an experiment."""
    cells, prompts = (len({getattr(task, of) for task in tasks}) for of in ("cell", "prompt"))
    return say(
        f"{name}: {cells} cells x {prompts} prompts, {len(tasks)} rows, {missing} to run",
        f"{name}：{cells}条件 × {prompts}プロンプト、計{len(tasks)}行、未測定{missing}行",
    )


def estimate(seconds: float, devices: int) -> str:
    """About how long it takes on so many devices."""
    on = say(f" on {devices} devices", f"（デバイス{devices}台）") if devices > 1 else ""
    return say("about ", "所要時間：約") + duration(seconds) + on


def duration(seconds: float) -> str:
    """A length of time in words, to three figures at most."""
    units = (say(" days", "日"), 86_400, 1), (say(" h", "時間"), 3600, 1), (say(" min", "分"), 60, 0)
    for unit, size, digits in units:
        if seconds >= 1.5 * size:
            return f"{seconds / size:.{digits}f}{unit}"
    return f"{max(1, round(seconds))}" + say(" s", "秒")
