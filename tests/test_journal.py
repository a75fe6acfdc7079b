"""Lines on disk: whole or not there, whatever happens to the disk and to the process."""

import json
import lzma
import resource
import shutil
from contextlib import contextmanager, suppress

import pytest

from specdec_lib.measuring.journal import Journal

ENTRIES = [{"number": number, "text": "要約" * 40} for number in range(6)]


def line(entry):
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.jsonl"


@contextmanager
def room_for(size):
    """No file of this process grows beyond so many bytes meanwhile, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_every_line_is_on_disk_whole_when_append_returns(file):
    journal = Journal(file)
    for number, entry in enumerate(ENTRIES, 1):
        journal.append(entry)
        assert file.read_bytes() == b"".join(map(line, ENTRIES[:number]))
    assert journal.entries == Journal(file).entries == ENTRIES


@pytest.mark.parametrize("kept", [1, 20, len(line(ENTRIES[2])) // 2, len(line(ENTRIES[2])) - 1])
def test_a_torn_last_line_is_dropped_with_one_notice_and_the_next_takes_its_place(file, capsys, kept):
    file.write_bytes(line(ENTRIES[0]) + line(ENTRIES[1]) + line(ENTRIES[2])[:kept])
    journal = Journal(file)
    journal.read()
    assert capsys.readouterr().err == "rows.jsonl: the last line was cut short and is dropped.\n"
    assert journal.entries == ENTRIES[:2]
    journal.append(ENTRIES[3])
    journal.append(ENTRIES[4])
    assert file.read_bytes() == b"".join(line(ENTRIES[number]) for number in (0, 1, 3, 4))
    Journal(file)
    assert not capsys.readouterr().err


def test_reading_changes_nothing_on_disk(file):
    content = line(ENTRIES[0]) + b'{"torn'
    file.write_bytes(content)
    Journal(file).close()
    assert file.read_bytes() == content


def test_a_torn_file_that_was_replaced_by_a_shorter_one_gets_no_gap(file):
    file.write_bytes(line(ENTRIES[0]) + line(ENTRIES[1])[:-1])
    journal = Journal(file)
    file.write_bytes(line(ENTRIES[0]))
    journal.append(ENTRIES[2])
    assert file.read_bytes() == line(ENTRIES[0]) + line(ENTRIES[2])


@pytest.mark.parametrize("beyond", [0, 1, 100])
def test_on_a_full_disk_lines_wait_are_announced_once_and_follow_in_order(file, capsys, beyond):
    journal = Journal(file)
    journal.append(ENTRIES[0])
    with room_for(len(line(ENTRIES[0])) + beyond):
        for entry in ENTRIES[1:4]:
            journal.append(entry)
            assert file.read_bytes() == line(ENTRIES[0])
    assert journal.entries == ENTRIES[:4]
    notice = capsys.readouterr().err
    assert notice.count("\n") == 1
    assert "rows.jsonl can't be written (File too large)" in notice
    journal.append(ENTRIES[4])
    assert file.read_bytes() == b"".join(map(line, ENTRIES[:5]))
    assert not capsys.readouterr().err


def test_a_torn_line_is_not_in_the_way_of_those_that_wait(file):
    file.write_bytes(line(ENTRIES[0]) + line(ENTRIES[1])[:50])
    journal = Journal(file)
    with room_for(len(line(ENTRIES[0])) + 60):
        journal.append(ENTRIES[2])
        assert Journal(file).entries == ENTRIES[:1]
    journal.close()
    assert file.read_bytes() == line(ENTRIES[0]) + line(ENTRIES[2])


def test_closing_writes_what_waits(file):
    journal = Journal(file)
    with room_for(0):
        journal.append(ENTRIES[0])
        journal.append(ENTRIES[1])
    journal.close()
    assert Journal(file).entries == ENTRIES[:2]


def test_closing_on_a_disk_that_is_full_still_says_in_one_sentence_what_is_lost(file):
    journal = Journal(file)
    journal.append(ENTRIES[0])
    with room_for(len(line(ENTRIES[0])) + 10):
        journal.append(ENTRIES[1])
        journal.append(ENTRIES[2])
        with pytest.raises(
            ValueError, match=r"^2 lines could not be written to .*rows\.jsonl \(File too large\): [^\n]*$"
        ):
            journal.close()
    assert journal.entries == ENTRIES[:1]
    journal.append(ENTRIES[3])
    journal.close()
    assert Journal(file).entries == [ENTRIES[0], ENTRIES[3]]


def test_a_log_on_the_full_disk_stops_nothing(file, tmp_path, monkeypatch):
    journal = Journal(file)
    with (tmp_path / "log").open("w", buffering=1) as log, room_for(0):
        monkeypatch.setattr("sys.stderr", log)
        journal.append(ENTRIES[0])
        with suppress(OSError):
            log.close()
    journal.append(ENTRIES[1])
    assert Journal(file).entries == ENTRIES[:2]


def test_lines_wait_for_a_folder_that_vanished(tmp_path, capsys):
    folder = tmp_path / "mounted"
    folder.mkdir()
    journal = Journal(folder / "rows.jsonl")
    shutil.rmtree(folder)
    journal.append(ENTRIES[0])
    assert "can't be written (No such file or directory)" in capsys.readouterr().err
    folder.mkdir()
    journal.append(ENTRIES[1])
    assert Journal(folder / "rows.jsonl").entries == ENTRIES[:2]


def test_half_of_a_character_is_kept_as_it_is(file):
    Journal(file).append({"reason": "\ud800"})
    assert Journal(file).entries == [{"reason": "\ud800"}]


@pytest.mark.parametrize(
    "broken",
    [
        b"nonsense",
        b"",
        b"null",
        b"3",
        b'"text"',
        b"[1]",
        b'{"a": 1} {"b": 2}',
        b'{"a": 1',
        b'{"a": "\xff\xfe"}',
        b"\x00" * 20,
        b"[" * 200_000,
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
    ids=lambda broken: repr(broken[:12]),
)
def test_a_broken_line_is_named_in_one_sentence(file, broken):
    content = line(ENTRIES[0]) + broken + b"\n" + line(ENTRIES[1])
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"^Line 2 of .*rows\.jsonl is not a JSON object: [^\n]*$"):
        Journal(file)
    assert file.read_bytes() == content


def test_what_is_no_file_is_refused_in_one_sentence(file):
    file.mkdir()
    with pytest.raises(ValueError, match=r"^.*rows\.jsonl can't be read \(Is a directory\): [^\n]*$"):
        Journal(file)


def test_a_packed_file_is_read_and_unpacked_before_it_grows(file):
    packed = file.with_name("rows.jsonl.xz")
    packed.write_bytes(lzma.compress(b"".join(map(line, ENTRIES[:3]))))
    journal = Journal(file)
    assert journal.entries == ENTRIES[:3]
    journal.unpack()
    journal.append(ENTRIES[3])
    assert not packed.exists()
    assert Journal(file).entries == ENTRIES[:4]


@pytest.mark.parametrize("content", [b"", b"\xfd7zXZ", b"nothing packed", lzma.compress(line(ENTRIES[0]))[:-9]])
def test_a_broken_packed_file_is_told(file, content):
    file.with_name("rows.jsonl.xz").write_bytes(content)
    with pytest.raises(ValueError, match=r"rows\.jsonl\.xz can't be read"):
        Journal(file)
