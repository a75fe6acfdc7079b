"""The stand-ins of the paper's sizes have its parameter counts."""

import sys

import pytest
import torch
from transformers import AutoTokenizer

from specdec_lib import load_model, tables
from specdec_lib.models import PAPER_SIZES
from specdec_lib.paths import DATA

sys.path.append(str(DATA / "mini"))
from sizes import PAPER
from train import build


@pytest.mark.parametrize("name", PAPER_SIZES)
def test_a_stand_in_has_the_size_it_is_named_by(name):
    with torch.device("meta"):
        model = build(PAPER[name], AutoTokenizer.from_pretrained(DATA / "mini" / "target"))
    assert int(model.num_parameters() / 1e6) == int(name.removesuffix("M"))


def test_every_published_size_has_a_stand_in():
    assert list(PAPER) == tables.published_models()["params"].tolist() == PAPER_SIZES


def test_an_untrained_stand_in_says_how_to_train_it(monkeypatch, tmp_path):
    monkeypatch.setattr("specdec_lib.models.REPLICA", {"replica-6M": tmp_path})
    with pytest.raises(ValueError, match=r"replica-6M is not trained yet: run `python data/mini/train\.py"):
        load_model("replica-6M")
