"""RESULTS.md's section "Do the shapes agree?": each claim of the published tables, in the paper and here."""

import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.language import say
from specdec_lib.reporting import markdown
from specdec_lib.results import Missing, Results

AGREES, DIFFERS, UNDECIDED = "agrees", "differs", "undecided"
JAPANESE = {AGREES: "一致", DIFFERS: "不一致", UNDECIDED: "判定できない"}


def section(results: Results) -> str:
    """A markdown table: each claim the published tables support, in the paper and here, and whether both show it.

    A speed-up counts as faster or slower when its interval lies on one side of 1, else the verdict is "undecided".
    """
    rows = []
    for claims, unmeasured in (
        (_acceptance, say("the claims about acceptance", "受理率についての主張")),
        (_table1, say("the claims about Table 1", "表1についての主張")),
        (_table2, say("the claims about Table 2", "表2についての主張")),
    ):
        try:
            rows += [[*claim, say(verdict, JAPANESE[verdict])] for *claim, verdict in claims(results)]
        except Missing as missing:
            rows.append([unmeasured, "", "–", str(missing)])
    head = say("claim", "主張"), say("paper", "論文"), say("this run", "この実行"), say("verdict", "判定")
    return markdown.table(head, rows)


def _acceptance(results: Results) -> list[list[str]]:
    published, ours = tables.published_table1(), tables.table1(results)
    frozen = tables.acceptance(results, "frozen")
    first, third = (published[published["n_lookahead"] == k]["mean_acceptance_rate"] for k in (1, 3))
    our_first, our_third, our_frozen = (
        tables.some(table[table["n_lookahead"] == k], f"acceptance at k = {k}")["mean_acceptance"].mean()
        for table, k in ((ours, 1), (ours, 3), (frozen, 3))
    )
    if pd.isna([our_first, our_third, our_frozen]).any():
        raise Missing(
            say(
                "No drafted token was judged at k = 1 or 3: measure the rest first.",
                "k = 1 または 3 で判定されたトークンがありません。残りを先に測定してください。",
            )
        )
    rising = ours.query("n_lookahead == 1")["mean_acceptance"]
    due = our_first - theory.acceptance(our_first, 3, context="frozen")  # what a frozen context takes from our α
    return [
        [
            say("acceptance at k = 1 rises with draft size", "k = 1 での受理率は、ドラフトモデルが大きいほど高い"),
            _change(first.min(), first.max()),
            _change(rising.iloc[0], rising.iloc[-1]),
            AGREES if rising.is_monotonic_increasing else DIFFERS,
        ],
        *(
            [
                claim,
                _mean_change(first.mean(), third.mean()),
                _mean_change(our_first, value),
                AGREES if our_first - value > due / 2 else DIFFERS,
            ]
            for claim, value in (
                (
                    say(
                        "acceptance falls sharply from k = 1 to k = 3: growing context",
                        "受理率は k = 1 から k = 3 で大きく下がる（文脈が伸びる場合）",
                    ),
                    our_third,
                ),
                (
                    say("acceptance falls sharply from k = 1 to k = 3: frozen context", "同（文脈を固定した場合）"),
                    our_frozen,
                ),
            )
        ),
    ]


def _change(first: float, last: float) -> str:
    return say(f"{first:.2f} to {last:.2f}", f"{first:.2f} → {last:.2f}")


def _mean_change(first: float, last: float) -> str:
    return say(f"from {first:.2f} to {last:.2f} on average", f"平均 {first:.2f} → {last:.2f}")


def _table1(results: Results) -> list[list[str]]:
    published, ours = tables.published_table1(), _paper_session(results)
    ours = tables.some(ours.dropna(subset="speed_up"), "Table 1")
    best, our_best = (table.loc[table["speed_up"].idxmax()] for table in (published, ours))
    slow, our_slow = published.iloc[-1], ours.iloc[-1]  # the largest draft at the longest look-ahead
    if our_slow["draft"] != results.largest_draft:
        raise Missing(
            say(
                "The largest draft was not measured: measure the rest first.",
                "最大のドラフトモデルが測定されていません。残りを先に測定してください。",
            )
        )
    return [
        [
            say("some draft makes decoding faster", "速くなるドラフトモデルがある"),
            say("best ", "最高") + _gain(best, best["draft_params"]),
            say("best ", "最高") + _gain(our_best, our_best["draft"]),
            sign(our_best, faster=True),
        ],
        [
            say(
                "the largest draft with the longest look-ahead makes it slower",
                "最大のドラフトモデルと最大の先読み数では遅くなる",
            ),
            _gain(slow, slow["draft_params"]),
            _gain(our_slow, our_slow["draft"]),
            sign(our_slow, faster=False),
        ],
    ]


def _gain(row: pd.Series, draft: str) -> str:
    return _times(row["speed_up"]) + say(
        f" ({draft}, k = {row['n_lookahead']})", f"（{draft}、k = {row['n_lookahead']}）"
    )


def _times(speed_up: float) -> str:
    return say(f"×{speed_up:.2f}", f"{speed_up:.2f}倍")


def _paper_session(results: Results) -> pd.DataFrame:
    """Table 1 as the paper measured it: without a cache and with eager attention."""
    return tables.table1(results, "table1_uncached")


def _table2(results: Results) -> list[list[str]]:
    switches = ["speculative_decoding", "kv_cache", "better_transformer"]
    published = tables.published_table2().set_index(switches)["speed_up"]
    ours = tables.table2(results).set_index(switches)
    if sorted(ours.index) != sorted(published.index) or ours["speed_up"].isna().any():
        raise Missing(
            say(
                "Not each of the eight combinations was measured once: measure the rest first.",
                "8つの組み合わせが1回ずつ測定されていません。残りを先に測定してください。",
            )
        )
    alone = [
        [
            claim,
            _times(published[on]),
            _times(ours.loc[on, "speed_up"]),
            sign(ours.loc[on], faster=True),
        ]
        for claim, on in (
            (say("speculative decoding alone is faster", "投機的デコーディングだけで速くなる"), (1, 0, 0)),
            (say("the KV-cache alone is faster", "KVキャッシュだけで速くなる"), (0, 1, 0)),
            (say("SDPA (BetterTransformer) alone is faster", "SDPA（BetterTransformer）だけで速くなる"), (0, 0, 1)),
        )
    ]
    pairs = [
        (
            say("speculative decoding adds to the cache", "キャッシュに投機的デコーディングを加えるとさらに速くなる"),
            (1, 1, 0),
            (0, 1, 0),
        ),
        (
            say(
                "with both, BetterTransformer makes it slower (mask of 2023; here a right one)",
                "両方を使っているとき、BetterTransformer を加えると遅くなる"
                "（論文は2023年のマスク、ここでは正しいマスク）",
            ),
            (1, 1, 0),
            (1, 1, 1),
        ),
    ]
    together = [
        [
            claim,
            _against(published[more], published[less]),
            _against(ours.loc[more, "speed_up"], ours.loc[less, "speed_up"]),
            _ordered(ours.loc[more], ours.loc[less]),
        ]
        for claim, more, less in pairs
    ]
    return [*alone, *together]


def _against(more: float, less: float) -> str:
    return say(f"{_times(more)} over {_times(less)}", f"{_times(more)} 対 {_times(less)}")


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
