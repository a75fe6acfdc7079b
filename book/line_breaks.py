"""A line that ends between two Japanese characters goes on without a space."""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

JAPANESE = re.compile("[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")


class JoinLines(SphinxTransform):
    """Takes the line break between two Japanese characters out of running text."""

    default_priority = 700

    def apply(self, **_) -> None:
        for text in list(self.document.findall(nodes.Text)):
            if text != "\n" or isinstance(text.parent, nodes.FixedTextElement):
                continue
            around = text.parent.children
            place = next(place for place, node in enumerate(around) if node is text)
            before, after = ("".join(node.astext() for node in part) for part in (around[:place], around[place + 1 :]))
            if JAPANESE.match(before[-1:]) and JAPANESE.match(after):
                del text.parent[place]


def setup(app: Sphinx) -> dict:
    app.add_transform(JoinLines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
