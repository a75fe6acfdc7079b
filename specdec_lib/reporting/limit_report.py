"""RESULTS.md's section "How near the machine's limit?": where a round's time goes, and how much of it has to."""

import pandas as pd

from specdec_lib import tables
from specdec_lib.reporting import markdown, round_tables
from specdec_lib.results import Results


def section(results: Results) -> str:
    """Markdown: what rounds cost beside their forwards and their bytes, whether the formula holds, and lookup."""
    frame, rounds = results.frame("rounds"), round_tables.rounds(results)
    first = frame.iloc[0]
    return f"""\
A round's forwards timed alone, in the order a round has them, beside the whole round, in the middle of a text: five
like rounds in a row, {frame["repeat"].nunique()} times in turn with the others, medians. Whole rounds over their
forwards alone, and plain tokens over theirs:

{_overheads(rounds)}

**How much of c is size?** *Bytes*: weights, keys and values that a forward of the draft has to read, over the target's.
c of a drafted token in a round at k = {_widest(rounds)}. With a cache it can be held against the bytes; without one,
as in the paper, arithmetic sets c and not reading.

{_costs(rounds, frame)}

**Where does a round's time go?** The smallest and the largest draft; medians of each part, so that shares need not add
up, and a rest below 0 is shown as 0. *Limit*: the time in which this machine could read the round's bytes, at the
{first["bandwidth"] / 1e9:.0f} GB/s of a plain sum over memory, over the round's time; what lies in the processor's
cache is read faster.

{_parts(rounds, frame)}

**Does the formula hold?** E / (v + kc) with E of the timed texts themselves, and v and c as above, beside the measured
speed-up without the prompt. Measured over predicted is 1 where a round costs as much over its forwards as a plain token
does over its own: it tests the formula, and the loop's own price is in the first table.

{_reached(results)}

**What is looking the text up worth?** A summary copies names and phrases from its article. *Lookup* proposes what
followed the last two to four tokens where the text had them before, for nothing but the verification; *else* a draft
model is asked where it finds none. In the static session, beside the same plain decoding; *tokens a round* counts
rounds in which nothing was found, too:

{_lookup(results)}"""


def _overheads(rounds: pd.DataFrame) -> str:
    rows = []
    for session, cells in rounds.groupby("session", sort=False):
        drafted = cells["n_lookahead"] > 0
        parts = [cells.loc[kind, "over_forwards"] for kind in (drafted, ~drafted)]
        rows.append([session, *(f"×{part.median():.2f} (×{part.min():.2f} to ×{part.max():.2f})" for part in parts)])
    return markdown.table(["session", "round / its forwards", "plain token / its forward"], rows)


def _widest(rounds: pd.DataFrame) -> int:
    """The largest k that every session was timed at."""
    return int(rounds.groupby("session")["n_lookahead"].max().min())


def _costs(rounds: pd.DataFrame, frame: pd.DataFrame) -> str:
    k = _widest(rounds)
    costs = rounds[rounds["n_lookahead"] == k].pivot(index="draft", columns="session", values="c")
    bytes_of = frame[frame["n_lookahead"] == k].groupby("draft", sort=False)[["draft_bytes", "verify_bytes"]].first()
    sessions = [session for session in tables.TIMED.values() if session in costs]
    rows = [
        [
            draft,
            f"{size['draft_bytes'] / k / size['verify_bytes']:.3f}",
            *(f"{c:.3f}" for c in costs.loc[draft, sessions]),
        ]
        for draft, size in bytes_of.iterrows()
    ]
    return markdown.table(["draft", "bytes", *(f"c, {session}" for session in sessions)], rows)


def _parts(rounds: pd.DataFrame, frame: pd.DataFrame) -> str:
    parts = frame.groupby(["session", "draft", "n_lookahead"], sort=False)[["draft_seconds", "verify_seconds"]].median()
    table = rounds.merge(1000 * parts, on=["session", "draft", "n_lookahead"])
    drafts = rounds["draft"].unique()[[0, -1]]
    rows = []
    for row in table[table["draft"].isin(drafts) & (table["n_lookahead"] > 0)].itertuples():
        rest = row.milliseconds - row.draft_seconds - row.verify_seconds
        shares = [f"{part / row.milliseconds:.0%}" for part in (row.draft_seconds, row.verify_seconds, max(rest, 0))]
        limit = "" if pd.isna(row.share) else f"{row.share:.0%}"
        rows.append(
            [row.session, row.draft, row.n_lookahead, f"{row.milliseconds:.2f}", f"{row.v:.2f}", *shares, limit]
        )
    return markdown.table(["session", "draft", "k", "ms a round", "v", "draft", "verify", "rest", "limit"], rows)


def _reached(results: Results) -> str:
    rows = []
    for experiment, session in tables.TIMED.items():
        if not results.has(experiment):
            continue
        table = tables.reached(results, experiment)
        table = tables.some(table.dropna(subset=["decode_speed_up", "predicted"]), experiment)
        best = table.loc[table["decode_speed_up"].idxmax()]
        rows.append(
            [
                session,
                len(table),
                f"{table['reached'].median():.2f}",
                f"{table['reached'].min():.2f} to {table['reached'].max():.2f}",
                f"×{best['decode_speed_up']:.2f} ({best['draft']}, k = {best['n_lookahead']})",
                f"×{table['predicted'].max():.2f}",
            ]
        )
    head = ["session", "drafts × k", "measured / predicted", "lowest to highest", "best measured", "best predicted"]
    return markdown.table(head, rows)


def _lookup(results: Results) -> str:
    rows = [
        [
            row.drafter,
            row.n_lookahead,
            f"{row.mean_acceptance:.3f}",
            f"{row.pooled_acceptance:.3f} {markdown.brackets(row, 'pooled_acceptance', 3)}",
            f"{row.tokens_per_round:.2f}",
            f"×{row.speed_up:.2f} {markdown.brackets(row, 'speed_up', 2)}",
            f"×{row.decode_speed_up:.2f}",
            f"{row.same_text:.0%}",
        ]
        for row in tables.table1_lookup(results).itertuples()
    ]
    head = ["drafter", "k", "mean acceptance", "pooled", "tokens a round", "speed-up", "without prompt", "same text"]
    return markdown.table(head, rows)
