"""A file of JSON lines that only grows: a line is on disk whole before the next one begins, or it is not there."""

import json
import lzma
import os
import sys
from contextlib import suppress
from pathlib import Path

from specdec_lib.paths import write


class Journal:
    """The entries of a file, and more to come.

    A last line that a crash cut short is dropped with a notice; a broken line elsewhere is a ValueError. Entries that
    can't be written, on a full disk, are kept and written as soon as there is room. Where there is no such file but one
    packed by xz, that one is read; `unpack` it before appending.
    """

    def __init__(self, file: Path):
        self.file = Path(file)
        self.packed = self.file.with_name(f"{self.file.name}.xz")
        self.entries: list[dict] = []
        self._torn_at: int | None = None
        self._waiting: list[bytes] = []
        self._size = 0  # of the file, as far as it is known here
        self.read()

    def refresh(self) -> None:
        """Take the entries from the file again where something else has written to it."""
        if (self.file.stat().st_size if self.file.exists() else 0) != self._size:
            self.read()

    def read(self) -> None:
        """Take the entries from the file again."""
        content = self._content()
        self._size = len(content)
        *lines, torn = content.split(b"\n")
        known, self._torn_at = self._torn_at, len(content) - len(torn) if torn else None
        if torn and self._torn_at != known:
            print(f"{self.file.name}: the last line was cut short and is dropped.", file=sys.stderr)
        self.entries = [self._parse(number, line) for number, line in enumerate(lines, 1)]

    def _content(self) -> bytes:
        file = self.packed if self.packed.exists() and not self.file.exists() else self.file
        try:
            content = file.read_bytes() if file.exists() else b""
            return lzma.decompress(content) if file is self.packed else content
        except (OSError, lzma.LZMAError) as error:
            why = getattr(error, "strerror", None) or error
            raise ValueError(f"{file} can't be read ({why}): mend it, or move it away.") from error

    def unpack(self) -> None:
        """Put the packed file's lines where lines can be added."""
        if self.packed.exists() and not self.file.exists():
            write(self.file, self._content().decode())
            self.packed.unlink()

    def _parse(self, number: int, line: bytes) -> dict:
        try:
            entry = json.loads(line)
            if b"\\u" in line:  # half of a surrogate pair, which is no text, can hide behind it
                json.dumps(entry, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            return entry
        raise ValueError(
            f"Line {number} of {self.file} is not a JSON object: mend it, or delete that line, which is measured again."
        )

    def append(self, entry: dict) -> None:
        """Write an entry to disk before anything else happens."""
        self.entries.append(entry)
        self._waiting.append(json.dumps(entry, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")
        try:
            self._write_waiting()
        except OSError as error:
            if len(self._waiting) == 1:
                with suppress(OSError):  # a log on the same disk
                    print(
                        f"{self.file} can't be written ({error.strerror}): measuring goes on, and what was measured "
                        "is written as soon as there is room.",
                        file=sys.stderr,
                        flush=True,
                    )

    def close(self) -> None:
        """Write what is still waiting; ValueError where that is impossible."""
        try:
            self._write_waiting()
        except OSError as error:
            lost = "A line" if len(self._waiting) == 1 else f"{len(self._waiting)} lines"
            self._waiting = []
            self.read()
            raise ValueError(
                f"{lost} could not be written to {self.file} ({error.strerror}): make room and run the same "
                "command again, which measures anew what is lost."
            ) from error

    def _write_waiting(self) -> None:
        if not self._waiting:
            return
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            if self._torn_at is not None:
                os.ftruncate(descriptor, min(self._torn_at, os.fstat(descriptor).st_size))
                self._torn_at = None
            self._torn_at = end = os.fstat(descriptor).st_size
            try:
                left = memoryview(b"".join(self._waiting))
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
                self._torn_at, self._size = None, os.fstat(descriptor).st_size
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            os.close(descriptor)
        self._waiting = []
