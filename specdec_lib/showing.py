"""An article and what models made of it, under labels in the reader's language."""

from collections.abc import Mapping

from IPython.display import HTML

from specdec_lib.language import say
from specdec_lib.notebook import texts


def article(row: Mapping[str, str]) -> HTML:
    """Title and text of a row of `xlsum.load`."""
    return texts({say("Title", "見出し"): row["title"], say("Text", "本文"): row["text"]})


def summaries(reference: str, written: Mapping[str, str]) -> HTML:
    """The editor's summary above those of models, by their names: the target's first, then drafts'."""
    target, *drafts = written
    return texts(
        {
            say("Reference", "参照要約"): reference,
            say(f"Target: {target}", f"ターゲットモデル：{target}"): written[target],
            **{say(f"Draft: {name}", f"ドラフトモデル：{name}"): written[name] for name in drafts},
        }
    )
