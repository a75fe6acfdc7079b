"""RESULTS.md's section "Do the shapes agree?": each claim of the published tables, in the paper and here."""

import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.reporting import markdown
from specdec_lib.results import Missing, Results

AGREES, DIFFERS, UNDECIDED = "agrees", "differs", "undecided"


def section(results: Results) -> str:
    """A markdown table: each claim the published tables support, in the paper and here, and whether both show it.

    A speed-up counts as faster or slower when its interval lies on one side of 1, else the verdict is "undecided".
    """
    rows = []
    for about, claims in {"acceptance": _acceptance, "Table 1": _table1, "Table 2": _table2}.items():
        try:
            rows += claims(results)
        except Missing as missing:
            rows.append([f"the claims about {about}", "", "–", str(missing)])
    return markdown.table(["claim", "paper", "this run", "verdict"], rows)


def _acceptance(results: Results) -> list[list[str]]:
    published, ours = tables.published_table1(), tables.table1(results)
    frozen = tables.acceptance(results, "frozen")
    first, third = (published[published["n_lookahead"] == k]["mean_acceptance_rate"] for k in (1, 3))
    our_first, our_third, our_frozen = (
        tables.some(table[table["n_lookahead"] == k], f"acceptance at k = {k}")["mean_acceptance"].mean()
        for table, k in ((ours, 1), (ours, 3), (frozen, 3))
    )
    if pd.isna([our_first, our_third, our_frozen]).any():
        raise Missing("No drafted token was judged at k = 1 or 3: measure the rest first.")
    rising = ours.query("n_lookahead == 1")["mean_acceptance"]
    due = our_first - theory.acceptance(our_first, 3, context="frozen")  # what a frozen context takes from our α
    return [
        [
            "acceptance at k = 1 rises with draft size",
            f"{first.min():.2f} to {first.max():.2f}",
            f"{rising.iloc[0]:.2f} to {rising.iloc[-1]:.2f}",
            AGREES if rising.is_monotonic_increasing else DIFFERS,
        ],
        *(
            [
                f"acceptance falls sharply from k = 1 to k = 3: {context} context",
                f"from {first.mean():.2f} to {third.mean():.2f} on average",
                f"from {our_first:.2f} to {value:.2f} on average",
                AGREES if our_first - value > due / 2 else DIFFERS,
            ]
            for context, value in (("growing", our_third), ("frozen", our_frozen))
        ),
    ]


def _table1(results: Results) -> list[list[str]]:
    published, ours = tables.published_table1(), _paper_session(results)
    ours = tables.some(ours.dropna(subset="speed_up"), "Table 1")
    best, our_best = (table.loc[table["speed_up"].idxmax()] for table in (published, ours))
    slow, our_slow = published.iloc[-1], ours.iloc[-1]  # the largest draft at the longest look-ahead
    if our_slow["draft"] != results.largest_draft:
        raise Missing("The largest draft was not measured: measure the rest first.")
    return [
        [
            "some draft makes decoding faster",
            f"best ×{best['speed_up']:.2f} ({best['draft_params']}, k = {best['n_lookahead']})",
            f"best ×{our_best['speed_up']:.2f} ({our_best['draft']}, k = {our_best['n_lookahead']})",
            sign(our_best, faster=True),
        ],
        [
            "the largest draft with the longest look-ahead makes it slower",
            f"×{slow['speed_up']:.2f} ({slow['draft_params']}, k = {slow['n_lookahead']})",
            f"×{our_slow['speed_up']:.2f} ({our_slow['draft']}, k = {our_slow['n_lookahead']})",
            sign(our_slow, faster=False),
        ],
    ]


def _paper_session(results: Results) -> pd.DataFrame:
    """Table 1 as the paper measured it: without a cache and with eager attention."""
    return tables.table1(results, "table1_uncached")


def _table2(results: Results) -> list[list[str]]:
    switches = ["speculative_decoding", "kv_cache", "better_transformer"]
    published = tables.published_table2().set_index(switches)["speed_up"]
    ours = tables.table2(results).set_index(switches)
    if sorted(ours.index) != sorted(published.index) or ours["speed_up"].isna().any():
        raise Missing("Not each of the eight combinations was measured once: measure the rest first.")
    alone = [
        [
            f"{name} alone is faster",
            f"×{published[on]:.2f}",
            f"×{ours.loc[on, 'speed_up']:.2f}",
            sign(ours.loc[on], faster=True),
        ]
        for name, on in (
            ("speculative decoding", (1, 0, 0)),
            ("the KV-cache", (0, 1, 0)),
            ("SDPA (BetterTransformer)", (0, 0, 1)),
        )
    ]
    pairs = [
        ("speculative decoding adds to the cache", (1, 1, 0), (0, 1, 0)),
        ("with both, BetterTransformer makes it slower (mask of 2023; here a right one)", (1, 1, 0), (1, 1, 1)),
    ]
    together = [
        [
            claim,
            f"×{published[more]:.2f} over ×{published[less]:.2f}",
            f"×{ours.loc[more, 'speed_up']:.2f} over ×{ours.loc[less, 'speed_up']:.2f}",
            _ordered(ours.loc[more], ours.loc[less]),
        ]
        for claim, more, less in pairs
    ]
    return [*alone, *together]


def sign(row: pd.Series, *, faster: bool) -> str:
    """Whether the interval of a speed-up lies on the paper's side of 1."""
    if row["speed_up_low"] <= 1 <= row["speed_up_high"]:
        return UNDECIDED
    return AGREES if (row["speed_up"] > 1) == faster else DIFFERS


def _ordered(more: pd.Series, less: pd.Series) -> str:
    """Whether one speed-up is the larger, as in the paper: decided where the intervals don't overlap."""
    if more["speed_up_low"] > less["speed_up_high"]:
        return AGREES
    return DIFFERS if more["speed_up_high"] < less["speed_up_low"] else UNDECIDED
