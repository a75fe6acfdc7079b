"""Every experiment of a profile by name."""

from specdec_lib.measuring.cells import comparisons_of
from specdec_lib.measuring.forwards import Forwards
from specdec_lib.measuring.frequencies import Frequencies
from specdec_lib.measuring.grid import Grid
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.rounds import Rounds
from specdec_lib.measuring.speed import Speed
from specdec_lib.measuring.tasks import Experiment
from specdec_lib.measuring.ties import Ties


def experiments_of(lab: Lab) -> dict[str, Experiment]:
    """Those the profile names: comparisons of the paper and ours, after the quick ones that their tables count with."""
    wanted = lab.profile.experiments
    grids = [Grid(lab, comparison) for comparison in comparisons_of(lab.profile)]
    costs, others = (Forwards(lab), Rounds(lab)), (Speed(lab), Ties(lab), Frequencies(lab))
    every = {experiment.name: experiment for experiment in (*costs, *grids, *others)}
    return {name: every[name] for name in wanted or every}
