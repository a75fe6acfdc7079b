"""What rounds cost beside what they could, from measured rows of `rounds`."""

import pandas as pd

from specdec_lib.results import Results


def rounds(results: Results) -> pd.DataFrame:
    """A line for each session, draft and n_lookahead (0: plain), medians over repeats that ran in turn.

    c, v: time of a drafted token, and of the verification, over that of a plain token, of forwards alone in a round's
    order. milliseconds: of a whole round. over_forwards: its time / its forwards'. share: the time that reading its
    bytes at the measured bandwidth takes / its time; none without a cache, where computing is the limit.
    """
    frame = results.frame("rounds")
    forwards = frame["draft_seconds"] + frame["verify_seconds"]
    moving = (frame["draft_bytes"] + frame["verify_bytes"]) / frame["bandwidth"]
    plain = frame[frame["n_lookahead"] == 0].groupby(["cell", "repeat"])["verify_seconds"].first()
    token = pd.MultiIndex.from_frame(frame[["cell", "repeat"]]).map(plain)
    frame = frame.assign(
        c=(frame["draft_seconds"] / frame["n_lookahead"].where(frame["n_lookahead"] > 0) / token),
        v=frame["verify_seconds"] / token,
        milliseconds=1000 * frame["round_seconds"],
        over_forwards=frame["round_seconds"] / forwards,
        share=(moving / frame["round_seconds"]).where(frame["session"] != "uncached"),
    )
    columns = ["c", "v", "milliseconds", "over_forwards", "share"]
    return frame.groupby(["session", "draft", "n_lookahead"], sort=False)[columns].median().reset_index()
