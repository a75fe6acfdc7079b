"""The sources of the book in one language: its start page, the notebooks, the report, and the files they link to.

python assemble.py LANGUAGE SOURCES DOWNLOADS
"""

import re
import shutil
import sys
from os.path import normpath
from pathlib import Path

import nbformat

BOOK = Path(__file__).parent.resolve()
ROOT = BOOK.parent
NOTEBOOKS = ROOT / "notebooks"
FOLDERS = {"en": NOTEBOOKS, "ja": NOTEBOOKS / "ja"}
LINK = re.compile(r"(?<=\]\()[^()\s#]+")


def assemble(language: str, sources: Path, downloads: Path) -> None:
    """Fill two new folders: what is built, and the notebooks as they are, for a reader to take."""
    sources.mkdir(parents=True)
    downloads.mkdir(parents=True)
    shutil.copy(BOOK / f"index.{language}.md", sources / "index.md")
    report = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    (sources / "results.md").write_text(relinked(report, ROOT, sources), encoding="utf-8")
    for english in sorted(NOTEBOOKS.glob("*.ipynb")):
        file = FOLDERS[language] / english.name
        notebook = read(file)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = relinked(cell.source, file.parent, sources)
        nbformat.write(notebook, sources / file.name)
        shutil.copy(file, downloads)


def read(file: Path) -> nbformat.NotebookNode:
    """A notebook that has been executed; the program ends where it hasn't."""
    told = file.relative_to(ROOT)
    if not file.exists():
        sys.exit(f"book: {told} is missing. Write it with: python -m specdec_lib.translation")
    notebook = nbformat.read(file, as_version=4)
    if not any(cell.get("outputs") for cell in notebook.cells):
        sys.exit(f"book: {told} has no outputs. Execute it first, then build the book again.")
    return notebook


def relinked(markdown: str, folder: Path, sources: Path) -> str:
    """Markdown whose links to other files lead to the book's own pages, or to copies beside them."""

    def place(link: re.Match) -> str:
        file = Path(normpath(folder / link[0]))
        if not (file.is_file() and file.is_relative_to(ROOT)):
            return link[0]
        if file == ROOT / "RESULTS.md":
            return "results.md"
        if file.suffix == ".ipynb":
            return file.name
        copy = Path("files") / file.relative_to(ROOT)
        if file.suffix == ".md":  # no page of the book
            copy = copy.with_suffix(".md.txt")
        (sources / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, sources / copy)
        return copy.as_posix()

    return LINK.sub(place, markdown)


if __name__ == "__main__":
    assemble(sys.argv[1], *map(Path, sys.argv[2:]))
