"""Checkpoints and articles from a hub on the loopback address, asked by the real client, and every way it can fail."""

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import ask, tiny_module, word_tokenizer
from hub import CONVERTED, Fault, Hub, commit, serving
from huggingface_hub import constants, file_download

from specdec_lib import load_model, xlsum
from specdec_lib.hub import REVISIONS, explain
from specdec_lib.models import PAPER
from specdec_lib.xlsum import ARCHIVE, HUB_NAME, MEMBERS, ROWS

NAME = "409M-xlsum-sft"
MODEL = ("models", PAPER[NAME], "main")
PARQUET = ("datasets", HUB_NAME, CONVERTED)
DATASET = ("datasets", HUB_NAME, "main")
WEIGHTS = "model.safetensors"
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture
def model(hub, checkpoint, tmp_path):
    """The folder of one model on the hub."""
    hub.folders[MODEL] = Path(shutil.copytree(checkpoint, tmp_path / "model"))
    return hub.folders[MODEL]


@pytest.fixture
def sharded(hub, words, tmp_path):
    """The folder of one model on the hub whose weights are in several files."""
    hub.folders[MODEL] = tmp_path / "sharded"
    tiny_module("neox", end=1).save_pretrained(tmp_path / "sharded", max_shard_size="30KB")
    word_tokenizer(words).save_pretrained(tmp_path / "sharded")
    return tmp_path / "sharded"


@pytest.fixture
def articles(hub, tmp_path):
    """XL-Sum as the hub converts it, of small articles."""
    folder = tmp_path / "converted"
    for split in ROWS:
        (folder / "japanese" / split).mkdir(parents=True)
        pd.DataFrame(rows(split, "converted")).to_parquet(folder / "japanese" / split / "0000.parquet")
    hub.folders[PARQUET] = folder
    return folder


@pytest.fixture
def archive(hub, tmp_path):
    """The archive of XL-Sum in its repository."""
    file = tmp_path / "xlsum" / ARCHIVE
    pack(file, {MEMBERS[split]: lines(rows(split, "archive")) for split in ROWS})
    hub.folders[DATASET] = tmp_path / "xlsum"
    return file


def rows(split, text):
    columns = {"title": "題", "summary": "要点", "text": text, "url": "ignored"}
    return [{"id": f"{split}-{number}", **columns} for number in range(ROWS[split])]


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def pack(file, members):
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:bz2") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def refusal(call=lambda: load_model(NAME)):
    """The one sentence in place of a model."""
    with pytest.raises(ValueError, match=r"\A[^\n]+: [^\n]+\.\Z") as error:
        call()
    return str(error.value)


def same(model, folder):
    """Whether a model's weights are those of a folder."""
    own = load_model(str(folder)).module.state_dict()
    return all(torch.equal(weight, own[name]) for name, weight in model.module.state_dict().items())


def test_a_model_comes_whole_and_once(hub, model):
    loaded = load_model(NAME)
    assert (loaded.name, loaded.revision) == (NAME, commit(model))
    assert same(loaded, model)
    assert loaded.encode("w0 w1") == [2, 3]
    assert hub.downloads(WEIGHTS) == [None]
    hub.requests.clear()
    assert load_model(NAME).revision == commit(model)
    assert [(asked.command, asked.path.rpartition("/")[2]) for asked in hub.requests] == [("HEAD", "config.json")]


def test_a_pinned_commit_in_the_cache_asks_nothing(hub, model):
    load_model(NAME)
    hub.requests.clear()
    assert load_model(NAME, revision=commit(model)).revision == commit(model)
    assert hub.requests == []


def test_weights_in_several_files(sharded):
    assert len(list(sharded.glob("model-*.safetensors"))) > 2
    assert same(load_model(NAME), sharded)


def test_a_pinned_revision_stays_where_main_moves(hub, model, words, tmp_path, monkeypatch):
    first = commit(model)
    moved = tmp_path / "moved"
    tiny_module("neox", seed=6, end=1).save_pretrained(moved)
    word_tokenizer(words).save_pretrained(moved)
    assert load_model(NAME).revision == first
    hub.folders |= {MODEL: moved, (*MODEL[:2], "before"): model}
    assert load_model(NAME).revision == commit(moved)
    assert same(load_model(NAME), moved)
    for revision in (first, "before"):
        pinned = load_model(NAME, revision=revision)
        assert pinned.revision == first
        assert same(pinned, model)
    monkeypatch.setitem(REVISIONS, PAPER[NAME], first)
    assert load_model(NAME).revision == first


@pytest.mark.parametrize("offline", [True, False])
def test_a_warm_cache_needs_no_hub(model, monkeypatch, offline):
    load_model(NAME)
    ask(UNREACHABLE, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    loaded = load_model(NAME)
    assert loaded.revision == commit(model)
    assert same(loaded, model)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_warm_cache_stands_in_for_a_hub_that_refuses(hub, model, status):
    load_model(NAME)
    hub.faults = [Fault("", status=status, command=None)]
    assert load_model(NAME).revision == commit(model)


def test_a_dropped_connection_goes_on_where_it_stopped(hub, model, waits, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what it loses at most
    hub.faults = [Fault(WEIGHTS, dropped_after=size, times=1) for size in (1000, 2000)]
    assert same(load_model(NAME), model)
    assert hub.downloads(WEIGHTS) == [None, "bytes=1000-", "bytes=3000-"]
    assert waits == [1, 1]


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        (Fault(WEIGHTS, status=429, headers={"Retry-After": "7"}, times=2), [8, 8]),
        (Fault("main/config.json", status=429, headers={"Retry-After": "7"}, command="HEAD", times=3), [8, 8]),
        (Fault("main/config.json", status=500, command="HEAD", times=3), [1, 2]),
        (Fault("", status=503, command="HEAD", times=2), [1]),
    ],
)
def test_the_client_waits_and_tries_again(hub, model, waits, fault, waited):
    hub.faults = [fault]
    assert same(load_model(NAME), model)
    assert waits == waited


def test_wrong_bytes_are_fetched_again(hub, sharded):
    hub.faults = [Fault("model-00001-of-00004.safetensors", wrong=True, times=1)]
    assert same(load_model(NAME), sharded)
    assert len(hub.downloads("model-00001-of-00004.safetensors")) == 2
    assert len(hub.downloads("model-00002-of-00004.safetensors")) == 1


def test_wrong_bytes_twice_are_refused(hub, model, tmp_path):
    hub.faults = [Fault(WEIGHTS, wrong=True)]
    assert re.search("damaged twice .* check the disk and the proxy", refusal())
    assert len(hub.downloads(WEIGHTS)) == 2
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.name == WEIGHTS]
    hub.faults = []
    assert same(load_model(NAME), model)


def test_weights_of_an_interrupted_download_are_checked_too(hub, sharded):
    hub.faults = [
        Fault("model-00001-of-00004.safetensors", wrong=True, times=1),
        Fault("model-00002-of-00004.safetensors", status=500, times=1),
    ]
    refusal()
    assert same(load_model(NAME), sharded)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("", status=401, headers={"X-Error-Code": "RepoNotFound"}, command=None), "check the name .* auth login"),
        (Fault("", status=401, command=None), "refuses this machine's token .* `hf auth login`"),
        (Fault("", status=403, headers={"X-Error-Code": "GatedRepo"}, command=None), "accept them .* `hf auth login`"),
        (Fault("", status=403, command=None), "forbids .* accept its terms"),
        (Fault("main/config.json", status=429, command="HEAD"), "wait some minutes"),
        (Fault(WEIGHTS, status=429, headers={"Retry-After": "7"}), "wait some minutes"),
        (Fault("", status=500, command="HEAD"), "fails at .*500.* try again later"),
        (Fault(WEIGHTS, status=503), "fails at .*503.* try again later"),
        (Fault("api/models/", status=502), "fails at .*502.* try again later"),
        (Fault(WEIGHTS, short=True), "came with another size than the hub's: try again"),
        (Fault(WEIGHTS, dropped_after=0), "connection to the hub broke .* try again"),
        (
            Fault("main/config.json", status=404, headers={"X-Error-Code": "EntryNotFound"}, command="HEAD"),
            "lacks config",
        ),
    ],
)
def test_a_fault_is_one_sentence(hub, model, fault, says):
    hub.faults = [fault]
    message = refusal()
    assert PAPER[NAME] in message
    assert re.search(says, message)
    hub.faults = []
    assert same(load_model(NAME), model)


def test_what_the_hub_does_not_have(hub, model):
    assert "specdec models" in refusal(lambda: load_model("nobody/nothing"))
    assert "give a branch, a tag or a commit" in refusal(lambda: load_model(NAME, revision="elsewhere"))
    assert "give a branch, a tag or a commit" in refusal(lambda: load_model(NAME, revision="0" * 40))
    assert "check the name" in refusal(lambda: load_model("two words/nothing"))
    (model / "config.json").unlink()
    assert "lacks config.json: choose" in refusal()
    (model / WEIGHTS).rename(model / "flax_model.msgpack")
    (model / "config.json").write_text("{}")
    assert "no weights that transformers loads: choose another" in refusal()
    (model / "pytorch_model-00001-of-00002.bin").write_bytes(b"without its index")
    assert "only pickled ones" in refusal()
    assert "no weights that transformers loads: choose another" in refusal(lambda: load_model(NAME, pickled=True))


def test_nothing_cached_and_no_hub(hub, model, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert re.search("HF_HUB_OFFLINE .* unset it and connect to the network, or use an embedded model", refusal())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    ask(UNREACHABLE, monkeypatch)
    assert re.search("can't be reached .* connect to the network and try again, or use an embedded model", refusal())


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize("lost", ["config.json", "tokenizer.json", "model-00002-of-00004.safetensors", "model-*"])
def test_a_part_of_a_model_is_not_taken_for_it(hub, sharded, tmp_path, monkeypatch, lost, offline):
    load_model(NAME)
    (snapshot,) = (tmp_path / "cache").glob("*/snapshots/*")
    for link in snapshot.glob(lost):
        link.resolve().unlink()
        link.unlink()
    endpoint = hub.endpoint
    ask(UNREACHABLE, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    assert re.search("not whole, on this machine .* connect to the network", refusal())
    ask(endpoint, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.requests.clear()
    assert same(load_model(NAME), sharded)
    assert {Path(asked.path).name for asked in hub.requests if asked.command == "GET"} == {
        file.name for file in sharded.glob(lost)
    }


@pytest.mark.parametrize("lost", ["model-00002-of-00004.safetensors", "model*"])
def test_a_part_is_known_without_the_list_of_files(hub, sharded, tmp_path, monkeypatch, lost):
    load_model(NAME, revision=commit(sharded))
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "cache", other, symlinks=True, ignore=shutil.ignore_patterns("trees"))
    for link in other.glob(f"*/snapshots/*/{lost}"):
        link.unlink()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(other))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "connect to the network" in refusal()


def test_pickled_weights_are_taken_when_asked_for(hub, model):
    state = load_model(str(model)).module.state_dict()
    (model / WEIGHTS).unlink()
    torch.save(state, model / "pytorch_model.bin")
    assert re.search("only pickled ones .* pickled=True", refusal())
    assert hub.downloads(".bin") == []
    loaded = load_model(NAME, pickled=True)
    assert loaded.revision == commit(model)
    assert all(torch.equal(weight, state[name]) for name, weight in loaded.module.state_dict().items())


def test_safetensors_are_taken_before_pickled_weights(hub, model):
    (model / "pytorch_model.bin").write_bytes(b"never read")
    assert same(load_model(NAME, pickled=True), model)
    assert hub.downloads(".bin") == []


def test_code_that_comes_with_a_model_is_not_run(hub, model, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    config = json.loads((model / "config.json").read_text())
    code = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    (model / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": code}))
    (model / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert re.search("never run here: choose another model", refusal())
    assert not (tmp_path / "ran").exists()
    shutil.copytree(model, tmp_path / "here")
    assert re.search("never run here: choose another model", refusal(lambda: load_model(str(tmp_path / "here"))))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "too full .* free some, or set HF_HUB_CACHE"),
        (PermissionError(errno.EACCES, "Permission denied"), "may not be written .* mend its permissions, or set HF_"),
        (OSError(errno.EROFS, "Read-only file system"), "may not be written"),
    ],
)
def test_a_cache_that_takes_nothing(model, monkeypatch, error, says):
    def full(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(file_download, "http_get", full)
        assert re.search(says, refusal())
    assert same(load_model(NAME), model)


def test_something_else_answers(model, monkeypatch, tmp_path):
    with serving(Hub()) as other:
        other.faults = [Fault("", status=200, headers={"ETag": '"a"'}, command=None)]
        ask(other.endpoint, monkeypatch)
        assert "not a hub: check HF_ENDPOINT" in refusal()


def test_an_unforeseen_error_is_one_line_too():
    assert explain(RuntimeError("first\nsecond"), "a/b") == (
        "The model a/b can't be had from the hub (first second): try again, or use an embedded model "
        "(mini-target and its drafts, --profile mini)."
    )


def test_local_models_leave_the_hub_alone(checkpoint, hub):
    code = (
        "import sys; from specdec_lib import load_model, xlsum; xlsum.load();"
        "load_model('mini-draft-1'); load_model(sys.argv[1]); print('specdec_lib.hub' in sys.modules)"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
    run = subprocess.run([sys.executable, "-c", code, checkpoint], env=environment, capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr
    assert hub.requests == []
    assert "a revision can be asked of the hub's models only" in refusal(lambda: load_model(checkpoint, revision="x"))


def test_progress_is_shown_once_and_on_stderr(model, capfd):
    load_model(NAME)
    first = capfd.readouterr()
    assert first.out == ""
    assert "Fetching" in first.err
    load_model(NAME)
    assert capfd.readouterr() == ("", "")


def test_articles_come_from_the_conversion(hub, articles, archive):
    for split, count in ROWS.items():
        loaded = xlsum.load("hub", split=split)
        assert len(loaded) == count
        assert loaded[0] == {"id": f"{split}-0", "title": "題", "summary": "要点", "text": "converted"}
    assert len(xlsum.load("hub", n=2)) == 2
    assert xlsum.revision("hub") == f"refs/convert/parquet@{commit(articles)}"
    assert hub.downloads(".bz2") == []


def test_articles_come_from_the_archive_where_there_is_no_conversion(hub, archive):
    for split, count in ROWS.items():
        loaded = xlsum.load("hub", split=split)
        assert len(loaded) == count
        assert loaded[0] == {"id": f"{split}-0", "title": "題", "summary": "要点", "text": "archive"}
    assert xlsum.revision("hub") == f"archive@{commit(hub.folders[DATASET])}"
    assert len(hub.downloads(".bz2")) == 1


def test_a_revision_of_the_archive_is_found_again(hub, archive, tmp_path):
    first = xlsum.revision("hub")
    pack(tmp_path / "moved" / ARCHIVE, {MEMBERS["test"]: lines(rows("test", "moved"))})
    hub.folders |= {DATASET: tmp_path / "moved", (*DATASET[:2], "before"): hub.folders[DATASET]}
    assert xlsum.load("hub", n=1)["text"][0] == "moved"
    assert xlsum.load("hub", n=1, revision=first)["text"][0] == "archive"


def test_articles_come_from_the_archive_where_the_conversion_lacks_them(hub, articles, archive):
    shutil.rmtree(articles / "japanese" / "test")
    assert xlsum.load("hub", n=1)["text"][0] == "archive"


@pytest.mark.parametrize("form", ["articles", "archive"])
def test_articles_in_the_cache_need_no_hub(request, hub, monkeypatch, form):
    request.getfixturevalue(form)
    before, revision = xlsum.load("hub").to_list(), xlsum.revision("hub")
    ask(UNREACHABLE, monkeypatch)
    assert xlsum.load("hub").to_list() == before
    assert xlsum.revision("hub") == revision


def test_a_revision_of_the_articles_is_found_again(hub, articles, archive, tmp_path):
    first = xlsum.revision("hub")
    moved = Path(shutil.copytree(articles, tmp_path / "moved"))
    pd.DataFrame(rows("test", "moved")).to_parquet(moved / "japanese" / "test" / "0000.parquet")
    hub.folders |= {PARQUET: moved, (*PARQUET[:2], "before"): articles}
    of = {revision: xlsum.load("hub", n=1, revision=revision)["text"][0] for revision in (None, first, commit(moved))}
    assert list(of.values()) == ["moved", "converted", "moved"]
    assert xlsum.load("hub", n=1, revision=f"archive@{commit(hub.folders[DATASET])}")["text"][0] == "archive"
    assert "such revision" in refusal(lambda: xlsum.load("hub", revision=f"refs/convert/parquet@{'0' * 40}"))
    other = f"refs/convert/parquet@{commit(hub.folders[DATASET])}"
    assert "lacks 0000.parquet" in refusal(lambda: xlsum.load("hub", revision=other))
    assert 'source="hub" only' in refusal(lambda: xlsum.load(revision="main"))


def test_articles_of_another_number_are_refused(articles):
    pd.DataFrame(rows("test", "fewer")[1:]).to_parquet(articles / "japanese" / "test" / "0000.parquet")
    assert re.search(
        "888 rows in test .* 889: it isn't the data set the study used", refusal(lambda: xlsum.load("hub"))
    )


def test_damaged_articles_are_fetched_again(hub, articles):
    hub.faults = [Fault("0000.parquet", wrong=True, times=1)]
    assert len(xlsum.load("hub")) == ROWS["test"]
    assert len(hub.downloads("0000.parquet")) == 2


def test_no_articles_to_be_had(hub, monkeypatch):
    assert "no dataset" in refusal(lambda: xlsum.load("hub"))
    ask(UNREACHABLE, monkeypatch)
    message = refusal(lambda: xlsum.load("hub"))
    assert re.search("connect to the network .* or give a copy of it", message)


def test_the_licence_is_said_once_a_process(articles, capfd):
    xlsum._say_licence.cache_clear()
    xlsum.load("hub", n=1)
    xlsum.load("hub", n=1)
    assert capfd.readouterr().err.count("CC BY-NC-SA 4.0") == 1
