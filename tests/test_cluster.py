"""The same rows from many workers, whatever becomes of some."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch
from conftest import perturbed, tiny_module
from fragile import fragile, set_fault
from miniature import but_for_time, profile_over, save_articles, save_models
from processes import hold_device, started

from specdec_lib import Study

distributed = pytest.importorskip("distributed")
cluster, shift = (import_module(f"specdec_lib.measuring.{name}") for name in ("cluster", "shift"))

FEW = ["quality", "acceptance", "table1"]
HERE = {name: str(torch.get_num_threads()) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
OTHER_COUNT = 2 if torch.get_num_threads() == 1 else 1  # there may be no more processors
OTHER = {name: str(OTHER_COUNT) for name in HERE}
WORKER = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}


@pytest.fixture(scope="module")
def own_locks(tmp_path_factory):
    """Where locks of devices lie that nobody else on this machine holds."""
    return str(tmp_path_factory.mktemp("locks"))


@pytest.fixture(autouse=True)
def an_end():
    """No test waits for ever for workers that don't come."""

    def give_up(*_):
        raise RuntimeError("This test took more than a hundred seconds.")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def looking_often(monkeypatch):
    monkeypatch.setattr(shift, "LOOK", 0.2)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """Over a target and two drafts that can be made to fail."""
    folder = tmp_path_factory.mktemp("models")
    target = tiny_module("neox", context=128, hidden_size=64)
    modules = {"target": target, "draft-1": perturbed(target, 0.3), "draft-2": perturbed(target, 0.1)}
    names = save_models(folder, **{name: fragile(module) for name, module in modules.items()})
    source = save_articles(folder, 4)
    return profile_over(names["target"], (names["draft-1"], names["draft-2"]), source, 4)


@pytest.fixture(scope="module")
def workers(own_locks):
    """A scheduler with two workers that have as many threads as this process; they are started again when they die."""
    with distributed.LocalCluster(n_workers=0, processes=False, protocol="tcp://", **WORKER) as local:
        address, over = local.scheduler_address, threading.Event()
        running = [start_worker(address, own_locks, HERE) for _ in range(2)]

        def keep():
            while not over.wait(0.05):
                for place, process in enumerate(running):
                    if process.poll() is not None:
                        running[place] = start_worker(address, own_locks, HERE)

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        yield local
        over.set()
        keeper.join()
        for process in running:
            process.kill()
            process.wait()


def start_worker(address, locks, threads):
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard"]
    options = ["--nthreads", "1", "--preload", str(Path(__file__).parent / "fragile.py")]
    environment = {**os.environ, **threads, "TMPDIR": locks}
    return subprocess.Popen([*command, *options], env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def alone(profile, tmp_path_factory):
    """The rows of the same tasks measured one after the other, without a cluster."""
    return measured(Study(profile, "cpu", folder=tmp_path_factory.mktemp("alone"))).results.rows


def measured(study):
    for name in FEW:
        study.run(name)
    return study


def in_order(rows):
    return but_for_time(sorted(rows, key=lambda row: (row["experiment"], row["cell"], row["prompt"], row["repeat"])))


def when_there_are(rows, study, do):
    """Do something, in another thread, as soon as a study has so many rows on disk."""

    def wait():
        file = study.results.rows_file
        while not file.exists() or file.read_bytes().count(b"\n") < rows:
            time.sleep(0.005)
        do()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def ready(local, workers):
    """The scheduler's address, as soon as there are so many workers."""
    with distributed.Client(local) as client:
        client.wait_for_workers(workers)
    return local.scheduler_address


def pids(local):
    with distributed.Client(local) as client:
        return list(client.run(os.getpid).values())


def test_two_workers_give_the_rows_that_one_process_gives(profile, workers, alone, tmp_path):
    study = Study(profile, "cpu", cluster=ready(workers, 2), folder=tmp_path)
    assert study.environment["id"] == alone[0]["environment"]
    assert "on 2 devices" in study.plan()
    assert in_order(measured(study).results.rows) == in_order(alone)


def test_a_worker_that_is_killed_costs_nothing_but_time(profile, workers, alone, tmp_path):
    study = Study(profile, "cpu", cluster=ready(workers, 2), folder=tmp_path)
    for rows, pid in zip((2, 20), pids(workers), strict=True):
        when_there_are(rows, study, lambda pid=pid: os.kill(pid, signal.SIGKILL))
    assert in_order(measured(study).results.rows) == in_order(alone)
    assert not (tmp_path / "failures.jsonl").exists()


def test_a_cell_that_kills_its_workers_is_given_up_and_the_rest_is_measured(profile, workers, alone, tmp_path):
    profile = replace(profile.limited(articles=1), lookaheads=(1,))
    set_fault(profile.drafts[0], kills_at=list(range(60)))
    study = Study(profile, "cpu", cluster=ready(workers, 2), folder=tmp_path)
    study.run("table1")
    set_fault(profile.drafts[0])
    names = {task.cell for task in study.tasks["table1"]}
    rows = [row for row in alone if row["experiment"] == "table1" and row["prompt"] == "a0" and row["cell"] in names]
    assert in_order(study.results.rows) == in_order(row for row in rows if row["draft"] != profile.drafts[0])
    failed = study.results.progress().set_index("experiment").loc["table1", "failed"]
    lost = [row["cell"] for row in rows if row["draft"] == profile.drafts[0]]
    why = "the worker that measured it died, 3 times: see that worker's log (memory, GPU)"
    assert failed == dict.fromkeys(lost, why)


def test_a_worker_of_another_environment_is_left_out_with_a_sentence(
    profile, workers, own_locks, alone, tmp_path, capsys
):
    other = start_worker(ready(workers, 2), own_locks, OTHER)
    try:
        study = Study(profile.limited(articles=2), "cpu", cluster=ready(workers, 3), folder=tmp_path)
        study.run("quality")
    finally:
        other.kill()
        other.wait()
    rows = [row for row in alone if row["experiment"] == "quality" and row["prompt"] in ("a0", "a1")]
    assert in_order(study.results.rows) == in_order(rows)
    why = f"threads (OMP_NUM_THREADS) {OTHER_COUNT}, not {torch.get_num_threads()}."
    assert [line for line in capsys.readouterr().err.splitlines() if line.endswith(why)]
    assert "on 2 devices" in study.plan()


def test_a_scheduler_that_goes_away_is_one_sentence_and_the_next_run_goes_on(profile, alone, tmp_path, monkeypatch):
    local = distributed.LocalCluster(n_workers=1, processes=False, **WORKER)
    study = Study(profile, "cpu", cluster=local.scheduler_address, folder=tmp_path)
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    closing = when_there_are(10, study, local.close)
    with pytest.raises(ValueError, match=r"^The Dask scheduler can't be reached any more: [^\n]*$"):
        measured(study)
    closing.join()
    assert 10 <= len(study.results.rows) < len(alone)
    rest = measured(Study(profile, "cpu", folder=tmp_path))
    assert in_order(rest.results.rows) == in_order(alone)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", " "])  # none that a name server is asked for
def test_an_address_without_a_scheduler_is_one_sentence(profile, tmp_path, monkeypatch, address):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with pytest.raises(ValueError, match=r"^No Dask scheduler answers at [^\n]*$"):
        Study(profile, "cpu", cluster=address, folder=tmp_path)


def test_a_scheduler_without_workers_is_one_sentence(profile, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, **WORKER) as local,
        pytest.raises(ValueError, match=r"^The Dask scheduler at \S+ has no workers after 0\.5 s: start some [^\n]*$"),
    ):
        Study(profile, "cpu", cluster=local.scheduler_address, folder=tmp_path)


def test_without_dask_a_cluster_is_one_sentence(profile, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"^cluster needs Dask, which is not installed: [^\n]*$"):
        Study(profile, "cpu", cluster="local", folder=tmp_path)


def test_no_two_processes_hold_a_device_at_once(tmp_path, own_locks):
    processes = [started(hold_device, own_locks, tmp_path / "witness", 60) for _ in range(4)]
    while not (tmp_path / "witness").exists():
        time.sleep(0.001)
    processes[0].kill()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes[1:]] == [0, 0, 0]
