"""One task at a time on a device, whatever processes of this machine want it."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

import torch

_last: list[str] = []


@contextmanager
def held(kind: str) -> Iterator[str]:
    """Hold a device of a kind, "cpu" or "cuda", and give its name: the one held last if it is free, else another.

    Of several GPUs those are taken that are like the first, whose name stands in the environment. Waits where none is
    free.
    """
    names = ["cpu"] if kind == "cpu" else _like_the_first()
    wanted = [*(name for name in _last if name in names), *(name for name in names if name not in _last)]
    with ExitStack() as files:
        locks = {name: files.enter_context(_lock_file(name)) for name in wanted}
        name = next((name for name, file in locks.items() if _try(file)), None)
        if name is None:
            name = wanted[0]
            fcntl.flock(locks[name], fcntl.LOCK_EX)
        _last[:] = [name]
        yield name


def _like_the_first() -> list[str]:
    names = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [name for name in names if torch.cuda.get_device_name(name) == torch.cuda.get_device_name(names[0])]


def _lock_file(name: str) -> TextIO:
    """The same file for the same device in every process, however many devices each of them sees."""
    identity = name if name == "cpu" else getattr(torch.cuda.get_device_properties(name), "uuid", name)
    return (Path(tempfile.gettempdir()) / f"specdec-{os.getuid()}-{identity}.lock".replace(":", "-")).open("a")


def _try(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
