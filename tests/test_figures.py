"""Figures say what their rows say, in one language, with every label inside and none upon another."""

import io
import json
import lzma
import re
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Annotation, Text
from PIL import Image

from specdec_lib import figures, language, report
from specdec_lib.figures.wrapping import wrapped
from specdec_lib.paths import DATA
from specdec_lib.reporting import bootstrap
from specdec_lib.results import Missing, Results

KEPT = DATA / "results"
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
EVERYWHERE = {
    *("acceptance", "acceptance_by_size", "acceptance_by_place", "accepted_counts"),
    *("forward_cost", "speedup", "rouge_parity", "published_laws"),
}
DRAWN = {
    "epyc-2-cores": set(figures.ALL) - {"real_model"},
    "h100-replica": EVERYWHERE,
    "epyc-2-cores-gemma": EVERYWHERE | {"speed", "real_model"},
}
"""The figures that each kept folder must have rows for; a later measurement may add others."""


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Intervals of few draws: what they enclose is tested elsewhere."""
    monkeypatch.setattr(bootstrap.interval, "__defaults__", (np.median, 20, 0.95))


@pytest.fixture(scope="module")
def kept():
    """What we measured, each folder read once."""
    return {name: Results(KEPT / name) for name in DRAWN}


@pytest.fixture(params=language.LANGUAGES)
def lang(request):
    with language.spoken(request.param):
        yield request.param


def _changed(results, folder, change):
    """A copy of kept rows, each as `change` gives it; None leaves it out."""
    folder.mkdir()
    with lzma.open(results.folder / "rows.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(change, map(json.loads, lines)) if row]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "environments.json").write_bytes((results.folder / "environments.json").read_bytes())
    return Results(folder)


def _texts(figure):
    """All texts that are seen, with their boxes in pixels."""
    renderer = figure.canvas.get_renderer()
    hidden = {text for axes in figure.axes for text in _hidden(axes)}
    seen = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text, Text.get_window_extent(text, renderer)) for text in seen if text not in hidden]


def _hidden(axes):
    """Labels of ticks that are out of view or no longer used, and all that stands about an empty panel."""
    if not axes.axison:
        yield from (axes.xaxis.label, axes.yaxis.label)
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        ticks = axis.get_major_ticks() + axis.get_minor_ticks()
        used = {tick for tick in ticks if axes.axison and low <= tick.get_loc() <= high}
        for tick in {*axis.majorTicks, *axis.minorTicks} - used:
            yield from (tick.label1, tick.label2)


@pytest.mark.parametrize("folder", DRAWN)
def test_every_figure_is_drawn_or_says_which_rows_are_missing(kept, folder, lang):
    drawn = set()
    for name, draw in figures.ALL.items():
        try:
            figure = draw(kept[folder])
        except Missing:
            continue
        drawn.add(name)
        _check(name, figure, lang)
    assert drawn >= DRAWN[folder]


def _check(name, figure, lang):
    """One language, letters of 10 points or more, nothing cut off, no label upon another."""
    matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    texts = _texts(figure)
    assert figure.takeaway.endswith("。" if lang == "ja" else "."), name
    assert figure.takeaway.count("\n") == 0, name
    assert figure.alt.startswith(figure.takeaway), name
    assert len(figure.alt) > len(figure.takeaway) + 40, name
    assert bool(JAPANESE.search(figure.alt)) == (lang == "ja"), name
    if lang == "en":
        assert not [text.get_text() for text, _ in texts if JAPANESE.search(text.get_text())], name
    assert not [text.get_text() for text, _ in texts if text.get_fontsize() < 10], name
    width, height = figure.bbox.size
    for text, box in texts:
        assert -2 <= box.x0 <= box.x1 <= width + 2, (name, text.get_text(), box.x0, box.x1)
        assert -2 <= box.y0 <= box.y1 <= height + 2, (name, text.get_text(), box.y0, box.y1)
    alike = {
        "titles": [box for text, box in texts if text.axes and text in (text.axes.title, text.axes._left_title)],
        "labels": [box for text, box in texts if isinstance(text, Annotation)],
        "ticks": [box for text, box in texts if text.axes and text in text.axes.get_xticklabels()],
    }
    for kind, boxes in alike.items():
        for one, other in combinations(boxes, 2):
            assert not _upon(one, other), (name, kind)


def _upon(one, other):
    """Whether boxes overlap by more than a pixel or two."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    along = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 2 and along > 2


def test_the_sentence_says_whether_any_draft_is_faster(kept, tmp_path):
    fast = figures.speedup_by_lookahead(kept["h100-replica"])
    slow = _changed(kept["h100-replica"], tmp_path / "slow", _ten_times_as_long)
    assert "as fast" in fast.takeaway
    assert figures.speedup_by_lookahead(slow).takeaway.startswith("No draft makes decoding faster")


def _ten_times_as_long(row):
    return {**row, "seconds": 10 * row["seconds"]} if row["experiment"] == "table1_static" and row["draft"] else row


def test_the_sentence_says_whether_acceptance_falls(kept, tmp_path):
    """Rows of the frozen context, taken for ordinary ones, show the published fall."""
    frozen = _changed(kept["epyc-2-cores"], tmp_path / "frozen", _frozen_for_growing)
    assert "does not cost acceptance" in figures.acceptance_by_lookahead(kept["epyc-2-cores"]).takeaway
    assert figures.acceptance_by_lookahead(frozen).takeaway.startswith("Acceptance falls")


def _frozen_for_growing(row):
    if row["experiment"] == "frozen":
        return {**row, "experiment": "acceptance"}
    return row if row["experiment"] == "acceptance" and row["n_lookahead"] == 1 else None


def test_the_sentence_says_whether_texts_are_kept(kept, tmp_path):
    """All texts of plain decoding alone are the target's where one speculative text has lost its end."""
    results = kept["h100-replica"]
    cut = _changed(results, tmp_path / "cut", _without_an_end)
    assert "all of" in figures.rouge_parity(_changed(results, tmp_path / "whole", _as_plain)).takeaway
    assert "0% of" in figures.rouge_parity(cut).takeaway


def _as_plain(row):
    return {**row, "token_ids": [1, 2]} if row["experiment"] == "table1_static" else None


def _without_an_end(row):
    return {**row, "token_ids": [1, 2] if row["draft"] is None else [1]} if _as_plain(row) else None


def test_a_shown_figure_is_small_and_has_alt_text():
    with language.spoken("ja"):
        figure = figures.overlap([0.3, 0.4, 0.3], [0.5, 0.2, 0.3], ["晴れ", "<雨>", "$風$"])
        data = figures.show(figure)._repr_mimebundle_()
    assert "α = 0.80" in data["text/plain"]
    assert 'alt="提案された' in data["text/html"]
    assert 'lang="ja"' in data["text/html"]
    assert "&lt;雨&gt;" in data["text/html"]
    assert "<雨>" not in data["text/html"]
    assert 'src="data:image/png;base64,' in data["text/html"]
    assert len(data["text/html"]) < 60_000


def test_files_are_the_same_whatever_matplotlib_is_set_to(tmp_path):
    figures.save(figures.published_laws(), tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "pdf.fonttype": 3, "axes.grid": False}):
        figures.save(figures.published_laws(), tmp_path / "b.png")
    for ending in ("png", "pdf"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_files_hold_their_fonts_and_words_and_no_date(tmp_path):
    with language.spoken("ja"):
        figure = figures.published_laws()
        figures.save(figure, tmp_path / "laws.png")
    image = Image.open(tmp_path / "laws.png")
    assert image.mode == "P"
    assert (image.text["Title"], image.text["Description"]) == (figure.takeaway, figure.alt)
    assert (tmp_path / "laws.png").stat().st_size < 60_000
    written = (tmp_path / "laws.pdf").read_bytes()
    assert b"CIDFontType2" in written
    assert b"FontFile2" in written
    assert b"IPAexGothic" in written
    assert b"CreationDate" not in written


def test_few_colours_are_as_good_as_many(kept):
    """The largest difference of a pixel from the picture before its colours were counted out."""
    figure = figures.acceptance_by_lookahead(kept["h100-replica"])
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=figures.output.DPI)
    before = np.asarray(Image.open(drawn).convert("RGB"), dtype=int)
    after = np.asarray(Image.open(io.BytesIO(figures.output.png(figure))).convert("RGB"), dtype=int)
    assert np.abs(before - after).max() <= 48
    assert np.abs(before - after).mean() < 0.5


def test_the_report_draws_in_both_languages_and_takes_away_what_has_no_rows(kept, tmp_path, monkeypatch):
    chosen = ("published_laws", "rates", "real_model")
    monkeypatch.setattr(figures, "ALL", {name: figures.ALL[name] for name in chosen})
    for folder in (tmp_path / "figures", tmp_path / "figures" / "ja"):
        folder.mkdir()
        for ending in ("png", "pdf"):
            (folder / f"rates.{ending}").write_bytes(b"of other rows")
    report.write(kept["epyc-2-cores-gemma"], tmp_path)
    files = {str(file.relative_to(tmp_path / "figures")) for file in (tmp_path / "figures").rglob("*.p*")}
    names = [f"{name}.{ending}" for name in ("published_laws", "real_model") for ending in ("png", "pdf")]
    assert files == {*names, *(f"ja/{name}" for name in names)}
    assert language.current() == "en"
    titles = [Image.open(tmp_path / "figures" / place / "real_model.png").text["Title"] for place in ("", "ja")]
    assert [bool(JAPANESE.search(title)) for title in titles] == [False, True]


def test_another_profiles_report_shows_the_real_model_that_we_measured(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "ALL", {"real_model": figures.real_model})
    monkeypatch.setattr(report, "SECTIONS", {})
    report.write(kept["h100-replica"], tmp_path)
    assert "gemma" in Image.open(tmp_path / "figures" / "real_model.png").text["Title"]
    with pytest.raises(Missing, match="no rows of a real model"):
        figures.real_model(kept["h100-replica"])


def test_a_range_stays_in_one_line():
    sentence = "3トークンを先読みするラウンドは、通常の1.1〜2.7トークンにあたる時間で1.4〜1.7トークン進みます。"
    for inches in (3, 4, 5, 6):
        lines = wrapped(sentence, inches).splitlines()
        assert len(lines) > 1
        assert "".join(lines) == sentence
        assert not any(line.startswith("〜") or line.endswith("〜") for line in lines)
