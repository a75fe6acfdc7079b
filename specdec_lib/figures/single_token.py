"""The acceptance of a single token."""

from collections.abc import Sequence

import numpy as np

from specdec_lib.figures.picture import Picture
from specdec_lib.figures.style import BLUE, INK, ORANGE, styled
from specdec_lib.language import say


@styled
def overlap(target: Sequence[float], draft: Sequence[float], tokens: Sequence[str]) -> Picture:
    """Two distributions over a small vocabulary; where they overlap, a drafted token is accepted."""
    target, draft = (np.asarray(shares, dtype=float) for shares in (target, draft))
    shared = np.minimum(target, draft)
    places = np.arange(len(tokens))
    figure = Picture(3.9)
    (axes,) = figure.panels(1, 1)
    bars = {"width": 0.36, "edgecolor": "white"}
    axes.bar(places - 0.19, target, color=BLUE, label=say("target", "ターゲットモデル"), **bars)
    axes.bar(places + 0.19, draft, color=ORANGE, label=say("draft", "ドラフトモデル"), **bars)
    axes.bar(
        places, shared, 0.78, fill=False, hatch="///", edgecolor=INK, linewidth=1.2, label=say("overlap", "重なり")
    )
    for place, share in zip(places, shared, strict=True):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
        axes.text(
            place if share else place + 0.19, max(share, 0.03) / 2, f"{share:.2g}", ha="center", va="center", bbox=box
        )
    axes.set(xticks=places, ylabel=say("probability", "確率"))
    axes.set_xticklabels(tokens, fontsize=12)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper right")
    return figure.say_it(
        say(
            f"A drafted token is accepted as often as the distributions overlap: α = {shared.sum():.2f}.",
            f"提案されたトークンは、2つの分布が重なる割合だけ受理されます：α = {shared.sum():.2f}。",
        ),
        say(
            f"Probabilities of {', '.join(tokens)} by target and draft, side by side; hatched, the smaller of both, "
            "which add up to the acceptance rate.",
            f"{'、'.join(tokens)}の確率をターゲットモデルとドラフトモデルで並べています。斜線は小さいほうの値で、その合"
            "計が受理率です。",
        ),
    )
