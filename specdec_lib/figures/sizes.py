"""Drafts by their size over the target's: the axis of it, and the published ones on it."""

import pandas as pd
from matplotlib.axis import Axis

from specdec_lib.figures.style import log_ticks
from specdec_lib.figures.words import in_percent
from specdec_lib.language import say
from specdec_lib.tables import published_models, published_table1

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Places of a logarithmic axis of sizes or times over the target's."""


def label_shares(axis: Axis) -> None:
    """Percent on a logarithmic axis of sizes or times over the target's."""
    log_ticks(axis, SHARES, lambda share: in_percent(f"{100 * share:g}"))


def relative_size() -> str:
    """The label of an axis of draft sizes."""
    return say("draft's parameters / target's", "パラメータ数の比（ドラフトモデル／ターゲットモデル）")


def published_sizes() -> pd.DataFrame:
    """The published Table 1 at n_lookahead 1, by draft, from small to large; size: parameters over the target's."""
    table, models = published_table1().query("n_lookahead == 1"), published_models()["params"]
    millions = [float(size.removesuffix("M")) for size in models]
    return table.assign(
        draft=table["draft_params"],
        size=table["draft_params"].map(dict(zip(models, millions, strict=True))) / max(millions),
    )
