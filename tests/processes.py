"""Real processes that measure into a folder, forked from one that has everything imported, so that they start fast."""

import multiprocessing
import os
import sys

from specdec_lib import Study
from specdec_lib.lock import locked

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["specdec_lib.study"])


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
