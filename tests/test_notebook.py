"""A notebook whose rows or models are missing says which and goes on."""

from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from miniature import study_in

from specdec_lib import Study, notebook


@pytest.fixture
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_a_cell_without_its_rows_is_no_error(shell, tmp_path, capsys):
    notebook.go_on_where_rows_are_missing()
    shell.user_ns["study"] = Study(study_in(tmp_path), "cpu", folder=tmp_path / "results")
    assert shell.run_cell("from specdec_lib import tables\ntables.table1(study.results)").success
    assert "Not shown: There are no results" in capsys.readouterr().out
    assert not shell.run_cell("1 / 0").success


def test_a_draft_that_cant_be_loaded_is_left_out(tmp_path, capsys):
    profile = study_in(tmp_path)
    study = Study(profile, "cpu", folder=tmp_path / "results")
    (tmp_path / "draft-1" / "model.safetensors").write_bytes(b"nothing")
    assert [model.name for model in notebook.loadable(study, profile.drafts)] == [profile.drafts[1]]
    assert "draft-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "file",
    sorted((Path(__file__).parents[1] / "notebooks").rglob("*.ipynb")),
    ids=lambda file: f"{file.parent.name} {file.stem}",
)
def test_code_cells_are_short(file):
    cells = [cell.source for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]
    lengths = [source.count("\n") + 1 for source in cells]
    assert max(lengths) <= 10, cells[lengths.index(max(lengths))]
    assert sum(lengths) / len(lengths) <= 6
