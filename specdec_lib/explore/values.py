"""Numbers as the scripts get them."""

from specdec_lib import tables
from specdec_lib.results import Results


def acceptance_rates(results: Results) -> dict[str, float]:
    """The pooled acceptance of each draft at n_lookahead 1."""
    first = tables.acceptance(results).query("n_lookahead == 1 and not lookup")
    return {draft: short(rate) for draft, rate in first.set_index("draft")["pooled_acceptance"].items()}


def short(value: float) -> float:
    return float(f"{value:.6g}")
