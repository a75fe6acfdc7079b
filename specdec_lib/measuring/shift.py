"""Blocks of tasks handed to workers as they come and go: every task is measured once, by whoever is there."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import groupby
from queue import Empty, Queue

from distributed import Client

from specdec_lib.measuring import worker as there
from specdec_lib.measuring.tasks import Failure, Task

DEATHS = 3
"""Workers that a task, or the warm-up of its cell, may bring down before it is given up."""
LOOK = 2.0  # seconds between two looks whether a worker is still there
FETCH = 30.0  # seconds in which an answer that is there is handed over


class _Lost(Exception):
    """The worker is gone."""


class Shift:
    """The tasks of one run. A thread for each worker takes a block, has it warmed up, and hands it over task by task.

    A worker that is lost costs the task it was at: what is left of its block goes to another.
    """

    def __init__(self, client: Client, setup: there.Setup, environment_id: str, tasks: Sequence[Task]):
        self._client, self._setup, self._environment_id = client, setup, environment_id
        self.left = len(tasks)
        self._blocks = deque(list(block) for _, block in groupby(tasks, key=lambda task: (task.experiment, task.block)))
        self._outcomes: Queue[dict | Failure] = Queue()
        self._deaths: Counter[Hashable] = Counter()
        self._given_up: dict[Hashable, str] = {}  # tasks, and cells as (experiment, cell)
        self._employed: set[str] = set()
        self._over = threading.Event()

    def employ(self, worker: str) -> None:
        """Give work to a worker, unless it has some."""
        if worker not in self._employed:
            self._employed.add(worker)
            threading.Thread(target=self._work, args=(worker,), daemon=True).start()

    def finished(self, seconds: float) -> Iterator[dict | Failure]:
        """Outcomes as they come, for so many seconds or until all are there."""
        until = time.monotonic() + seconds
        while self.left:
            try:
                outcome = self._outcomes.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return
            self.left -= 1
            yield outcome

    def stop(self) -> None:
        """Hand over no further task."""
        self._over.set()

    def _work(self, worker: str) -> None:
        warm: set[Hashable] = set()
        try:
            while not self._over.is_set():
                try:
                    block = deque(self._blocks.popleft())
                except IndexError:
                    return
                try:
                    self._finish(worker, block, warm)
                finally:
                    if block:  # for another worker
                        self._blocks.appendleft(list(block))
        except _Lost:
            pass
        finally:
            self._employed.discard(worker)

    def _finish(self, worker: str, block: deque[Task], warm: set[Hashable]) -> None:
        """Measure a block to its end; `_Lost`, with what is left in it, where the worker was lost."""
        for task in block:
            cell = (task.experiment, task.cell)
            if cell not in warm and cell not in self._given_up:
                self._ask(worker, there.warm_up, task, cell)
                warm.add(cell)
        while block:
            self._outcomes.put(self._outcome(worker, block[0]))
            block.popleft()

    def _outcome(self, worker: str, task: Task) -> dict | Failure:
        for known in (task, (task.experiment, task.cell)):
            if known in self._given_up:
                return Failure(task, self._given_up[known])
        return self._ask(worker, there.measure, task, task)

    def _ask(self, worker: str, work: Callable, task: Task, blamed: Hashable) -> dict | Failure | None:
        """What the work on a task returns; `_Lost` where the worker was lost meanwhile, which is then blamed."""
        arguments = (self._setup, self._environment_id, task)
        future = self._client.submit(work, *arguments, workers=[worker], pure=False, retries=0)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not self._over.is_set():
            try:
                if done.wait(LOOK):  # as `result` with a short timeout can lose an answer that comes just then
                    return future.result(timeout=FETCH)
                if self._is_there(worker):
                    continue
            except TimeoutError:
                if self._is_there(worker):
                    continue
            except Exception as error:
                if self._is_there(worker):  # no loss of the worker: what it answered can't be had
                    if isinstance(error, CancelledError):  # as the scheduler was out of reach for a while
                        raise _Lost from None
                    return Failure(task, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
            future.cancel(force=True)
            self._deaths[blamed] += 1
            if self._deaths[blamed] >= DEATHS:
                self._given_up[blamed] = (
                    f"the worker that measured it died, {DEATHS} times: see that worker's log (memory, GPU)"
                )
            break
        raise _Lost

    def _is_there(self, worker: str) -> bool:
        known = self._client.scheduler_info(n_workers=-1)  # without workers where the scheduler is gone
        return worker in known.get("workers", ())
