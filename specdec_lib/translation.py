"""Notebooks in Japanese: the English ones' code, with prose out of a file that a translator edits.

`notebooks/ja/NAME.md` holds the translation of each Markdown cell of `notebooks/NAME.ipynb`, under a line that carries
a hash of the English: where that changes, the translation is missing until somebody has looked at it again.

    python -m specdec_lib.translation          # say what is missing, and write notebooks/ja/*.ipynb
"""

import hashlib
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

MARK = re.compile(r"^<!-- ([0-9a-f]{8}) -->\n", re.MULTILINE)
OUTWARD = re.compile(r"\]\(\.\./")
"""The beginning of a link out of notebooks/, which from notebooks/ja/ is a folder further."""

LANGUAGE = "ja"


def key(english: str) -> str:
    """What a translation is found by."""
    return hashlib.sha256(english.strip().encode()).hexdigest()[:8]


def translations(file: Path) -> dict[str, str]:
    """The Japanese of each cell, by the key of its English."""
    parts = MARK.split(file.read_text(encoding="utf-8")) if file.exists() else [""]
    return {mark: text.strip() for mark, text in zip(parts[1::2], parts[2::2], strict=True)}


def missing(notebook: NotebookNode, known: dict[str, str]) -> list[str]:
    """The English of the cells that have no translation."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown" and not known.get(key(cell.source))]


def unused(notebook: NotebookNode, known: dict[str, str]) -> list[str]:
    """Keys of translations whose English is gone."""
    return sorted(set(known) - {key(cell.source) for cell in notebook.cells if cell.cell_type == "markdown"})


def translated(notebook: NotebookNode, known: dict[str, str]) -> NotebookNode:
    """The notebook in Japanese, without outputs; a cell that isn't translated stays English."""
    copy = nbformat.from_dict(notebook)
    copy.cells = [_translated_cell(nbformat.from_dict(cell), known) for cell in notebook.cells]
    return copy


def _translated_cell(cell: NotebookNode, known: dict[str, str]) -> NotebookNode:
    if cell.cell_type == "markdown":
        cell.source = OUTWARD.sub("](../../", known.get(key(cell.source)) or cell.source)
        return cell
    if "parameters" in cell.metadata.get("tags", []):
        cell.source = cell.source.replace('lang = "en"', f'lang = "{LANGUAGE}"')
    cell.outputs, cell.execution_count = [], None
    return cell


def keep_outputs(new: NotebookNode, old: NotebookNode) -> NotebookNode:
    """The new notebook with the old one's outputs, where both have the same code cells; else without."""
    ours, theirs = ([cell for cell in each.cells if cell.cell_type == "code"] for each in (new, old))
    if [cell.source for cell in ours] == [cell.source for cell in theirs]:
        for mine, shown in zip(ours, theirs, strict=True):
            mine.outputs, mine.execution_count = shown.outputs, shown.execution_count
    return new


def write(folder: Path) -> int:
    """Write the notebooks of a folder in Japanese; says which cells lack a translation and returns how many do."""
    lacking = 0
    for source in sorted(folder.glob("*.ipynb")):
        notebook, place = nbformat.read(source, as_version=4), folder / LANGUAGE / source.name
        known = translations(place.with_suffix(".md"))
        japanese = translated(notebook, known)
        if place.exists():
            japanese = keep_outputs(japanese, nbformat.read(place, as_version=4))
        place.parent.mkdir(exist_ok=True)
        nbformat.write(japanese, place)
        for english in (lost := missing(notebook, known)):
            print(f"{place.with_suffix('.md')} lacks:\n<!-- {key(english)} -->\n{english.strip()}\n")
        for mark in unused(notebook, known):
            print(f"{place.with_suffix('.md')}: nothing is translated by {mark} any more.")
        lacking += len(lost)
    return lacking


if __name__ == "__main__":
    sys.exit(bool(write(Path(__file__).parents[1] / "notebooks")))
