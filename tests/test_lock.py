"""One writer at a time in a folder, whatever becomes of it."""

import os
import resource
from collections import Counter

import pytest
from miniature import study_in
from processes import FORKED, hold, measure, started

from specdec_lib import Study
from specdec_lib.measuring.lock import locked
from specdec_lib.results import Results


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return study_in(tmp_path_factory.mktemp("models"))


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path, and the pipe that ends it."""
    here, there = FORKED.Pipe()
    process = started(hold, tmp_path, there)
    assert here.recv() == process.pid
    yield process, here
    process.kill()
    process.join()


def test_a_second_writer_is_refused_by_a_sentence_that_names_the_first(tmp_path, holder, profile):
    process, _ = holder
    study = Study(profile, "cpu", folder=tmp_path)
    sentence = (
        rf"^{tmp_path} is being written by process {process.pid} on \S+, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d: .*$"
    )
    for _ in range(2):
        with pytest.raises(ValueError, match=sentence):
            study.run("quality")
    assert not study.results.rows_file.exists()


def test_when_the_first_is_done_the_next_gets_in(tmp_path, holder):
    process, pipe = holder
    pipe.send("enough")
    process.join()
    with locked(tmp_path):
        assert f"process {os.getpid()} on " in (tmp_path / "lock").read_text()
    assert (tmp_path / "lock").read_text() == ""


def test_when_the_first_is_killed_the_next_gets_in(tmp_path, holder, profile):
    process, _ = holder
    process.kill()
    process.join()
    assert f"process {process.pid} on " in (tmp_path / "lock").read_text()
    study = Study(profile, "cpu", folder=tmp_path)
    study.run("quality")
    assert len(study.results.rows) == len(study.tasks["quality"])


def test_a_writer_that_fails_lets_the_next_in(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path), pytest.raises(ValueError, match=f"process {os.getpid()}"), locked(tmp_path):
        pass


def test_reading_needs_no_lock(tmp_path, profile, holder):
    process, _ = holder
    measure(profile, tmp_path / "measured", ["quality"])
    for file in (tmp_path / "measured").iterdir():
        if file.name != "lock":
            file.rename(tmp_path / file.name)
    assert len(Results(tmp_path).rows) == profile.articles
    assert "acceptance" in Study(profile, "cpu", folder=tmp_path).plan()
    assert f"process {process.pid} on " in (tmp_path / "lock").read_text()


def test_a_second_run_sees_what_the_first_wrote_after_it_had_begun(tmp_path, profile):
    second = Study(profile, "cpu", folder=tmp_path)
    planned = [task.key for task in second.tasks["acceptance"]]
    assert len(second.missing("acceptance")) == len(planned)
    first = started(measure, profile, tmp_path, ["acceptance"])
    first.join()
    content = second.results.rows_file.read_bytes()
    second.run("acceptance")
    assert second.results.rows_file.read_bytes() == content
    assert Counter(map(tuple, planned)) == Counter(second.results.done)


def test_of_many_that_begin_at_once_one_measures_and_nothing_is_there_twice(tmp_path, profile):
    processes = [started(measure, profile, tmp_path, ["quality", "acceptance"]) for _ in range(6)]
    for process in processes:
        process.join()
    codes = Counter(process.exitcode for process in processes)
    assert set(codes) <= {0, 2}
    measure_rest = Study(profile, "cpu", folder=tmp_path)
    for name in ("quality", "acceptance"):
        measure_rest.run(name)
        planned = {task.key for task in measure_rest.tasks[name]}
        keys = [row["cell"] + row["prompt"] for row in Results(tmp_path).rows if row["experiment"] == name]
        assert len(keys) == len(set(keys)) == len(planned)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ValueError, match=r"^.* can't be written \(Not a directory\): [^\n]*$"),
        locked(tmp_path / "file" / "a"),
    ):
        pass


def test_a_full_disk_is_one_sentence(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(ValueError, match=r"^.* can't be written \(File too large\): [^\n]*$"), locked(tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with locked(tmp_path):
        pass
