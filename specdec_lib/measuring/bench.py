"""One device at work: tasks measured one at a time, and what becomes of those that fail."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch

from specdec_lib.decoders import AutoregressiveDecoder
from specdec_lib.measuring.experiments import experiments_of
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.plan import PlainSeconds
from specdec_lib.measuring.tasks import Failure, Task


class DeviceLost(ValueError):
    """The GPU can't be used by this process any more."""


class Bench:
    """Measures the tasks of a lab's experiments. The same code runs alone and as a worker of a cluster.

    A cell that can't be warmed up is given up; a task that fails later leaves the others of its cell alone. What runs
    out of memory is tried once more after every model was let go of.
    """

    devices = 1

    def __init__(self, lab: Lab, environment_id: str):
        self.lab, self.environment_id = lab, environment_id
        self.experiments = experiments_of(lab)
        self._warm: set[tuple[str, str]] = set()
        self._given_up: dict[tuple[str, str], str] = {}

    def plain_seconds(self) -> dict[str, PlainSeconds]:
        """What plain decoding takes, with a cache and without, from one short text."""
        target, seconds = self.lab.model(self.lab.profile.target), {}
        for session in ("cached", "uncached"):
            decoder = AutoregressiveDecoder(target, session=session)
            decoder.generate(self.lab.prompts[0], max_new_tokens=1)
            text = decoder.generate(self.lab.prompts[0], max_new_tokens=8)
            token = (text.seconds - text.prompt_seconds) / len(text.token_ids)
            seconds[session] = PlainSeconds(text.prompt_seconds, token)
        return seconds

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[dict | Failure]:
        """Rows and failures in the order of the tasks; each block is warmed up before its first task is timed."""
        for _, block in groupby(tasks, key=lambda task: (task.experiment, task.block)):
            together = list(block)
            for task in together:
                self.warm_up(task)
            yield from map(self.outcome, together)
        self._start_anew()

    def outcome(self, task: Task) -> dict | Failure:
        """The row of one task, or why there is none."""
        self.warm_up(task)
        if reason := self._given_up.get((task.experiment, task.cell)):
            return Failure(task, reason)
        measured = self._attempt(task, self._measure)
        if isinstance(measured, Failure):
            self._check_device()
            return measured
        return {
            "environment": self.environment_id,
            "profile": self.lab.profile.name,
            "experiment": task.experiment,
            "cell": task.cell,
            "prompt": task.prompt,
            "repeat": task.repeat,
            "max_new_tokens": task.max_new_tokens,
            **measured,
        }

    def warm_up(self, task: Task) -> None:
        """Do what must not be timed, once for each cell."""
        cell = (task.experiment, task.cell)
        if cell not in self._given_up:
            failed = self._attempt(task, self._warm_up)
            if isinstance(failed, Failure):
                self._check_device()
                self._given_up[cell] = failed.reason

    def _warm_up(self, task: Task) -> None:
        cell = (task.experiment, task.cell)
        if cell not in self._warm:
            self.experiments[task.experiment].warm_up(task)
            self._warm.add(cell)

    def _measure(self, task: Task) -> dict:
        self._warm_up(task)
        return self.experiments[task.experiment].measure(task)

    def _attempt(self, task: Task, work: Callable[[Task], dict | None]) -> dict | Failure | None:
        """What the work returns, or its failure; once more, with all memory free, where there was too little."""
        try:
            return work(task)
        except Exception as error:
            if not _lacks_memory(error):
                return Failure(task, _reason(error))
        try:  # here the first error is gone, and what its frames held
            self._start_anew()
            self.lab.unload()
            return work(task)
        except Exception as error:
            return Failure(task, _reason(error))

    def _start_anew(self) -> None:
        """Let go of what experiments keep, such as sessions, wherever they are known by name."""
        self.experiments.update(experiments_of(self.lab))
        self._warm = set()

    def _check_device(self) -> None:
        """Raise DeviceLost where a GPU answers no more, as all tasks to come would fail at once."""
        if self.lab.device.startswith("cuda"):
            try:
                torch.zeros(1, device=self.lab.device).item()
            except RuntimeError as error:
                raise DeviceLost(
                    f"{self.lab.device} answers no more ({_reason(error)}): run the same command again, which goes on."
                ) from error


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether this error or what caused it is a lack of memory, which a processor's allocator tells in words alone."""
    return error is not None and (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "not enough memory" in str(error)
        or "can't allocate memory" in str(error)
        or "CUDA error: out of memory" in str(error)
        or "ALLOC_FAILED" in str(error)
        or _lacks_memory(error.__cause__)
    )


def _reason(error: Exception) -> str:
    """One line, with the kind of error where its words alone would not tell."""
    words = " ".join(str(error).split())[:500]
    return words if isinstance(error, ValueError) and words else f"{type(error).__name__}: {words}"
