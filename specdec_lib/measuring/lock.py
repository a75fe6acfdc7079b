"""One writer at a time in a folder, across processes and, where the file system knows locks, machines."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is missing; ValueError, naming the holder, where another process does.

    The lock ends with the process that holds it, however that ends. ValueError also where no lock can be written.
    """
    with _opened(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = " ".join(os.pread(file, 1000, 0).decode(errors="replace").split()) or "another process"
            raise ValueError(
                f"{folder} is being written by {holder}: wait until it is done, or stop it and run this again."
            ) from error
        except OSError as error:
            print(f"{folder} is on a disk without locks ({error.strerror}): write into it by one run at a time.")
        holder = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}"
        with _sentence(folder):
            os.ftruncate(file, 0)
            os.write(file, holder.encode())
        try:
            yield
        finally:
            os.ftruncate(file, 0)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The descriptor of a folder's lock file."""
    with _sentence(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / "lock", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def _sentence(folder: Path) -> Iterator[None]:
    """What is said where a folder can't be written."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{folder} can't be written ({error.strerror}): make room, or mend its permissions."
        ) from error
