"""How Sphinx builds the book; BOOK_LANGUAGE says which of the two."""

import os
import sys
from pathlib import Path

BOOK = Path(__file__).parent.resolve()
sys.path.insert(0, str(BOOK))
from pages import WORDS  # noqa: E402

language = os.environ["BOOK_LANGUAGE"]
project = {
    "en": "Speculative decoding in Japanese, reproduced",
    "ja": "日本語の投機的デコーディングを再現する",
}[language]
extensions = ["myst_nb", "sphinx.ext.mathjax", "mathjax_files", "line_breaks", "sections", "pages"]
exclude_patterns = ["files"]
locale_dirs = [str(BOOK / "locale")]
suppress_warnings = ["config.cache", "misc.highlighting_failure", "myst.header", "mystnb.unknown_mime_type"]

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}  # a page has no kernel: what is shown instead of a widget stands beside it
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}  # the menu would load parts that are not here

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_extra_path = [f"_build/downloads/{language}"]
html_css_files = ["book.css"]
html_js_files = [
    ("enlarge.js", {"defer": "defer"} | {f"data-{name}": WORDS[language][name] for name in ("open", "close")})
]
html_favicon = "static/icon.svg"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_use_index = False
html_theme_options = {"top_of_page_buttons": []}
templates_path = ["templates"]
pygments_dark_style = "github-dark"
