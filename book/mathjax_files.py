"""MathJax, copied beside the pages out of a Python package: what turns TeX into HTML, its fonts and its licence."""

import shutil
from importlib.metadata import distribution
from pathlib import Path

from sphinx.application import Sphinx

PACKAGE = "sphinx-mathjax-offline"
INSIDE = f"{PACKAGE}/static/mathjax/"
LICENCE = Path(__file__).parents[1] / "LICENSE"  # Apache 2.0, MathJax's too
WANTED = ("tex-chtml.js", "input/tex/extensions/", "output/chtml/fonts/")


def copy(app: Sphinx, error: Exception | None) -> None:
    if error:
        return
    place = Path(app.outdir) / "_static" / "mathjax"
    for file in distribution(PACKAGE).files:
        name = file.as_posix().removeprefix(INSIDE)
        if name.startswith(WANTED):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), place / name)
    shutil.copy(LICENCE, place)


def setup(app: Sphinx) -> dict:
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
