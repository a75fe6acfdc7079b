"""Explorables: the speed-up formula, the acceptance of a token and the time of a round, to be played with.

Each is a living part of a page (`specdec_lib.page`), and small multiples that say the same at rest.
"""

from specdec_lib.explore.round import round
from specdec_lib.explore.speedup import speedup
from specdec_lib.explore.token import token

__all__ = ["round", "speedup", "token"]
