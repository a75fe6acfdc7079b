"""Real processes that measure into a folder, forked from one that has everything imported, so that they start fast."""

import fcntl
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from itertools import count

from specdec_lib import Study
from specdec_lib.measuring.devices import held
from specdec_lib.measuring.journal import Journal
from specdec_lib.measuring.lock import locked

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["specdec_lib.measuring.study"])


def started(work, *arguments):
    """A process that does work(*arguments), which must be a function of a module, and says nothing meanwhile."""
    process = FORKED.Process(target=_silent, args=(work, *arguments), daemon=True)
    process.start()
    return process


def _silent(work, *arguments):
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    work(*arguments)


def measure(profile, folder, experiments):
    """Measure what is missing; exit code 2 where that is refused."""
    try:
        study = Study(profile, "cpu", folder=folder)
        for name in experiments:
            study.run(name)
    except ValueError:
        sys.exit(2)


def hold(folder, pipe):
    """Hold a folder until the other end of the pipe says something."""
    with locked(folder):
        pipe.send(os.getpid())
        pipe.recv()


def measure_until(profile, folder, experiments, size):
    """Measure, and die in the middle of the write by which a file would be longer than so many bytes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    measure(profile, folder, experiments)


def write_on(file, text):
    """Append numbered entries to a journal, from where it ends, and never stop."""
    journal = Journal(file)
    for number in count(len(journal.entries)):
        journal.append({"number": number, "text": text})


def hold_device(locks, file, times):
    """Hold the processor so many times, and a lock of another file meanwhile, which must be free; else exit code 1.

    locks: the folder of the devices' own.
    """
    tempfile.tempdir = locks
    for _ in range(times):
        with held("cpu"), file.open("a") as witness:
            fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.001)
