"""Explorables: what their scripts get is what theory and rows say, in two languages, safe to embed anywhere."""

import re
from pathlib import Path
from xml.dom import minidom

import pytest
import torch

from specdec_lib import explore, language, paths, tables, theory
from specdec_lib.explore.speedup import MAX_K
from specdec_lib.reporting import round_tables
from specdec_lib.results import Missing, Results

PAGES = Path(explore.__file__).parents[1] / "pages"
KINDS = ["speedup", "token", "round"]
WORDS = ["雪", "雨", "風", "霧"]
TARGET, DRAFT = [0.5, 0.25, 0.15, 0.1], [0.2, 0.5, 0.3, 0.0]
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def results():
    return Results(paths.DATA / "results" / "epyc-2-cores")


@pytest.fixture(scope="module")
def explorables(results):
    plain = explore.token(TARGET, DRAFT, ["snow", "rain", "wind", "fog"])
    return {"speedup": explore.speedup(results), "token": plain, "round": explore.round(results)}


@pytest.fixture(scope="module")
def data(explorables):
    return {kind: explorable.view().data for kind, explorable in explorables.items()}


@pytest.mark.parametrize("lang", language.LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_asks_nobody_for_anything(explorables, kind, lang, tmp_path):
    with language.spoken(lang):
        page = explorables[kind].save_html(tmp_path / "new" / f"{kind}.html").read_text(encoding="utf-8")
    assert f'<html lang="{lang}">' in page
    assert not re.search(r"https?://", page.replace("http://www.w3.org/2000/svg", ""))
    assert not re.search(r"<(link|iframe)|@import|url\(", page)
    assert set(re.findall(r"\bsrc=.(\w*:)", page)) == {"data:"}


@pytest.mark.parametrize("kind", KINDS)
def test_keys_do_not_reach_the_notebook_around_it(explorables, kind):
    shown = explorables[kind].html()
    assert 'data-lm-suppress-shortcuts="true"' in shown
    assert 'root.addEventListener("keydown", (event) => event.stopPropagation())' in shown


@pytest.mark.parametrize("kind", KINDS)
def test_each_language_speaks_alone_and_says_the_same(explorables, kind):
    english = explorables[kind].view()
    with language.spoken("ja"):
        japanese = explorables[kind].view()
    assert not JAPANESE.search(explorables[kind].html())
    assert not JAPANESE.search(explorables[kind].svg())
    assert english.data["words"].keys() == japanese.data["words"].keys()
    for name, text in english.data["words"].items():
        assert JAPANESE.search(japanese.data["words"][name])
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", japanese.data["words"][name]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_finds_every_word_it_asks_for(data, kind):
    script = (PAGES / f"explore-{kind}.js").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bwords\.(\w+)", script)) | {"still"}
    if kind == "token":
        asked |= {"target_of", "draft_of"}
    assert asked == data[kind]["words"].keys()


@pytest.mark.parametrize("kind", KINDS)
def test_front_ends_get_a_living_part_a_still_picture_and_a_line(explorables, kind):
    language.use("ja")
    try:
        shown = explorables[kind]._repr_mimebundle_()
    finally:
        language.use("en")
    assert JAPANESE.search(shown["text/plain"])
    assert "\n" not in shown["text/plain"]
    picture = minidom.parseString(shown["image/svg+xml"]).documentElement
    panels = picture.getElementsByTagName("svg")
    assert len(panels) == len(explorables[kind].view().panels) >= 3
    assert shown["text/html"].count("<img alt=") == len(panels)


def test_a_word_is_data_even_where_it_looks_like_markup():
    words = ["</script><b>", "\x1b", 'a"&\u202e', "\ud800"]
    shown = explore.token(TARGET, DRAFT, words)
    usual = explore.token(TARGET, DRAFT, WORDS)
    assert shown.html().lower().count("</script") == usual.html().lower().count("</script")
    assert "<b>" not in shown.html() + shown.svg()
    minidom.parseString(shown.svg())
    shown.html().encode()


# --- the speed-up ---


def test_the_papers_points_are_its_table(data):
    point = next(point for point in data["speedup"]["paper"] if point["name"] == "29M")
    assert (point["alpha"], point["c"], point["k"]) == (0.593, 0.124, 1)
    assert point["measured"] == [[1, 1.42], [3, 1.15], [5, 0.98], [7, 0.85]]
    best = theory.best_lookahead(0.593, 0.124)
    assert f"the formula's best is ×{theory.speedup(0.593, best, 0.124):.2f} (k = {best})" in point["said"]


@pytest.mark.parametrize("experiment", tables.TIMED)
def test_our_points_are_table_1_and_the_rounds(results, data, experiment):
    table = tables.table1(results, experiment)
    session = next(each for each in data["speedup"]["sessions"] if each["name"] == table["session"].iloc[0])
    costs = round_tables.rounds(results).query("session == @session['name'] and n_lookahead > 0")
    assert session["v"][0] == 1
    for k, rows in costs.groupby("n_lookahead"):
        assert session["v"][k] == pytest.approx(rows["v"].median(), rel=1e-4)
    assert len(session["points"]) == table["draft"].nunique()
    for point in session["points"]:
        rows = table[table["draft"] == point["name"]]
        first = rows[rows["n_lookahead"] == 1]
        assert point["alpha"] == pytest.approx(first["pooled_acceptance"].item(), rel=1e-4)
        assert point["c"] == pytest.approx(costs[costs["draft"] == point["name"]]["c"].median(), rel=1e-4)
        assert [k for k, _ in point["measured"]] == list(rows["n_lookahead"])
        assert [value for _, value in point["measured"]] == pytest.approx(list(rows["decode_speed_up"]), rel=1e-4)


def test_small_multiples_mark_the_best_of_each_curve(explorables):
    for c, panel in zip((0.02, 0.05, 0.1, 0.2, 0.4), explorables["speedup"].view().panels, strict=False):
        for alpha in (0.3, 0.5, 0.7, 0.9):
            k = theory.best_lookahead(alpha, c, max_k=MAX_K)
            assert f"<title>α = {alpha}: k = {k}, ×{theory.speedup(alpha, k, c):.2f}</title>" in panel.svg()


# --- a token ---


def test_examples_begin_with_what_was_given_and_are_distributions(data):
    presets = data["token"]["presets"]
    assert (presets[0]["target"], presets[0]["draft"]) == (TARGET, DRAFT)
    assert presets[1]["draft"] == presets[1]["target"] == TARGET
    assert presets[2]["draft"] == [0.1, 0.15, 0.25, 0.5]
    assert presets[3]["draft"] == [0, 0.625, 0.375, 0]
    for preset in presets:
        assert sum(preset["target"]) == pytest.approx(1)
        assert sum(preset["draft"]) == pytest.approx(1)


def test_the_overlap_is_the_acceptance(explorables):
    overlap = torch.minimum(torch.tensor(TARGET), torch.tensor(DRAFT)).sum()
    assert f"α = {overlap:.2f}" in explorables["token"].view().panels[0].svg()


def test_a_draft_that_knows_one_word_alone_still_has_a_draft_without_it():
    certain = explore.token([0.7, 0.3], [1.0, 0.0], ["a", "b"]).view().data["presets"]
    assert certain[3]["draft"] == [0, 1]


def test_weights_are_normalised():
    preset = explore.token([3, 1], [1, 1], ["a", "b"]).view().data["presets"][0]
    assert (preset["target"], preset["draft"]) == ([0.75, 0.25], [0.5, 0.5])


@pytest.mark.parametrize(
    ("target", "draft", "words"),
    [([1.0], [1.0], ["a"]), ([0.5, 0.5], [1.0], ["a", "b"]), ([0.5, 0.5], [0, 0], "ab"), ([2, -1], [1, 0], "ab")],
)
def test_weights_that_are_no_distribution_are_refused(target, draft, words):
    with pytest.raises(ValueError, match="weight"):
        explore.token(target, draft, words)


# --- a round ---


def test_rounds_take_what_was_measured_and_add_what_theory_expects(results, data):
    rows = results.frame("rounds").groupby(["session", "draft", "n_lookahead"])["round_seconds"].median().mul(1000)
    alphas = tables.acceptance(results).query("n_lookahead == 1").set_index("draft")["pooled_acceptance"]
    seen = 0
    for session in data["round"]["sessions"]:
        for draft in session["drafts"]:
            for each in draft["rounds"]:
                seen += 1
                assert each["round"] == pytest.approx(rows[session["name"], draft["name"], each["k"]], rel=1e-4)
                assert each["plain"] == pytest.approx(rows[session["name"], draft["name"], 0], rel=1e-4)
                assert each["tokens"] == pytest.approx(
                    theory.expected_tokens(alphas[draft["name"]], each["k"]), rel=1e-4
                )
                assert max(each["round"], each["tokens"] * each["plain"]) < session["span"]
    assert seen == (rows.index.get_level_values("n_lookahead") > 0).sum()


@pytest.mark.parametrize("show", [explore.speedup, explore.round])
def test_nothing_measured_is_said(show, tmp_path):
    with pytest.raises(Missing, match="no results"):
        show(Results(tmp_path))
