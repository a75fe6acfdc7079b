"""Living parts of a page: HTML with its style and script inside, which asks no kernel and no network for anything.

A part is `pages/NAME.js`, a function expression `(root, data) => ...` that fills `root`, and `pages/NAME.css`, whose
rules all begin with `.specdec-NAME`; what several parts share, statements and rules, stands before them. Until the
script runs, and where it is stripped, `root` holds a still picture.
"""

import hashlib
import json
from html import escape
from pathlib import Path

from specdec_lib.language import current

_FOLDER = Path(__file__).parent / "pages"


def part(name: str, data: dict, still: str, *shared: str) -> str:
    """A part of a page in the language spoken.

    data: what the script gets. still: HTML, already escaped, that says the same at rest. shared: names of scripts and
    styles that it builds on. Keys stay in it: JupyterLab would take them for commands, and its notebook the focus.
    """
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    mark = hashlib.sha256(f"{name}{written}".encode()).hexdigest()[:12]
    safe = written.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    styles = "".join(_source(f"{each}.css") for each in ("common", *shared, name))
    scripts = "".join(_source(f"{each}.js") for each in ("common", *shared))
    return (
        f'<div class="specdec specdec-{name}" data-specdec="{mark}" lang="{current()}" '
        f'data-lm-suppress-shortcuts="true">{still}</div>'
        f"<style>{styles}</style><script>{scripts}"
        f"(() => {{ const fill = {_source(f'{name}.js').rstrip().rstrip(';')}; const data = {safe};"
        f" for (const root of document.querySelectorAll('[data-specdec=\"{mark}\"]:not([data-ready])'))"
        ' { root.dataset.ready = ""; fill(root, data);'
        ' root.addEventListener("keydown", (event) => event.stopPropagation()); } })()</script>'
    )


def save_page(path: str | Path, title: str, body: str) -> Path:
    """Write a web page around parts in the language spoken, and the folder it belongs in."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page(title, body), encoding="utf-8")
    return path


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html>\n<html lang="{current()}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_source('page.css')}</style>\n</head>\n"
        f"<body>\n<main>{body}</main>\n</body>\n</html>\n"
    )


def _source(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
