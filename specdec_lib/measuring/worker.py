"""What runs on a worker of a cluster."""

from dataclasses import dataclass
from functools import cache

import torch

from specdec_lib.measuring.bench import Bench
from specdec_lib.measuring.devices import held
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.sources import revisions_in
from specdec_lib.measuring.stamp import environment
from specdec_lib.measuring.tasks import Failure, Task
from specdec_lib.models import pick_device
from specdec_lib.profiles import Profile


@dataclass(frozen=True)
class Setup:
    """What a worker needs to measure tasks as they are measured everywhere. sources: of `sources.versions_of`."""

    profile: Profile
    device: str
    seed: int
    sources: tuple[tuple[str, str], ...]


def environment_of(setup: Setup) -> dict:
    """This worker's environment."""
    return environment(pick_device(setup.device), torch.get_num_threads(), setup.seed, dict(setup.sources))


def warm_up(setup: Setup, environment_id: str, task: Task) -> None:
    """Do for a task's cell what must not be timed."""
    with held(pick_device(setup.device).split(":")[0]) as device:
        _bench(setup, environment_id, device).warm_up(task)


def measure(setup: Setup, environment_id: str, task: Task) -> dict | Failure:
    """The outcome of a task, on a device that nothing else of ours uses meanwhile."""
    with held(pick_device(setup.device).split(":")[0]) as device:
        return _bench(setup, environment_id, device).outcome(task)


def token_seconds(setup: Setup, environment_id: str) -> dict[str, float]:
    """Seconds a token of plain decoding by session."""
    with held(pick_device(setup.device).split(":")[0]) as device:
        return _bench(setup, environment_id, device).token_seconds()


@cache
def _bench(setup: Setup, environment_id: str, device: str) -> Bench:
    return Bench(Lab(setup.profile, device, setup.seed, revisions_in(dict(setup.sources))), environment_id)
