"""How many tokens to draft in a round: a fixed number, or what pays best by what was accepted so far."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from specdec_lib.theory import expected_tokens


@dataclass(frozen=True)
class Calibration:
    """What a round costs with 0, 1, … drafted tokens, in units of plain decoding's time for a token.

    drafting: of its draft, k c; verification: of its verification, v(k) (see `theory.speedup`). Both begin at k = 0,
    with 0 and 1.
    """

    drafting: tuple[float, ...]
    verification: tuple[float, ...]

    def cost(self, k: int) -> float:
        return self.verification[k] + self.drafting[k]

    def best(self, alpha: float) -> int:
        """The k with the largest predicted speed-up at acceptance rate alpha; 0 where drafting does not pay."""
        return self._best[round(100 * alpha)]

    @cached_property
    def _best(self) -> list[int]:
        """For α = 0, 0.01, … 1."""
        ks = range(len(self.verification))
        return [
            max(ks, key=lambda k: (expected_tokens(percent / 100, k) if k else 1) / self.cost(k))
            for percent in range(101)
        ]


class Lookahead(Protocol):
    """Chooses n_lookahead for each round of one text."""

    calibration: Calibration | None

    def choose(self) -> int:
        """Tokens to draft in the next round; 0 for none."""

    def learn(self, accepted: int, rejected: int) -> None:
        """What became of the tokens of a round that were judged."""


@dataclass(frozen=True)
class Fixed:
    """The same for every round, as the study's."""

    k: int
    calibration = None

    def choose(self) -> int:
        return self.k

    def learn(self, accepted: int, rejected: int) -> None:
        pass


@dataclass
class Tally:
    """Drafted tokens so far, as if two had been accepted and three rejected before the first."""

    accepted: int = 2
    judged: int = 5
    patience: int = 16  # plain rounds before another try


class Adaptive:
    """The best k for the acceptance rate so far, by a calibration that was made before.

    tally: of earlier texts too where k changes nothing but the time, at temperature 0. Where the rate says not to
    draft, a token is tried after 16 plain rounds, after 32 more, and so on: only drafting tells whether it would pay.
    """

    def __init__(self, calibration: Calibration, tally: Tally):
        self.calibration, self.tally = calibration, tally
        self._plain = 0

    def choose(self) -> int:
        tally = self.tally
        if k := self.calibration.best(tally.accepted / tally.judged):
            self._plain, tally.patience = 0, Tally.patience
            return k
        self._plain += 1
        if self._plain <= tally.patience:
            return 0
        self._plain, tally.patience = 0, 2 * tally.patience
        return 1

    def learn(self, accepted: int, rejected: int) -> None:
        self.tally.accepted += accepted
        self.tally.judged += accepted + rejected
