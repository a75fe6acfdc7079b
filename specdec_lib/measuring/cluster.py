"""The same tasks on many devices, through dask.distributed: the GPUs of one machine, or whatever workers there are."""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import torch
from distributed import Client, LocalCluster

from specdec_lib.measuring import worker as there
from specdec_lib.measuring.experiments import experiments_of
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.shift import Shift
from specdec_lib.measuring.sources import revisions_in
from specdec_lib.measuring.tasks import Failure, Task
from specdec_lib.profiles import Profile

PATIENCE = 60.0
"""Seconds in which a scheduler, its first worker and any worker's environment must be there."""


class Cluster:
    """Workers of a Dask scheduler as a place to measure. A block of tasks stays on one worker, one task at a time.

    address: "local" for a worker on each GPU of this machine (or one on its processor), else that of a scheduler, as
    "tcp://host:port". Workers whose environment is not the one that most have are left out with a notice, as their
    rows would never be put together with the others'. A worker that is lost costs the task it was at, which another
    takes over. ValueError where no scheduler answers or no worker can measure.
    """

    def __init__(self, address: str, profile: Profile, device: str, seed: int, sources: Mapping[str, str]):
        self._setup = there.Setup(profile, device, seed, tuple(sources.items()))
        self._client = _connect(address, device)
        self._environments = {worker: self._ask(worker) for worker in self._workers()}
        ids = Counter(stamp["id"] for stamp in self._environments.values() if stamp)
        if not ids:
            raise ValueError(f"No worker of the cluster {address} can measure: see above, and start it anew.")
        usual = ids.most_common(1)[0][0]
        self.environment = next(stamp for stamp in self._environments.values() if stamp and stamp["id"] == usual)
        for worker, stamp in self._environments.items():
            self._explain(worker, stamp)
        kind = "cpu" if self.environment["device"] == "cpu" else "cuda"
        self.experiments = experiments_of(Lab(profile, kind, seed, revisions_in(dict(sources))))

    @property
    def devices(self) -> int:
        """Workers that measure."""
        return max(1, len(self._fit()))

    def token_seconds(self) -> dict[str, float]:
        """Seconds a token of plain decoding by session, on one of the workers."""
        return self._client.submit(
            there.token_seconds, self._setup, self.environment["id"], workers=self._fit(), pure=False
        ).result()

    def outcomes(self, tasks: Sequence[Task]) -> Iterator[dict | Failure]:
        """Rows and failures as they are finished, by workers that may come and go."""
        shift = Shift(self._client, self._setup, self.environment["id"], tasks)
        try:
            while shift.left:
                self._survey()
                for worker in self._fit():
                    shift.employ(worker)
                yield from shift.finished(timeout=1.0)
        finally:
            shift.stop()

    def _fit(self) -> list[str]:
        here = self.environment["id"]
        return [worker for worker, stamp in self._environments.items() if stamp and stamp["id"] == here]

    def _survey(self) -> None:
        """Ask new workers for their environment, and forget those that are gone."""
        present = self._workers()
        for worker in present:
            if worker not in self._environments:
                self._environments[worker] = self._ask(worker)
                self._explain(worker, self._environments[worker])
        self._environments = {worker: self._environments[worker] for worker in present}

    def _workers(self) -> list[str]:
        if self._client.status != "running":
            raise ValueError("The Dask scheduler can't be reached any more: start it and run the same command again.")
        return sorted(self._client.scheduler_info(n_workers=-1)["workers"])

    def _ask(self, worker: str) -> dict | None:
        """A worker's environment; None, with a notice, where it can't tell."""
        try:
            return self._client.submit(there.environment_of, self._setup, workers=[worker], pure=False).result(PATIENCE)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            print(f"{worker} can't measure ({type(error).__name__}: {reason}) and is left out.", file=sys.stderr)
            return None

    def _explain(self, worker: str, stamp: dict | None) -> None:
        """Say why a worker is left out, where it is."""
        if stamp is None or stamp["id"] == self.environment["id"]:
            return
        shared = [name for name in self.environment if name not in ("id", "facts")]
        other = [name for name in shared if stamp[name] != self.environment[name]]
        why = "; ".join(f"its {name} is {stamp[name]} and not {self.environment[name]}" for name in other)
        print(f"{worker} is left out, as its rows could not stand beside the others': {why}.", file=sys.stderr)


def _connect(address: str, device: str) -> Client:
    try:
        client = Client(_local(device) if address == "local" else address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"No Dask scheduler answers at {address!r}: start one with `dask scheduler`, or give --cluster local."
        ) from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise ValueError(
            f"The Dask scheduler at {address} has no workers: start some with `dask worker {address}`."
        ) from error
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
