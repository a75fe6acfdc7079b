"""The same tasks on many devices, through dask.distributed: the GPUs of one machine, or whatever workers there are."""

import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import uuid4

import torch
from distributed import Client, Future, LocalCluster

from specdec_lib.measuring import worker as there
from specdec_lib.measuring.experiments import experiments_of
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.plan import PlainSeconds
from specdec_lib.measuring.shift import Shift
from specdec_lib.measuring.sources import revisions_in
from specdec_lib.measuring.tasks import Failure, Task
from specdec_lib.profiles import Profile

PATIENCE = 60.0
"""Seconds in which a scheduler and its first worker must be there."""
SLOWEST_START = 600.0
"""Seconds in which a worker must tell its environment: it imports everything first, maybe from a slow disk."""


NAMED = {
    "threads": "threads (OMP_NUM_THREADS)",
    "code": "version of specdec_lib (install the same commit)",
    "sources": "models and articles",
}
"""What an environment's fields are called to a user, where the name alone would not tell."""


class Cluster:
    """Workers of a Dask scheduler as a place to measure. A block of tasks stays on one worker, one task at a time.

    address: "local" for a worker on each GPU of this machine (or one on its processor), else that of a scheduler, as
    "tcp://host:port". known: environments that there are rows of. Workers of another environment than a known one, or
    else than most have, are left out with a notice, as their rows would never be put together with the others'. A
    worker that is lost costs the task it was at, which another takes over. ValueError where no scheduler answers or no
    worker can measure.
    """

    def __init__(
        self,
        address: str,
        profile: Profile,
        device: str,
        seed: int,
        sources: Mapping[str, str],
        known: Collection[str] = (),
    ):
        self._setup = there.Setup(profile, device, seed, tuple(sources.items()), run=uuid4().hex)
        self._client = _connect(address, device)
        self._environments: dict[str, dict | None] = {}
        self._asked: dict[str, tuple[Future, float]] = {}  # workers whose environment is awaited, and until when
        self._survey()
        while self._asked:
            time.sleep(0.01)
            self._survey()
        ids = Counter(stamp["id"] for stamp in self._environments.values() if stamp)
        if not ids:
            raise ValueError(f"No worker of the cluster {address} can measure: see above, and start it anew.")
        usual = max(ids, key=lambda stamp: (stamp in known, ids[stamp]))
        self.environment = next(stamp for stamp in self._environments.values() if stamp and stamp["id"] == usual)
        for worker in self._environments:
            self._explain(worker)
        kind = "cpu" if self.environment["device"] == "cpu" else "cuda"
        self.experiments = experiments_of(Lab(profile, kind, seed, revisions_in(dict(sources))))

    @property
    def devices(self) -> int:
        """Workers that measure."""
        return max(1, len(self._fit()))

    def plain_seconds(self) -> dict[str, PlainSeconds]:
        """What plain decoding takes by session, on one of the workers."""
        return self._client.submit(
            there.plain_seconds, self._setup, self.environment["id"], workers=self._fit(), pure=False
        ).result(SLOWEST_START)  # which never comes where those workers are lost

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[dict | Failure]:
        """Rows and failures as they are finished, by workers that may come and go."""
        shift = Shift(self._client, self._setup, self.environment["id"], tasks)
        waiting = False
        try:
            while shift.left:
                for worker in self._survey():
                    self._explain(worker)
                fit = self._fit()
                if not fit and not waiting:
                    print("No worker is left that can measure: the run waits for one.", file=sys.stderr)
                waiting = not fit
                for worker in fit:
                    shift.employ(worker)
                yield from shift.finished(seconds=1.0)
        finally:
            shift.stop()

    def _fit(self) -> list[str]:
        here = self.environment["id"]
        return [worker for worker, stamp in self._environments.items() if stamp and stamp["id"] == here]

    def _survey(self) -> list[str]:
        """Ask new workers for their environment, and forget those that are gone; the workers that have answered now."""
        present = self._workers()
        for worker in present:
            if worker not in self._environments and worker not in self._asked:
                future = self._client.submit(there.environment_of, self._setup, workers=[worker], pure=False)
                self._asked[worker] = future, time.monotonic() + SLOWEST_START
        self._asked = {worker: asked for worker, asked in self._asked.items() if worker in present}
        answered = [
            worker for worker, (future, until) in self._asked.items() if future.done() or time.monotonic() > until
        ]
        for worker in answered:
            self._environments[worker] = _answer(worker, self._asked.pop(worker)[0])
        self._environments = {worker: stamp for worker, stamp in self._environments.items() if worker in present}
        return answered

    def _workers(self) -> list[str]:
        until = time.monotonic() + PATIENCE
        while self._client.status == "connecting" and time.monotonic() < until:
            time.sleep(0.1)
        if self._client.status != "running":
            raise ValueError(
                "The Dask scheduler can't be reached any more: see that it runs, and run the same command again."
            )
        return sorted(self._client.scheduler_info(n_workers=-1).get("workers", ()))

    def _explain(self, worker: str) -> None:
        """Say why a worker is left out, where it is."""
        stamp = self._environments[worker]
        if stamp is None or stamp["id"] == self.environment["id"]:
            return
        shared = [name for name in self.environment if name not in ("id", "facts")]
        why = "; ".join(
            f"{NAMED.get(name, name)} {stamp[name]}, not {self.environment[name]}"
            for name in shared
            if stamp[name] != self.environment[name]
        )
        print(f"{worker} is left out, as its rows could not stand beside the others': {why}.", file=sys.stderr)


def _answer(worker: str, future: Future) -> dict | None:
    """A worker's environment; None, with a notice, where it can't tell."""
    try:
        return future.result(timeout=5)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        print(
            f"{worker} can't measure ({type(error).__name__}: {reason}) and is left out: it needs this version of "
            "specdec_lib, and models and articles at the same paths.",
            file=sys.stderr,
        )
        return None


def _connect(address: str, device: str) -> Client:
    try:
        if not address.strip():
            raise ValueError("There is no address.")
        client = Client(_local(device) if address == "local" else address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"No Dask scheduler answers at {address!r}: start one with `dask scheduler`, or give --cluster local."
        ) from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        start = "see what they say above" if address == "local" else f"start some with `dask worker {address}`"
        raise ValueError(f"The Dask scheduler at {address} has no workers after {PATIENCE:g} s: {start}.") from error
    return client


def _local(device: str) -> LocalCluster:
    """A worker for each GPU of this machine, or one with all its cores, as alone."""
    gpus = 0 if device == "cpu" else torch.cuda.device_count()
    threads = {name: str(torch.get_num_threads()) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return LocalCluster(
        n_workers=max(1, gpus),
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address=None,
        env={**os.environ, **threads},
    )
