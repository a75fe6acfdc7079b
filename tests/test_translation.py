"""The notebooks in Japanese: all of it translated, none of it older than its English, the same code."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from specdec_lib import translation

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
each = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
JAPANESE = re.compile("[ぁ-んァ-ヶ一-龠]")


def japanese(file):
    return file.parent / translation.LANGUAGE / file.name


@each
def test_every_cell_is_translated_and_no_translation_is_older_than_its_source(file):
    notebook, known = nbformat.read(file, as_version=4), translation.translations(japanese(file).with_suffix(".md"))
    assert translation.missing(notebook, known) == []
    assert translation.unused(notebook, known) == []


@each
def test_the_japanese_notebook_is_what_its_sources_make(file):
    made = translation.translated(
        nbformat.read(file, as_version=4), translation.translations(japanese(file).with_suffix(".md"))
    )
    kept = nbformat.read(japanese(file), as_version=4)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in made.cells]


@each
def test_english_prose_is_english_and_japanese_prose_is_japanese(file):
    known = translation.translations(japanese(file).with_suffix(".md"))
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"```.*?```|`[^`]*`|\$\$?.*?\$\$?|「[^」]*」|\([^)]*\)", "", cell.source, flags=re.DOTALL)
            assert len(JAPANESE.findall(prose)) < 0.1 * len(prose), cell.source
            if len(prose) > 40:
                assert len(JAPANESE.findall(known[translation.key(cell.source)])) > 10, cell.source


@each
def test_formulas_code_and_links_are_those_of_the_source(file):
    known = translation.translations(japanese(file).with_suffix(".md"))
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type == "markdown":
            other = known[translation.key(cell.source)]
            for kind in (r"```python\n.*?```", r"\]\(([^)]+)\)", r"<summary>"):
                found, there = (re.findall(kind, text, re.DOTALL) for text in (cell.source, other))
                assert sorted(found) == sorted(there), cell.source


@pytest.fixture
def folder(tmp_path):
    cells = [
        new_code_cell('lang = "en"', metadata={"tags": ["parameters"]}),
        new_markdown_cell("Snow falls."),
        new_code_cell("1 + 1", outputs=[new_output("stream", text="2")], execution_count=1),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "a.ipynb")
    (tmp_path / "ja").mkdir()
    (tmp_path / "ja" / "a.md").write_text(f"<!-- {translation.key('Snow falls.')} -->\n雪が降る。\n", encoding="utf-8")
    return tmp_path


def test_a_notebook_is_written_in_japanese_with_the_same_code(folder):
    assert translation.write(folder) == 0
    made = nbformat.read(folder / "ja" / "a.ipynb", as_version=4)
    assert [cell.source for cell in made.cells] == ['lang = "ja"', "雪が降る。", "1 + 1"]
    assert made.cells[2].outputs == []


def test_a_link_out_of_the_folder_leads_to_the_same_file(folder):
    notebook = nbformat.read(folder / "a.ipynb", as_version=4)
    notebook.cells.append(new_markdown_cell("See [the results](../RESULTS.md) and [more](a.ipynb)."))
    known = {translation.key(notebook.cells[-1].source): "[結果](../RESULTS.md)と[続き](a.ipynb)"}
    assert translation.translated(notebook, known).cells[-1].source == "[結果](../../RESULTS.md)と[続き](a.ipynb)"


def test_an_edited_cell_is_missing_until_it_is_translated_again(folder, capsys):
    notebook = nbformat.read(folder / "a.ipynb", as_version=4)
    notebook.cells[1].source = "Rain falls."
    nbformat.write(notebook, folder / "a.ipynb")
    assert translation.write(folder) == 1
    told = capsys.readouterr().out
    assert f"<!-- {translation.key('Rain falls.')} -->\nRain falls." in told
    assert "nothing is translated by" in told


def test_outputs_stay_while_only_prose_changes(folder):
    translation.write(folder)
    made = nbformat.read(folder / "ja" / "a.ipynb", as_version=4)
    made.cells[2].outputs = [new_output("stream", text="2")]
    nbformat.write(made, folder / "ja" / "a.ipynb")
    (folder / "ja" / "a.md").write_text(f"<!-- {translation.key('Snow falls.')} -->\n雪だ。\n", encoding="utf-8")
    translation.write(folder)
    again = nbformat.read(folder / "ja" / "a.ipynb", as_version=4)
    assert again.cells[1].source == "雪だ。"
    assert again.cells[2].outputs[0].text == "2"
