"""Articles to summarise: the embedded news set, the Japanese part of XL-Sum, or a local file of the same shape."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
from datasets import Dataset
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HTTPError
from transformers import PreTrainedTokenizerBase

from specdec_lib.paths import DATA

COLUMNS = ["id", "title", "summary", "text"]
HUB_NAME = "csebuetnlp/xlsum"
HUB_SPLITS = ["train", "validation", "test"]


def load(source: str | Path = "embedded", split: str = "test", n: int | None = None) -> Dataset:
    """Rows of id, title, summary and text, all of them or the first n.

    source: "embedded" is the news set that comes with the package; "hub" the Japanese part of XL-Sum (Hasan et al.
    2021); else a file of JSON lines, of which rows without a `split` are taken whatever the split asked for.
    Raises ValueError, saying what to do, for an unknown source or split, n below 1, a broken file and a hub out of
    reach.
    """
    if n is not None and (not isinstance(n, int) or n < 1):
        raise ValueError(f"n must be a whole number of at least 1, or None for all rows, not {n}.")
    rows = _from_hub(split) if source == "hub" else _from_file(Path(origin(source)), split)
    return Dataset.from_dict({column: [row[column] for row in rows[:n]] for column in COLUMNS})


def origin(source: str | Path) -> Path | str:
    """The file of a source, or the data set's name on the hub."""
    return HUB_NAME if source == "hub" else DATA / "news_ja.jsonl" if source == "embedded" else Path(source)


def prompt(row: Mapping[str, str], tokenizer: PreTrainedTokenizerBase, max_text_tokens: int = 256) -> str:
    """The paper's prompt for one row, its text cut to max_text_tokens of the model's own tokenizer."""
    if max_text_tokens < 1:
        raise ValueError(f"max_text_tokens must be at least 1, not {max_text_tokens}.")
    text = row["text"]
    ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    if len(ids) > max_text_tokens:
        # A token can be one byte of a character; what is left of a character cut in two decodes to U+FFFD.
        text = tokenizer.decode(ids[:max_text_tokens]).rstrip("\ufffd")
    return f"タイトル: {row['title']}\nテキスト: {text}\n要約: "


def _from_hub(split: str) -> list[dict]:
    _check_split(split, HUB_SPLITS, "XL-Sum")
    try:
        # The data set's own loading script no longer runs; the hub's conversion to parquet holds the same rows.
        file = hf_hub_download(
            HUB_NAME,
            f"japanese/{split}/0000.parquet",
            repo_type="dataset",
            revision="refs/convert/parquet",
        )
    except (OSError, HTTPError) as error:
        raise ValueError(
            "XL-Sum is not on this machine and can't be had from the hub: connect to the network and try again, "
            'or use source="embedded" or a local file of JSON lines.'
        ) from error
    return pd.read_parquet(file, columns=COLUMNS).to_dict("records")


def _from_file(file: Path, split: str) -> list[dict]:
    if not file.is_file():
        raise ValueError(f'Unknown source {str(file)!r}: choose "embedded", "hub" or an existing file of JSON lines.')
    rows = list(_rows(file))
    if not rows:
        raise ValueError(f"{file} has no rows: give one JSON object a line, with {', '.join(COLUMNS)}.")
    chosen = [row for row in rows if str(row.get("split", split)) == split]
    if not chosen:
        _check_split(split, sorted({str(row["split"]) for row in rows}), str(file))
    return chosen


def _rows(file: Path) -> Iterator[dict]:
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except ValueError as error:  # not JSON, or not UTF-8
            raise ValueError(f"{file}, line {number} is not JSON in UTF-8 ({error}): mend or delete it.") from error
        if not isinstance(row, dict):
            raise ValueError(f"{file}, line {number} is not a JSON object: give one with {', '.join(COLUMNS)}.")
        for column in COLUMNS:
            if column not in row:
                raise ValueError(f"{file}, line {number} lacks the column {column!r}: add it to every row.")
            if not isinstance(row[column], str):
                raise ValueError(f"{file}, line {number} has a {column!r} that is not text: put it in quotes.")
        yield row


def _check_split(split: str, known: list[str], name: str) -> None:
    if split not in known:
        raise ValueError(f"{name} has no split {split!r}: choose {' or '.join(known)}.")
