"""What can be measured on its own: a task gives one row, and an experiment is a list of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

KEY = ("experiment", "cell", "prompt", "repeat", "max_new_tokens")


@dataclass(frozen=True)
class Task:
    """One row to measure.

    KEY names it, the same in every run. block: tasks of one block are compared with one another, and so run in turn on
    one device. work: what the experiment needs to measure it.
    """

    experiment: str
    cell: str
    prompt: str
    repeat: int
    max_new_tokens: int
    block: str = field(compare=False)
    work: tuple = field(compare=False)

    @property
    def key(self) -> tuple:
        return tuple(getattr(self, name) for name in KEY)


class Experiment(Protocol):
    """What is measured under one name, on the models and articles of a `Lab`."""

    name: str

    def tasks(self) -> Iterable[Task]:
        """All of them, a block after the other."""

    def warm_up(self, task: Task) -> None:
        """Do what must not be timed, once for each cell."""

    def measure(self, task: Task) -> dict:
        """The columns of its row, beside the key."""


@dataclass(frozen=True)
class Failure:
    """A task that gave no row, and why."""

    task: Task
    reason: str
