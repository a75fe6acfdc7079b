"""Intervals over prompts."""

from collections.abc import Callable, Sequence

import numpy as np


def interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[..., np.ndarray] = np.median,
    draws: int = 2_000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """The statistic of one value (or row of counts) a prompt, and its bootstrap interval over prompts.

    values: (prompts,) or (prompts, columns); statistic takes an array of them and an axis: its `axis=-1` result.
    Percentile bootstrap with a fixed seed, so that the same rows always give the same digits. NaN of no values.
    """
    values = np.asarray(values, dtype=float)
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    picks = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    low, high = np.quantile(statistic(values[picks], axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(statistic(values[None], axis=1)[0]), float(low), float(high)


def pooled(counts: np.ndarray, axis: int) -> np.ndarray:
    """Pooled rate of (…, prompts, 2) counts of accepted and rejected tokens, over the prompts' axis; NaN of none."""
    sums = counts.sum(axis=axis)
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums.sum(axis=-1)
