"""What the search page looks through: the text of each section, in any language, words or no words.

Sphinx's own search finds pages, by the words of a language; these pages are long, and Japanese doesn't part its words.
"""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

UNREAD = re.compile(r"<(style|script)\b.*?</\1>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


def start(app: Sphinx) -> None:
    app.builder.search = False  # Sphinx's
    app.sections = {}


def collect(app: Sphinx, page: nodes.document, name: str) -> None:
    app.sections[name] = [
        {
            "page": f"{name}{app.builder.link_suffix}",
            "anchor": "" if isinstance(section.parent, nodes.document) else section["ids"][0],
            "titles": [app.env.titles[name].astext(), section[0].astext()],
            "text": " ".join(_text(part) for part in section[1:] if not isinstance(part, nodes.section)).strip(),
        }
        for section in page.findall(nodes.section)
    ]


def _text(node: nodes.Node) -> str:
    if isinstance(node, nodes.raw):
        text = unescape(UNREAD.sub(" ", node.astext()))
    elif isinstance(node, nodes.Text):
        text = node.astext()
    else:
        text = ("" if isinstance(node, nodes.TextElement) else " ").join(map(_text, node.children))
    return re.sub(r"\s+", " ", text)


def search_page(app: Sphinx) -> Iterator[tuple[str, dict, str]]:
    yield "search", {}, "search.html"


def write(app: Sphinx, error: Exception | None) -> None:
    if error:
        return
    every = [section for name in sorted(app.sections) for section in app.sections[name]]
    text = json.dumps(every, ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / "_static" / "sections.js").write_text(f"const bookSections = {text};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict:
    app.connect("builder-inited", start)
    app.connect("doctree-resolved", collect)
    app.connect("html-collect-pages", search_page)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
