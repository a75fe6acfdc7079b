"""What was measured on a real model, as tables: every way beside plain decoding, forwards, predictions, the limit."""

import pandas as pd

from specdec_lib import tables
from specdec_lib.measuring.ways import Way
from specdec_lib.reporting.bootstrap import interval
from specdec_lib.results import Results

TAIL = 12
"""A text loops where its last 12 tokens stand in it before."""


def setting(results: Results) -> pd.Series:
    """Whose rows these are and how they were measured; looping: how many of the articles' texts loop."""
    machine, frame = results.environment, _timed(results)
    first = frame.iloc[0]
    return pd.Series(
        {
            "rows": f"{results.folder.parent.name}/{results.folder.name}",
            **{name: machine[name] for name in ("machine", "cores", "torch", "transformers")},
            "target": results.target,
            **{name: first[name] for name in ("dtype", "attention", "max_new_tokens")},
            "articles": frame["prompt"].nunique(),
            "repeats": frame["repeat"].nunique(),
            "looping": int(frame.groupby("prompt")["loops"].first().sum()),
        }
    )


def ways(results: Results) -> pd.DataFrame:
    """Every way of decoding over plain decoding of the same session, in the order of their turns.

    milliseconds: of a token, the prompt's forward included. speed_up: the median over articles, with a 95 % interval.
    writing, looping: medians over the articles whose plain text doesn't or does loop; NaN where there is none. slowest:
    of the article that the way helps least. same_text: the share of texts that equal plain decoding's, token for token.
    """
    frame = _timed(results)
    base, rows = _plain(frame), []
    for name, way in frame.groupby("cell", sort=False):
        ratios = tables.paired(base, way, "token_seconds")
        loops = way.groupby("prompt")["loops"].first().reindex(ratios.index)
        texts = way.merge(base, on=["prompt", "repeat"], suffixes=("", "_base"))
        rows.append(
            {
                "way": name,
                "milliseconds": 1000 * way.groupby("prompt")["token_seconds"].median().median(),
                **tables.named("speed_up", interval(ratios)),
                **{kind: ratios[loops == is_so].median() for kind, is_so in (("writing", False), ("looping", True))},
                "slowest": ratios.min(),
                "same_text": (texts["token_ids"] == texts["token_ids_base"]).mean(),
            }
        )
    return pd.DataFrame(rows)


def verification(results: Results) -> pd.DataFrame:
    """A line for each session: milliseconds_N of the target's forward over N tokens."""
    lines = {}
    for session in results.frame("forwards")["session"].unique():
        forwards = tables.forwards(results, session)
        lines[session] = forwards[forwards["model"] == results.target].set_index("width")["milliseconds"]
    return pd.DataFrame(lines).T.add_prefix("milliseconds_").rename_axis(index="session", columns=None).reset_index()


def predicted(results: Results) -> pd.DataFrame:
    """Each draft alone at each n_lookahead of the static session's Table 1: what was predicted and what was measured.

    pooled_acceptance: of all articles. tokens_per_round, c, v, predicted, decode_speed_up: see `tables.reached`.
    speed_up: with the prompt's forward, and its 95 % interval.
    """
    counted = tables.acceptance(results)[["draft", "n_lookahead", "pooled_acceptance"]]
    measured = tables.speedups(results, "table1_static").dropna(subset="draft")
    measured = measured[["draft", "n_lookahead", "speed_up", "speed_up_low", "speed_up_high"]]
    table = tables.reached(results, "table1_static").merge(measured).merge(counted, how="left")
    first = ["draft", "n_lookahead", "pooled_acceptance", "tokens_per_round", "c", "v", "predicted", "decode_speed_up"]
    return table[[*first, "speed_up", "speed_up_low", "speed_up_high"]]


def limit(results: Results) -> pd.Series:
    """How near plain decoding comes to the time in which its bytes could be read: medians over rounds without a draft.

    milliseconds: of a plain token. gigabytes_per_second: of a plain sum over memory. share: the time in which the
    token's bytes could be read at that rate / its time.
    """
    frame = results.frame("rounds")
    one = frame[(frame["n_lookahead"] == 0) & (frame["session"] == "auto")]
    return pd.Series(
        {
            "milliseconds": 1000 * one["round_seconds"].median(),
            "gigabytes_per_second": one["bandwidth"].median() / 1e9,
            "share": (one["verify_bytes"] / one["bandwidth"] / one["round_seconds"]).median(),
        }
    )


def _timed(results: Results) -> pd.DataFrame:
    """Rows of every way on the articles that plain decoding was timed on; loops: whether the plain text does."""
    frame = results.frame("speed")
    frame["token_seconds"] = frame["seconds"] / frame["token_ids"].map(len)
    plain = tables.some(_plain(frame), "speed")
    loops = plain.groupby("prompt")["token_ids"].first().map(_loops)
    frame = frame[frame["prompt"].isin(loops.index)]
    return frame.assign(loops=frame["prompt"].map(loops))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["cell"] == Way("ours", "plain", session="auto").name]


def _loops(token_ids: list[int]) -> bool:
    tail = token_ids[-TAIL:]
    return any(token_ids[start : start + TAIL] == tail for start in range(len(token_ids) - TAIL))
