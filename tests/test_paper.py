"""The paper's profile from a hub to a report, with tiny stand-ins of the nine checkpoints and 889 articles."""

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch
from conftest import ask, perturbed
from hub import CONVERTED, Hub, serving
from huggingface_hub import constants
from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

from specdec_lib import Study
from specdec_lib.measuring import ties
from specdec_lib.models import PAPER, PAPER_SIZES, resolve
from specdec_lib.paths import DATA
from specdec_lib.profiles import PAPER as PROFILE
from specdec_lib.xlsum import HUB_NAME

TOKENIZER = DATA / "mini" / "target"
SHORT = replace(PROFILE, max_new_tokens=6, timed_new_tokens=4, draws=20)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Folders of the nine checkpoints, of which 13M is pickled, and of the test split's conversion."""
    root = tmp_path_factory.mktemp("tree")
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    target = GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **shape, **ends))
    for seed, size in enumerate(PAPER_SIZES):
        model = perturbed(target, 0.3, seed) if size != "409M" else target
        model.save_pretrained(root / size)
        tokenizer.save_pretrained(root / size)
        if size == "13M":
            torch.save(model.state_dict(), root / size / "pytorch_model.bin")
            (root / size / "model.safetensors").unlink()
    news = [json.loads(line) for line in (DATA / "news_ja.jsonl").open(encoding="utf-8")]
    rows = [{**row, "id": f"{number}-{row['id']}"} for number, row in enumerate([*news, *news][:889])]
    (root / "xlsum" / "japanese" / "test").mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(root / "xlsum" / "japanese" / "test" / "0000.parquet")
    return root


@pytest.fixture
def paper_hub(hub, tree, tmp_path):
    """The hub with a copy of the tree, which a test may change."""
    shutil.copytree(tree, tmp_path / "served")
    for size in PAPER_SIZES:
        hub.folders["models", PAPER[f"{size}-xlsum-sft"], "main"] = tmp_path / "served" / size
    hub.folders["datasets", HUB_NAME, CONVERTED] = tmp_path / "served" / "xlsum"
    return hub


def test_every_experiment_from_the_hub_and_again_without_a_network(paper_hub, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ties, "ARTICLES", {32: 1, 16: 1})
    options = {"articles": 1, "repeats": 1, "folder": tmp_path / "runs", "device": "cpu"}
    names = ["quality", "acceptance", "rates", "table1_uncached", "table2", "quantization", "ties", "frequencies"]
    study = Study(SHORT, **options)
    for name in names:
        study.run(name)
    progress = study.results.progress().set_index("experiment").loc[names]
    assert "13M-xlsum-sft has no weights in safetensors" in capsys.readouterr().err
    failed = progress[progress["done"] < progress["planned"]]
    assert list(failed.index) == ["acceptance", "rates", "table1_uncached"]
    assert all("13M" in cell for cells in failed["failed"] for cell in cells)
    sources = study.environment["sources"]
    assert sources["409M-xlsum-sft"].startswith("u-hyszk/japanese-gpt-neox-409M-xlsum-sft@")
    assert sources["articles"].startswith(f"{HUB_NAME}@{CONVERTED}@")
    row = study.results.frame("table1_uncached").dropna(subset="draft").iloc[0]
    assert sources[row["draft"]] == f"{resolve(row['draft'])}@{row['draft_revision']}"

    trusting = Study(SHORT, pickled="13M-xlsum-sft", **options)
    assert trusting.environment["id"] == study.environment["id"]
    for name in names:
        trusting.run(name)
    progress = trusting.results.progress().set_index("experiment").loc[names]
    assert progress["done"].tolist() == progress["planned"].tolist()
    assert (trusting.results.frame("table1_uncached")["draft"] == "13M-xlsum-sft").any()

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = Study(SHORT, pickled="13M-xlsum-sft", **{**options, "folder": tmp_path / "offline"})
    offline.run("quality")
    assert offline.environment["id"] == study.environment["id"]
    assert offline.results.rows[0]["token_ids"] == study.results.rows[0]["token_ids"]


def test_a_run_stays_with_the_commits_it_began_with(paper_hub, tmp_path):
    options = {"articles": 1, "repeats": 1, "device": "cpu"}
    study = Study(SHORT, folder=tmp_path / "runs", **options)
    study.run("quality")
    readme = paper_hub.folders["models", PAPER["6M-xlsum-sft"], "main"] / "config.json"
    readme.write_text(readme.read_text() + "\n")  # another commit
    assert Study(SHORT, folder=tmp_path / "runs", **options).environment["id"] == study.environment["id"]
    anew = Study(SHORT, folder=tmp_path / "others", **options)
    assert anew.environment["id"] != study.environment["id"]
    assert anew.environment["sources"]["13M-xlsum-sft"] == study.environment["sources"]["13M-xlsum-sft"]


def test_without_a_hub_and_without_a_cache_it_says_what_to_do(hub, monkeypatch, tmp_path):
    with serving(Hub()) as gone:
        pass
    ask(gone.endpoint, monkeypatch)
    with pytest.raises(ValueError, match="connect to the network") as error:
        Study("paper", "cpu", folder=tmp_path)
    assert "\n" not in str(error.value)
