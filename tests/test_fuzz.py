"""Thousands of malformed inputs: each is answered by one sentence, or by work done, and never by a traceback.

What stays on disk stays as it was. Inputs are drawn by seeded generators (`malformed.py`), offline, over tiny models.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import warnings
from collections import Counter
from pathlib import Path
from random import Random

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from malformed import VALUES, WORDS, bytes_of, safetensors_of, value_of
from test_cli import save_model

from specdec_lib import Study, figures, load_model, parameters, report, tables, xlsum
from specdec_lib.cli import main
from specdec_lib.measuring import rounds, speed
from specdec_lib.profiles import Profile
from specdec_lib.reporting import bootstrap, references
from specdec_lib.results import Results

ENOUGH = 2_000
SEED = os.environ.get("FUZZ_SEED", "1")  # another one draws other inputs
ARTICLES = [
    {"id": f"n{number}", "title": "あい", "summary": "うえ", "text": text}
    for number, text in enumerate(["かきくけこ", "さしすせそたち", "つてと"])
]


@pytest.fixture(scope="module")
def tried():
    """How many inputs of each kind were tried."""
    return Counter()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two tiny models, articles, and the results of a small complete study of them."""
    folder = tmp_path_factory.mktemp("home")
    target, draft = (save_model(folder / name, seed) for seed, name in enumerate(("target", "draft")))
    (folder / "articles.jsonl").write_text(_lines(ARTICLES), encoding="utf-8")
    with pytest.MonkeyPatch.context() as few:
        few.setattr(rounds, "REPEATS", 1)
        few.setattr(speed, "NEW_TOKENS", 2)
        study = Study(_profile(folder, target, draft), "cpu", folder=folder / "results")
        for name in study.experiments:
            study.run(name)
    (folder / "results" / "lock").unlink()
    return folder


@pytest.fixture(autouse=True)
def sandbox(tmp_path, monkeypatch):
    """Relative paths end here, nothing waits for input, and a report is quick."""
    (tmp_path / "here" / "below").mkdir(parents=True)
    (tmp_path / "no-references").mkdir()
    monkeypatch.chdir(tmp_path / "here" / "below")
    monkeypatch.setattr(references, "FOLDER", tmp_path / "no-references")
    monkeypatch.setattr(bootstrap.interval, "__defaults__", (np.median, 20, 0.95))


def _profile(folder, target, draft, **other):
    numbers = {"articles": 3, "timed_articles": 2, "own_articles": 2, "repeats": 1, "draws": 20}
    return Profile(
        **{
            "name": "fuzz",
            "target": target,
            "drafts": (draft,),
            "draft": draft,
            "source": str(folder / "articles.jsonl"),
            "lookaheads": (1, 3),
            "uncached_lookaheads": (1, 3),
            "uncached_repeats": 1,
            "frozen_lookaheads": (3,),
            "max_new_tokens": 8,
            "timed_new_tokens": 4,
            **numbers,
            **other,
        }
    )


def _lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _content(folder):
    return {file: file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _fault(error):
    """What is wrong with an error that an input was answered by; None where it is one sentence."""
    if not isinstance(error, ValueError) or isinstance(error, UnicodeError):
        return f"{type(error).__name__}: {str(error)[:300]}"
    text = str(error)
    if "\n" in text or not re.search(r"[.`]\s*$", text) or len(text) > 20_000:
        return f"no sentence: {text[:300]!r}"
    return None


def _answer(work):
    """The fault of a piece of work that may end in a sentence."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            work()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return _fault(error)
    spoken = [str(warning.message) for warning in told if not issubclass(warning.category, DeprecationWarning)]
    return f"warned: {spoken[0][:300]}" if spoken else None


def _run(argv, capfd):
    """The fault of a command."""
    capfd.readouterr()
    try:
        code = main(argv)
    except SystemExit as stop:
        return None if stop.code == 0 and {"-h", "--help"} & set(argv) else f"SystemExit {stop.code}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    _, err = capfd.readouterr()
    if code == 0:
        return f"exit code 0 with {err[:300]!r}" if "Traceback" in err else None
    if code != 2 or not re.fullmatch(r"specdec: [^\n]+\n", err):
        return f"exit code {code}, {err[-600:]!r}"
    return None


def _all_answered(faults):
    shown = "\n".join(f"{str(given)[:400]}\n    -> {fault}" for given, fault in faults[:40])
    assert not faults, f"{len(faults)} inputs:\n{shown}"


# Commands


def _commands(home):
    """Each command with options that make it quick, as [option, value] or [option]."""
    model = [["-p", str(home / "target")], ["-q", str(home / "draft")], ["--max-new-tokens", "4"], ["--device", "cpu"]]
    sampled = [["-k", "2"], ["--temperature", "0.8"], ["--top-k", "5"], ["--top-p", "0.9"], ["--seed", "1"]]
    shared = [["--max-text-length", "8"], ["--bits", "32"], ["--attention", "sdpa"], ["--pickled", ""]]
    decoding = [*model, *sampled, *shared, ["--decode", "speculative"], ["--no-kv-cache"]]
    articles = [["--source", str(home / "articles.jsonl")], ["--articles", "1"], ["--repeats", "1"], ["--no-warmup"]]
    study = [["--profile", "quick"], ["--device", "cpu"], ["--seed", "0"], ["--articles", "1"], ["--repeats", "1"]]
    return {
        "generate": [["-i", "あいう"], *decoding, ["--output-dir", "out"], ["--trace"], ["--color", "never"]],
        "benchmark": [*decoding, *articles, ["--output-dir", "out"]],
        "measure": [*study, ["--pickled", ""], ["--results", "results"], ["--plan"]],
        "models": [],
        "report": [["--results", str(home / "few")], ["--output", "out"]],
    }


def _argv(random, command, options):
    options = [list(option) for option in options]
    words = []
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        valued = [option for option in options if len(option) == 2]
        match random.randrange(8):
            case 0 if valued:
                random.choice(valued).pop()
            case 1 if options:
                words += random.choice(options)
            case 2:
                words += [random.choice(["--", "--x", "-", "--output", "--input", "-z", "--p", "--no-trace"])]
            case 3:
                words += [random.choice(WORDS)]
            case _ if valued:
                random.choice(valued)[1] = random.choice(WORDS)
    random.shuffle(options)
    flat = [word for option in options for word in option]
    named = random.choice(WORDS) if random.random() < 0.03 else command
    return [*words, named, *flat] if random.random() < 0.05 else [named, *words, *flat]


@pytest.fixture(scope="module")
def few(home):
    """Results that a report is quick of: one experiment's."""
    (home / "few").mkdir()
    rows = (home / "results" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [line for line in rows if json.loads(line)["experiment"] == "quality"]
    (home / "few" / "rows.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    shutil.copy(home / "results" / "environments.json", home / "few")
    return home / "few"


@pytest.mark.parametrize(
    ("command", "count"), [("generate", 420), ("benchmark", 240), ("measure", 120), ("models", 30), ("report", 90)]
)
def test_any_words_are_a_sentence_or_a_result(command, count, home, few, capfd, monkeypatch, tried):
    monkeypatch.setattr(figures, "ALL", {})
    before, random, faults = _content(home), Random(f"{command} {SEED}"), []
    options = _commands(home)[command]
    for _ in range(count):
        monkeypatch.setattr(sys, "stdin", io.StringIO(random.choice(["", "あ", "\udcff"])))
        argv = _argv(random, command, options)
        if fault := _run(argv, capfd):
            faults.append((argv, fault))
    tried[command] += count
    _all_answered(faults)
    assert _content(home) == before


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://", "\x00", "\ud800", "tls://127.0.0.1:1"])
def test_a_cluster_that_is_none_is_a_sentence(address, capfd, monkeypatch, tried):
    cluster = pytest.importorskip("specdec_lib.measuring.cluster")
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    tried["cluster"] += 1
    assert not _run(["measure", "--profile", "quick", "--plan", "--cluster", address, "--results", "r"], capfd)


# Notebook parameters


def test_any_parameters_are_a_sentence_or_a_study(home, tmp_path, monkeypatch, tried):
    known = {"profile": "quick", "device": "cpu", "seed": 0, "articles": 1, "repeats": 1, "cluster": "", "pickled": ""}
    random, faults = Random(f"parameters {SEED}"), []
    profiles = ["mini", "Quick", _profile(home, "mini-target", "mini-draft-1")]
    for number in range(400):
        given = dict(known)
        for _ in range(random.choice([1, 1, 2])):
            name = random.choice(list(known))
            others = [
                value for value in (*VALUES, *WORDS, *profiles) if name != "cluster" or not isinstance(value, str)
            ]
            given[name] = random.choice(others)
        if number % 20 == 0:
            given[random.choice(WORDS)] = random.choice(VALUES)
        work = lambda given=given: Study(**parameters(given), folder=tmp_path / "none").tasks  # noqa: E731
        if fault := _answer(work):
            faults.append((given, fault))
        tried["parameters"] += 1
    _all_answered(faults)
    assert not (tmp_path / "none").exists()


# Articles


def _archive(file, members):
    with tarfile.open(file, "w:bz2") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _table(random, rows):
    """A table of articles whose columns hold other things."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    name = random.choice(list(columns))
    kind = random.choice([[1, 2, 3], [None] * 3, [b"\xff"] * 3, [[1], [], [2]], [1.5, float("nan"), 0], [True] * 3])
    match random.randrange(4):
        case 0:
            del columns[name]
        case 1:
            columns[name] = [columns[name][0], None, columns[name][2]]
        case 2:
            columns["split"] = kind
        case _:
            columns[name] = kind
    return pd.DataFrame(columns)


def test_any_data_file_is_a_sentence_or_articles(tmp_path, tried):
    random, faults = Random(f"data {SEED}"), []
    lines = _lines([{**row, "split": "test"} for row in ARTICLES])
    pd.DataFrame(ARTICLES).to_parquet(tmp_path / "good.parquet")
    _archive(tmp_path / "good.tar.bz2", {name: lines.encode() for name in xlsum.MEMBERS.values()})
    for number in range(360):
        kind = ("jsonl", "jsonl", "parquet", "tar.bz2")[number % 4]
        file = tmp_path / f"articles.{kind}"
        if kind == "jsonl" and random.random() < 0.5:
            rows = value_of(random, [{**row, "split": "test"} for row in ARTICLES])
            file.write_text("".join(json.dumps(row) + "\n" for row in rows) if isinstance(rows, list) else str(rows))
        elif kind == "jsonl":
            file.write_bytes(bytes_of(random, lines.encode()))
        elif kind == "parquet" and random.random() < 0.4:
            _table(random, ARTICLES).to_parquet(file)
        elif kind == "tar.bz2" and random.random() < 0.4:
            _archive(file, {"./japanese_test.jsonl": bytes_of(random, lines.encode())})
        else:
            file.write_bytes(bytes_of(random, (tmp_path / f"good.{kind}").read_bytes()))
        split, n = random.choice(["test", "test", "train", "", "\ud800"]), random.choice([None, 1, 10**9])
        if fault := _answer(lambda file=file, split=split, n=n: xlsum.load(file, split, n)):
            faults.append((kind, file.read_bytes()[:200], split, n))
            faults[-1] = (faults[-1], fault)
        tried["data"] += 1
    _all_answered(faults)


def test_any_arguments_of_load_are_a_sentence_or_articles(home, tried):
    faults = []
    for value in [*VALUES, *WORDS]:
        for arguments in ({"source": value}, {"n": value}, {"split": value}, {"revision": value}):
            given = {"source": str(home / "articles.jsonl"), **arguments}
            if given["source"] == "hub":
                continue
            if fault := _answer(lambda given=given: xlsum.load(**given)):
                faults.append((given, fault))
            tried["arguments"] += 1
    _all_answered(faults)


def test_any_article_is_scored(home, tmp_path, capfd, tried):
    """What is text by its type may still be anything."""
    words = [word for word in WORDS if len(word) < 20 and not re.search("[\ud800-\udfff]", word)]
    articles = [{"id": word, "title": word, "summary": word, "text": word} for word in words]
    plain = {"id": "n", "title": "あ", "summary": "あ", "text": "あ"}
    articles += [{**plain, name: word} for word in words for name in ("title", "text")]
    (tmp_path / "a.jsonl").write_text(_lines(articles), encoding="utf-8")
    model = ["-p", str(home / "target"), "-q", str(home / "draft"), "--device", "cpu", "--max-text-length", "9"]
    options = ["--max-new-tokens", "2", "--source", str(tmp_path / "a.jsonl"), "--output-dir", "out", "--no-warmup"]
    assert not _run(["benchmark", *model, *options], capfd)
    records = [json.loads(file.read_bytes()) for file in sorted(Path("out").glob("[0-9]*.json"))]
    assert [record["label"] for record in records] == [article["summary"] for article in articles]
    tried["article"] += len(articles)


# Results

TABLES = ("acceptance", "rates", "rounds")
READ_BY = {
    "## Do the shapes agree?": (*TABLES, "table1_uncached", "frozen", "table2"),
    "## What the published tables show": ("acceptance", "frozen", "table1_frozen", "rates", "bettertransformer"),
    "## Table 1: draft size and n_lookahead": (*TABLES, "table1"),
    "### In the paper's own session": (*TABLES, "table1_uncached"),
    "### On the fast path": (*TABLES, "table1_static"),
    "### Every published row, and ours": (*TABLES, "table1", "table1_uncached"),
    "## Table 2: speculative decoding × KV-cache × BetterTransformer": ("table2",),
    "## Quantization": ("quantization",),
    "## Certainty": ("frequencies", "ties"),
    "## Quality": ("quality", "table1"),
    "## Inference speed rate c": ("rates",),
    "## How near the machine's limit?": (*TABLES, "table1", "table1_static", "lookup", "table1_lookup"),
    "## Speed beside other libraries": ("speed",),
}
"""Which experiments a section of the report reads."""

EXTREMES = {
    "seconds": [5e-324, 1e-300, 1e9, 1e-9],
    "prompt_seconds": [0, 0.0, 1e9],
    "token_ids": [[0], [2**40] * 3, [1] * 5000],
    "weights": [0, 2**40],
    "rouge1": [0, 1],
    "p_value": [0, 1, 5e-324],
    "statistic": [-1e300, 1e300, 0],
    "largest_deviation": [1e300, -1e300],
    "temperature": [1e300, -1e300],
    "top_p": [-1e300, None],
    "gap": [None, 1e300, 0, -1e300],
    "noise": [None, 0, 1e300, 5e-324],
    "usual_noise": [0, -1e300, 1e300],
    "differs_at": [None, 2**40, 0],
    "draft_seconds": [0, 1e9, 5e-324],
    "verify_seconds": [5e-324, 1e9],
    "round_seconds": [5e-324, 1e9],
    "bandwidth": [5e-324, 1e18],
    "draft_bytes": [0, 2**40],
    "n_lookahead": [1, 2, 1000, None, 0, 2**40],
    "draft": ["", "x", None, "nan", "mini-target"],
    "session": ["", "cached", "uncached", "static", "x"],
    "attention": ["", "sdpa", "eager"],
    "bits": [-5, 0, 32, 2**62, 10**30],
    "draft_bits": [None, 0, 10**30],
    "kinds": [],
    "prompt": ["", "n0", "\n", "|"],
    "repeat": [0, 1, 2**40],
    "cell": ["", "x", "|\n"],
    "max_new_tokens": [0, 2**40],
    "model": ["", "x"],
    "width": [0, 1, 2**40],
    "library": ["ours", "transformers", "flashspec", ""],
    "method": ["plain", "generate", "assisted", ""],
}
"""Allowed values at their bounds, and some beyond."""


def _damaged_rows(random, rows):
    """Rows of a results file with something wrong in one of an experiment's."""
    rows = list(rows)
    experiment = random.choice(sorted({row["experiment"] for row in rows}))
    places = [number for number, row in enumerate(rows) if row["experiment"] == experiment]
    match random.randrange(7):
        case 0:
            drop = set(random.sample(places, random.randrange(1, len(places) + 1)))
            rows = [row for number, row in enumerate(rows) if number not in drop]
        case 1:
            cell = rows[random.choice(places)]["cell"]
            rows = [row for row in rows if (row["experiment"], row["cell"]) != (experiment, cell)]
        case 2:
            rows += [rows[number] for number in places]
        case 3 | 4:
            names = [name for name in rows[places[0]] if EXTREMES.get(name)]
            name = random.choice(names)
            value = random.choice(EXTREMES[name])
            for number in places if random.random() < 0.5 else [random.choice(places)]:
                rows[number] = {**rows[number], name: value}
        case 5:
            name = random.choice(list(rows[places[0]]))
            value = random.choice(VALUES)
            for number in places if random.random() < 0.3 else [random.choice(places)]:
                rows[number] = {**rows[number], name: value}
        case _:
            number = random.choice(places)
            rows[number] = value_of(random, rows[number])
    return experiment, rows


def _written(folder, source, rows):
    folder.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    shutil.copy(source / "environments.json", folder)
    return folder


def _answered(folder, work):
    """The fault of reading a folder of results, or that it changed."""
    before = _content(folder)
    fault = _answer(work)
    if fault is None and _content(folder) != before:
        return "the results changed"
    return fault


@pytest.fixture(scope="module")
def rows(home):
    """A complete study's rows, fewer turns of `forwards` and ways of `speed`, so that tables are quick."""
    lines = (home / "results" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    ways = list(dict.fromkeys(row["cell"] for row in rows if row["experiment"] == "speed"))[::-3]
    return [
        row
        for row in rows
        if (row["experiment"] != "forwards" or row["repeat"] < 2)
        and (row["experiment"] != "speed" or row["cell"] in ways or row["method"] in ("generate", "plain"))
    ]


def test_any_rows_are_a_report_or_a_sentence(home, rows, tmp_path, monkeypatch, tried):
    random, faults, sections = Random(f"rows {SEED}"), [], dict(report.SECTIONS)
    for number in range(180):
        experiment, damaged = _damaged_rows(random, rows)
        folder = _written(tmp_path / str(number), home / "results", damaged)
        readers = [title for title, read in READ_BY.items() if experiment in read]
        chosen = ["## What is missing", "## Environment", *([random.choice(readers)] if readers else [])]
        monkeypatch.setattr(report, "SECTIONS", {title: sections[title] for title in chosen})

        def work(folder=folder, experiment=experiment):
            results = Results(folder)
            report.compose(results)
            if experiment == "forwards":
                tables.verification_cost(results)

        if fault := _answered(folder, work):
            changed = next((row for row, good in zip(damaged, rows, strict=False) if row != good), "fewer rows")
            faults.append(((experiment, chosen[-1], changed), fault))
        shutil.rmtree(folder)
        tried["rows"] += 1
    _all_answered(faults)


def test_any_rows_are_a_figure_or_a_sentence(home, rows, tmp_path, tried):
    random, faults = Random(f"figures {SEED}"), []
    for number in range(30):
        experiment, damaged = _damaged_rows(random, rows)
        folder = _written(tmp_path / str(number), home / "results", damaged)
        name = random.choice([name for name in figures.ALL if name != "published_laws"])

        def work(folder=folder, name=name):
            figures.ALL[name](Results(folder)).draw_without_rendering()

        if fault := _answered(folder, work):
            changed = next((row for row, good in zip(damaged, rows, strict=False) if row != good), "fewer rows")
            faults.append(((experiment, name, changed), fault))
        plt.close("all")
        shutil.rmtree(folder)
        tried["figures"] += 1
    _all_answered(faults)


def test_any_results_files_are_a_plan_and_a_report_or_a_sentence(home, few, tmp_path, tried):
    random, faults = Random(f"files {SEED}"), []
    profile = _profile(home, str(home / "target"), str(home / "draft"))
    failure = {"environment": "x", "experiment": "quality", "cell": "x", "reason": "y", "prompt": "n0", "repeat": 0}
    failure["environment"] = json.loads((few / "rows.jsonl").read_text(encoding="utf-8").splitlines()[0])["environment"]
    for number in range(300):
        folder = tmp_path / str(number)
        shutil.copytree(few, folder)
        (folder / "failures.jsonl").write_text(_lines([failure, failure]), encoding="utf-8")
        file = folder / random.choice(["rows.jsonl", "failures.jsonl", "environments.json"])
        match random.randrange(6):
            case 0:
                file.unlink()
            case 1:
                file.unlink()
                file.mkdir()
            case 2 | 3 | 4 if file.suffix == ".json":
                changed = value_of(random, json.loads(file.read_bytes()))
                file.write_text(json.dumps(changed), encoding="utf-8")
            case 2 | 3 | 4:
                entries = list(map(json.loads, file.read_text(encoding="utf-8").splitlines()))
                place = random.randrange(len(entries))
                entries[place] = value_of(random, entries[place])
                file.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
            case _:
                file.write_bytes(bytes_of(random, file.read_bytes()))

        def work(folder=folder):
            report.compose(Results(folder))

        def plan(folder=folder):
            Study(profile, "cpu", folder=folder).plan()

        for what in (work, plan) if number % 4 == 0 else (work,):
            if fault := _answered(folder, what):
                shown = file.read_bytes()[:300] if file.is_file() else "a folder, or gone"
                faults.append(((what.__name__, file.name, shown), fault))
        tried["files"] += 1
    _all_answered(faults)


# Models


def _damaged_model(random, folder):
    """Something wrong with one file of a checkpoint."""
    names = ["config.json"] * 5 + ["generation_config.json", "tokenizer.json", "tokenizer_config.json"]
    file = folder / random.choice([*names, "model.safetensors", "model.safetensors"])
    match random.randrange(10):
        case 0:
            file.unlink()
        case 1 if random.random() < 0.3:
            file.unlink()
            file.mkdir()
        case 2 | 3:
            file.write_bytes(bytes_of(random, file.read_bytes()))
        case _ if file.suffix == ".safetensors":
            file.write_bytes(safetensors_of(random, file.read_bytes()))
        case _:
            file.write_text(json.dumps(value_of(random, json.loads(file.read_bytes()))), encoding="utf-8")
    return file


def test_any_model_folder_is_a_model_or_a_sentence(home, tmp_path, capfd, tried):
    random, faults = Random(f"models {SEED}"), []
    for number in range(330):
        folder = tmp_path / str(number)
        shutil.copytree(home / "target", folder)
        file = _damaged_model(random, folder)
        if number % 2:
            fault = _answer(lambda folder=folder: load_model(str(folder), device="cpu"))
        else:
            options = ["--decode", "auto_regressive", "--max-new-tokens", "3", "--device", "cpu"]
            fault = _run(["generate", "-i", "あい", "-p", str(folder), *options], capfd)
        if fault:
            shown = file.read_bytes() if file.is_file() else b"a folder, or gone"
            good = json.loads((home / "target" / file.name).read_bytes()) if file.suffix == ".json" else {}
            try:
                shown = {k: v for k, v in json.loads(shown).items() if good.get(k, "absent") != v}
            except (ValueError, AttributeError):
                shown = shown[:200]
            faults.append(((file.name, shown), fault))
        shutil.rmtree(folder)
        tried["models"] += 1
    _all_answered(faults)


# Real processes


def _process(arguments, tmp_path):
    command = [sys.executable, "-c", "import sys; from specdec_lib.cli import main; sys.exit(main())", *arguments]
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=tmp_path, env=environment)


BROKEN = {
    "latin.jsonl": b'{"id": "\xe9"}\n',
    "deep.jsonl": b"[" * 9999,
    "cut.parquet": b"PAR1cut",
    "cut.tar.bz2": b"BZh91AY",
    "text": b"text",
}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["generate"],
        ["generate", "-i"],
        ["generate", "-i", "x", "-k", "1.5"],
        ["generate", "-i", "x", "--temperature", "warm"],
        ["generate", "-i", "x", "--colour"],
        ["generate", "-i", "x", "--decode", "beam"],
        ["generate", "-i", b"\xff"],
        ["generate", "-i", "x", "--output-dir", "x" * 300],
        ["generate", "-i", "x", "--output-dir", "text/below"],
        ["generate", "-i", "x", "--max-text-length", "0"],
        ["benchmark", "--articles", "\u00bd"],
        ["benchmark", "--profile", "mini"],
        ["measure", "--seed", "nan"],
        ["measure", "--repeats", "x", "--plan"],
        ["models", "all"],
        ["report", "--results", ""],
        ["report", "--output", "あ" * 2000],
        ["report", "--results", "nowhere"],
        ["benchmark", "--source", "deep.jsonl"],
        ["generate", "-i", "x", "-p", "model", "-q", "model", "--device", "cpu"],
    ],
    ids=lambda arguments: " ".join(map(str, arguments))[:40] or "nothing",
)
def test_a_real_process_says_one_sentence(arguments, home, tmp_path, tried):
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    shutil.copytree(home / "target", tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "rows.jsonl").write_text("{}\n")
    before = _content(tmp_path)
    done = _process(arguments, tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert re.fullmatch(r"specdec: [^\n]+\n", done.stderr), done.stderr
    assert _content(tmp_path) == before
    tried["processes"] += 1


def test_an_error_that_nobody_thought_of_is_a_sentence_and_exit_code_1(tmp_path, monkeypatch):
    """A module that can't be imported stands for it."""
    (tmp_path / "specdec_lib").mkdir()
    for module in ("cli.py", "language.py"):
        shutil.copy(Path(report.__file__).with_name(module), tmp_path / "specdec_lib")
    (tmp_path / "specdec_lib" / "__init__.py").touch()
    (tmp_path / "specdec_lib" / "models.py").write_text("1 / 0")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for debug, said in (("", r"specdec: ZeroDivisionError: [^\n]+\n"), ("1", r"Traceback(?s:.+)ZeroDivisionError.*\n")):
        command = [sys.executable, "-c", "import sys; from specdec_lib.cli import main; sys.exit(main(['models']))"]
        environment = {**os.environ, "SPECDEC_DEBUG": debug}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == 1
        assert re.fullmatch(said, done.stderr), done.stderr


def test_enough_inputs_were_tried(tried, request):
    if not all(item.path == request.path for item in request.session.items) and len(tried) < 15:
        pytest.skip("only a part was run")
    assert tried.total() >= ENOUGH, tried
