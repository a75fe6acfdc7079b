"""Runs that are killed, at any moment and in any write, and then run again: every row once, as if nothing had been."""

import signal
import time
from collections import Counter
from random import Random

import pytest
from miniature import but_for_time, study_in
from processes import measure, measure_until, started, write_on

from specdec_lib import Study
from specdec_lib.measuring.journal import Journal
from specdec_lib.results import Results

KILLS, TORN = 50, 12
EXPERIMENTS = ["quality", "acceptance", "table1", "table1_static", "lookup"]


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return study_in(tmp_path_factory.mktemp("models"), articles=10)


@pytest.fixture(scope="module")
def undisturbed(profile, tmp_path_factory):
    """The rows of a run that nobody disturbs, and the seconds until its first."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process, began = started(measure, profile, folder, EXPERIMENTS), time.monotonic()
    wait_for(process, folder / "rows.jsonl", 1, began + 60)
    start = time.monotonic() - began
    process.join()
    assert process.exitcode == 0
    return Results(folder).rows, start


def wait_for(process, file, size, until):
    """Wait for a file to be so long, a process to end or a time to come."""
    while process.is_alive() and time.monotonic() < until and length(file) < size:
        time.sleep(0.0005)


def length(file):
    return file.stat().st_size if file.exists() else 0


def kill(process):
    process.kill()
    process.join()
    return process.exitcode


def assert_as_undisturbed(profile, folder, rows):
    last = started(measure, profile, folder, EXPERIMENTS)
    last.join()
    assert last.exitcode == 0
    study = Study(profile, "cpu", folder=folder)
    planned = [task.key for name in EXPERIMENTS for task in study.tasks[name]]
    keys = [tuple(row[name] for name in ("experiment", "cell", "prompt", "repeat", "max_new_tokens")) for row in rows]
    assert Counter(keys) == Counter(planned)
    assert but_for_time(Results(folder).rows) == but_for_time(rows)
    assert len((folder / "rows.jsonl").read_bytes().splitlines()) == len(planned)
    assert not (folder / "failures.jsonl").exists()


def test_a_run_killed_fifty_times_measures_every_task_once_and_the_same(profile, undisturbed, tmp_path):
    """Killed at a random time since its start or after a few rows, whichever comes first."""
    rows, start = undisturbed
    random, file, codes = Random(8), tmp_path / "rows.jsonl", Counter()
    while codes[-signal.SIGKILL] < KILLS:
        process, began = started(measure, profile, tmp_path, EXPERIMENTS), time.monotonic()
        wait_for(process, file, length(file) + random.randrange(1, 5000), began + random.uniform(0, 1.4 * start))
        codes[kill(process)] += 1
        assert set(codes) == {-signal.SIGKILL}, "a run came to its end, or failed"
        Results(tmp_path)
    assert 0 < len(Results(tmp_path).rows) < len(rows)
    assert_as_undisturbed(profile, tmp_path, rows)


def test_a_run_that_dies_in_the_middle_of_its_writes_measures_every_task_once_and_the_same(
    profile, undisturbed, tmp_path
):
    rows, _ = undisturbed
    random, file = Random(9), tmp_path / "rows.jsonl"
    sizes = [200, 900]  # in the middle of the environments
    while sizes:
        process = started(measure_until, profile, tmp_path, EXPERIMENTS, sizes.pop())
        process.join()
        assert process.exitcode == -signal.SIGXFSZ
        assert not file.exists()
    first = started(measure, profile, tmp_path, EXPERIMENTS[:1])
    first.join()
    for _ in range(TORN):
        size = length(file) + random.randrange(20, 3000)
        process = started(measure_until, profile, tmp_path, EXPERIMENTS, size)
        process.join()
        assert process.exitcode == -signal.SIGXFSZ
        assert length(file) == size
    assert len(Results(tmp_path).rows) < len(rows)
    assert_as_undisturbed(profile, tmp_path, rows)


def test_a_journal_killed_in_writes_of_megabytes_has_lost_no_entry_and_written_none_twice(tmp_path):
    random, file = Random(10), tmp_path / "rows.jsonl"
    for _ in range(KILLS):
        process = started(write_on, file, "x" * random.randrange(1, 2**20))
        wait_for(process, file, length(file) + 1, time.monotonic() + 60)
        time.sleep(random.uniform(0, 0.01))
        assert kill(process) == -signal.SIGKILL
    assert [entry["number"] for entry in Journal(file).entries] == list(range(len(Journal(file).entries)))
    assert len(Journal(file).entries) >= KILLS // 2
