"""Whether the book holds together: every file it links to is there, and no page loads anything from outside.

python check.py FOLDER
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("video", "src")}
LOADED |= {("audio", "src"), ("object", "data"), ("image", "href"), ("use", "href"), ("embed", "src")}
INERT = {
    "next",
    "prev",
    "index",
    "search",
    "canonical",
    "alternate",
    "author",
    "license",
}  # link rel that loads nothing
OUTSIDE_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^\s"')]+""")


class Page(HTMLParser):
    """The addresses a page has, and which of them it loads by itself."""

    def __init__(self, file: Path):
        super().__init__()
        self.ids, self.links, self.loads, self.styles = set(), [], [], []
        self.text_of = None
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.text_of = tag
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        self.styles.append(given.get("style") or "")
        for name, address in attributes:
            if name in ("href", "src", "data", "xlink:href") and address:
                quiet = tag == "link" and INERT & set((given.get("rel") or "").split())
                loaded = (tag, name.removeprefix("xlink:")) in LOADED and not quiet
                (self.loads if loaded else self.links).append(address)

    def handle_data(self, data):
        if self.text_of == "style":
            self.styles.append(data)

    def handle_endtag(self, tag):
        self.text_of = None


def faults(folder: Path) -> Iterator[str]:
    """What is wrong, a line each."""
    pages = {file: Page(file) for file in sorted(folder.rglob("*.html"))}
    for file, page in pages.items():
        name = file.relative_to(folder)
        for address in page.loads:
            if urlsplit(address).netloc:
                yield f"{name} loads {address}"
        for style in page.styles:
            for address in OUTSIDE_STYLE.findall(style):
                yield f"{name} has a style that loads {address}"
        for address in page.loads + page.links:
            if lost := _lost(address, file, pages):
                yield f"{name} links to {address}: {lost}"
    for file in sorted(folder.rglob("*.css")):
        for address in OUTSIDE_STYLE.findall(file.read_text(encoding="utf-8")):
            yield f"{file.relative_to(folder)} loads {address}"


def _lost(address: str, file: Path, pages: dict[Path, Page]) -> str:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_file():
        return "no such file"
    fragment = unquote(parts.fragment)
    return "no such place in it" if fragment and target in pages and fragment not in pages[target].ids else ""


if __name__ == "__main__":
    found = list(faults(Path(sys.argv[1]).resolve()))
    print("\n".join(f"book: {fault}" for fault in found), end="\n" if found else "", file=sys.stderr)
    sys.exit(bool(found))
