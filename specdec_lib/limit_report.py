"""RESULTS.md's section "At the machine's limit": where a round's time goes, and how much of it has to."""

import pandas as pd

from specdec_lib import markdown, round_tables, tables
from specdec_lib.results import Results

TIMED = {"table1_uncached": "uncached", "table1": "cached", "table1_static": "static"}


def section(results: Results) -> str:
    """Markdown: c without overhead, a round's parts, what is reached of the speed-up that forwards alone allow."""
    frame, rounds = results.frame("rounds"), round_tables.rounds(results)
    first = frame.iloc[0]
    drafted = rounds[rounds["n_lookahead"] > 0]
    worst, best = drafted["over_forwards"].max(), drafted["over_forwards"].min()
    return f"""## At the machine's limit

A round's forwards timed alone, in the order a round has them, beside the whole round, in the middle of a text: five
like rounds in a row, {frame["repeat"].nunique()} times in turn with the others, medians. A whole round takes
×{best:.2f} to ×{worst:.2f} of its forwards alone, over all sessions, drafts and look-aheads.

**How much of c is size?** *Bytes*: weights, keys and values that a forward of the draft has to read, over the target's.
c at k = {_widest(rounds)}, with a cache: what is above the bytes is overhead. Without one computing is the limit, not
reading.

{_costs(rounds, frame)}

**Where does a round's time go?** The smallest and the largest draft. *Limit*: the time in which this machine could read
the round's bytes, at the {first["bandwidth"] / 1e9:.0f} GB/s of a plain sum over memory, over the round's time.

{_parts(rounds, frame)}

**What is reached of the speed-up that the forwards allow?** E / (v + kc) with E of the timed texts themselves, v and c
as above: nothing but forwards takes time there. The prompt is left out.

{_reached(results)}

**What is looking the text up worth?** A summary copies names and phrases from its article. *Lookup* proposes what
followed the last two to four tokens where the text had them before, for nothing but the verification; *else* a draft
model is asked where it finds none. In the static session, beside the same plain decoding:

{_lookup(results)}"""


def _widest(rounds: pd.DataFrame) -> int:
    """The largest k that every session was timed at."""
    return int(rounds.groupby("session")["n_lookahead"].max().min())


def _costs(rounds: pd.DataFrame, frame: pd.DataFrame) -> str:
    k = _widest(rounds)
    costs = rounds[rounds["n_lookahead"] == k].pivot(index="draft", columns="session", values="c")
    bytes_of = frame[frame["n_lookahead"] == k].groupby("draft", sort=False)[["draft_bytes", "verify_bytes"]].first()
    sessions = [session for session in TIMED.values() if session in costs]
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
    for experiment, session in TIMED.items():
        if not results.has(experiment):
            continue
        table = tables.reached(results, experiment)
        best = table.loc[table["decode_speed_up"].idxmax()]
        rows.append(
            [
                session,
                len(table),
                f"{table['reached'].median():.2f}",
                f"{table['reached'].min():.2f} to {table['reached'].max():.2f}",
                f"×{best['decode_speed_up']:.2f} ({best['draft']}, k = {best['n_lookahead']})",
                f"×{table['allowed'].max():.2f}",
            ]
        )
    head = ["session", "drafts × k", "reached, median", "lowest to highest", "best speed-up", "best allowed"]
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
