"""What the acceptance rate predicts: expected tokens a round, speed-up, the best n_lookahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specdec_lib.drafters import Context


def expected_tokens(alpha: float, n_lookahead: int, *, context: Context = "growing", beta: float = 0.0) -> float:
    """Tokens a round adds, on average.

    growing: (1 - α^(k+1)) / (1 - α), Leviathan et al. 2023, equation 1: each drafted token is accepted with
    probability α, independently. frozen: a draft that proposes every token of a round after the confirmed text alone;
    after a first token, accepted with α, the same guess again is accepted with β each time, which is small:
    1 + α (1 + β + … + β^(k-1)), close to 1 + α.
    """
    _check(alpha, n_lookahead, beta)
    later = alpha if context == "growing" else beta
    return 1 + alpha * sum(later**i for i in range(n_lookahead))


def expected_tokens_by_position(acceptance: Sequence[float]) -> float:
    """Tokens a round adds, on average, without the assumption that every drafted token is accepted alike.

    acceptance: for each place in the round, the share accepted of the tokens whose predecessors all were. Each accepted
    token counts once, and the round adds one more: 1 + a1 + a1 a2 + …, of which Leviathan et al. 2023, equation 1, is
    the case of equal places.
    """
    for rate in acceptance:
        _check(rate, 1)
    return 1 + sum(accumulate(acceptance, mul))


def ceiling(alpha: float) -> float:
    """1 / (1 - α): what a round can add at this α however far ahead one looks, and so what no speed-up at it exceeds.

    The limit of Leviathan et al. 2023, equation 1, for n_lookahead without end; the speed-up where c = 0 and v = 1.
    """
    _check(alpha, 1)
    return 1 / (1 - alpha) if alpha < 1 else float("inf")


def speedup(
    alpha: float,
    n_lookahead: int,
    c: float,
    *,
    v: float = 1.0,
    context: Context = "growing",
    beta: float = 0.0,
) -> float:
    """Time of plain decoding / time of speculative decoding, for the same text.

    E(α, k) / (v + k c): Leviathan et al. 2023, theorem 3.8, where v = 1. c: time of a draft token / time of a target
    token. v: time to verify k + 1 tokens in one forward / time of one token. context, beta: see `expected_tokens`.
    """
    return expected_tokens(alpha, n_lookahead, context=context, beta=beta) / (v + n_lookahead * c)


def best_lookahead(alpha: float, c: float, *, v: Callable[[int], float] | None = None, max_k: int = 16) -> int:
    """The n_lookahead from 1 to max_k with the largest predicted speed-up; the smallest of equals.

    v: cost of verification as a function of k (see `speedup`), 1 for every k by default.
    """
    return max(range(1, max_k + 1), key=lambda k: speedup(alpha, k, c, v=v(k) if v else 1.0))


def acceptance(alpha: float, n_lookahead: int, *, context: Context = "growing", beta: float = 0.0) -> float:
    """accepted / (accepted + rejected), the study's rate, at n_lookahead, from the acceptance α at n_lookahead 1.

    growing: α at every k, since each token judged is accepted with α. frozen: with β = 0, α / (1 + α) for k >= 2: a
    round that accepts its first token meets its rejection at the second, one that doesn't meets it at the first. In
    general a round accepts α (1 + β + … + β^(k-1)) tokens and ends in a rejection unless it accepts all k.
    """
    accepted = expected_tokens(alpha, n_lookahead, context=context, beta=beta) - 1
    later = alpha if context == "growing" else beta
    rejected = 1 - alpha * later ** (n_lookahead - 1)
    return accepted / (accepted + rejected)


def _check(alpha: float, n_lookahead: int, beta: float = 0.0) -> None:
    for name, rate in (("alpha", alpha), ("beta", beta)):
        if not 0 <= rate <= 1:
            raise ValueError(f"{name} is a rate: it must be from 0 to 1, not {rate}.")
    if n_lookahead < 1:
        raise ValueError(f"n_lookahead must be at least 1, not {n_lookahead}.")
