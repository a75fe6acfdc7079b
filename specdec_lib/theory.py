"""What the acceptance rate predicts: expected tokens a round, speed-up, the best n_lookahead."""

from collections.abc import Callable
from typing import Literal

Context = Literal["growing", "frozen"]


def expected_tokens(alpha: float, n_lookahead: int, *, context: Context = "growing") -> float:
    """Tokens a round adds, on average.

    growing: (1 - α^(k+1)) / (1 - α), Leviathan et al. 2023, equation 1: each drafted token is accepted with
    probability α, independently. frozen: 1 + α, for a draft that proposes every token of a round after the confirmed
    text alone, so that from the second on (almost) none is accepted.
    """
    _check(alpha, n_lookahead)
    if context == "frozen":
        return 1 + alpha
    return sum(alpha**i for i in range(n_lookahead + 1))


def speedup(alpha: float, n_lookahead: int, c: float, *, v: float = 1.0, context: Context = "growing") -> float:
    """Time of plain decoding / time of speculative decoding, for the same text.

    E(α, k) / (v + k c): Leviathan et al. 2023, theorem 3.8, where v = 1. c: time of a draft token / time of a target
    token. v: time to verify k + 1 tokens in one forward / time of one token.
    """
    return expected_tokens(alpha, n_lookahead, context=context) / (v + n_lookahead * c)


def best_lookahead(alpha: float, c: float, *, v: Callable[[int], float] | None = None, max_k: int = 16) -> int:
    """The n_lookahead from 1 to max_k with the largest predicted speed-up; the smallest of equals.

    v: cost of verification as a function of k (see `speedup`), 1 for every k by default.
    """
    return max(range(1, max_k + 1), key=lambda k: speedup(alpha, k, c, v=v(k) if v else 1.0))


def acceptance(alpha: float, n_lookahead: int, *, context: Context = "growing") -> float:
    """accepted / (accepted + rejected) at n_lookahead, from the acceptance α at n_lookahead 1.

    growing: α at every k. frozen: α / (1 + α) for k >= 2: a round that accepts its first token (α) meets its
    rejection at the second, one that doesn't meets it at the first.
    """
    _check(alpha, n_lookahead)
    return alpha / (1 + alpha) if context == "frozen" and n_lookahead > 1 else alpha


def _check(alpha: float, n_lookahead: int) -> None:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is a rate: it must be from 0 to 1, not {alpha}.")
    if n_lookahead < 1:
        raise ValueError(f"n_lookahead must be at least 1, not {n_lookahead}.")
