"""What runs on a worker of a cluster."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch

from specdec_lib.measuring.bench import Bench, DeviceLost
from specdec_lib.measuring.devices import held
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.plan import PlainSeconds
from specdec_lib.measuring.sources import revisions_in, versions_of
from specdec_lib.measuring.stamp import environment
from specdec_lib.measuring.tasks import Failure, Task
from specdec_lib.models import pick_device
from specdec_lib.profiles import Profile


@dataclass(frozen=True)
class Setup:
    """What a worker needs to measure tasks as they are measured everywhere.

    sources: of `sources.versions_of`. run: another for each study, so that what one gave up the next tries again.
    """

    profile: Profile
    device: str
    seed: int
    sources: tuple[tuple[str, str], ...]
    run: str


def environment_of(setup: Setup) -> dict:
    """This worker's environment, with the versions of models and articles that are found here."""
    sources = versions_of(setup.profile, [{"sources": dict(setup.sources)}])
    return environment(pick_device(setup.device), torch.get_num_threads(), setup.seed, sources)


def warm_up(setup: Setup, environment_id: str, task: Task) -> None:
    """Do for a task's cell what must not be timed."""
    with _held_bench(setup, environment_id) as bench:
        bench.warm_up(task)


def measure(setup: Setup, environment_id: str, task: Task) -> dict | Failure:
    """The outcome of a task, on a device that nothing else of ours uses meanwhile."""
    with _held_bench(setup, environment_id) as bench:
        return bench.outcome(task)


def plain_seconds(setup: Setup, environment_id: str) -> dict[str, PlainSeconds]:
    """What plain decoding takes by session."""
    with _held_bench(setup, environment_id) as bench:
        return bench.plain_seconds()


@contextmanager
def _held_bench(setup: Setup, environment_id: str) -> Iterator[Bench]:
    """The bench of a device that is held. A process whose GPU is lost ends, so that another takes its place."""
    with held(pick_device(setup.device).split(":")[0]) as device:
        try:
            yield _bench(setup, environment_id, device)
        except DeviceLost as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)


@lru_cache(maxsize=1)  # another run's models must make room
def _bench(setup: Setup, environment_id: str, device: str) -> Bench:
    return Bench(Lab(setup.profile, device, setup.seed, revisions_in(dict(setup.sources))), environment_id)
