"""Articles to summarise: the embedded news set, the Japanese part of XL-Sum, or a local file of the same shape."""

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from specdec_lib.paths import DATA, possible

COLUMNS = ["id", "title", "summary", "text"]
HUB_NAME = "csebuetnlp/xlsum"
ROWS = {"train": 7113, "validation": 889, "test": 889}
"""Rows of the Japanese part of XL-Sum by split."""

CONVERTED = "refs/convert/parquet"
"""The revision with the hub's own conversion: the data set's loading script no longer runs, these are its rows."""

ARCHIVE = "data/japanese_XLSum_v2.0.tar.bz2"
"""The authors' archive, in the data set's repository."""

MEMBERS = {"train": "japanese_train.jsonl", "validation": "japanese_val.jsonl", "test": "japanese_test.jsonl"}
LARGEST = 2**28
"""Bytes that a member of the archive may unpack to: the largest there is has a tenth."""

LICENCE = "XL-Sum (Hasan et al. 2021) is licensed CC BY-NC-SA 4.0: for non-commercial research, and shared alike."


def load(
    source: str | Path = "embedded", split: str = "test", n: int | None = None, revision: str | None = None
) -> Dataset:
    """Rows of id, title, summary and text, all of them or the first n.

    source: "embedded" is the news set that comes with the package; "hub" the Japanese part of XL-Sum (Hasan et al.
    2021), from the hub's conversion to parquet, else from the authors' archive; else a file: that .tar.bz2 archive, a
    .parquet file of one split, or JSON lines, of which rows without a `split` are taken whatever the split asked for.
    revision: what `revision("hub")` gave, or a commit, to get those very rows from the hub.
    Raises ValueError, saying what to do, for an unknown source or split, n below 1, a broken file, a hub out of reach
    and an XL-Sum of other size than the study's.
    """
    if n is not None and (not isinstance(n, int) or n < 1):
        raise ValueError(f"n must be a whole number of at least 1, or None for all rows, not {n!r}.")
    if not isinstance(source, str | Path) or not isinstance(split, str):
        raise ValueError(f"source and split must be text, not {source!r} and {split!r}.")
    if revision is not None and source != "hub":
        raise ValueError('A revision can be asked of source="hub" only: leave it out.')
    rows = _from_hub(split, revision) if source == "hub" else _from_file(Path(origin(source)), split)
    return Dataset.from_dict({column: [row[column] for row in rows[:n]] for column in COLUMNS})


def origin(source: str | Path) -> Path | str:
    """The file of a source, or the data set's name on the hub."""
    return HUB_NAME if source == "hub" else DATA / "news_ja.jsonl" if source == "embedded" else Path(source)


def revision(source: str | Path) -> str | None:
    """Form and commit of the hub's data, "refs/convert/parquet@<commit>" or "archive@<commit>"; None for others.

    Raises ValueError where the hub can't be reached and nothing is cached.
    """
    if source != "hub":
        return None
    form, _, commit = _hub_file("test", None)
    return f"{form}@{commit}"


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


def _from_hub(split: str, revision: str | None) -> list[dict]:
    _check_split(split, list(ROWS), "XL-Sum")
    _, file, _ = _hub_file(split, revision)
    return _counted(_from_xlsum(file, split), split, HUB_NAME)


def _hub_file(split: str, revision: str | None) -> tuple[str, Path, str]:
    """Form, file and commit of what the hub has for a split: its conversion, else the archive."""
    from specdec_lib import hub  # local sources do without it

    def fetched(form: str, name: str, revision: str | None) -> tuple[str, Path, str]:
        file = hub.fetch(HUB_NAME, name, revision, "dataset")
        return form, file, hub.commit_of(file, name)

    form, _, commit = (revision or "").rpartition("@")
    if form != "archive":
        try:
            return fetched(CONVERTED, f"japanese/{split}/0000.parquet", commit or CONVERTED)
        except hub.Absent:
            if form:
                raise
        except ValueError:
            if form or not hub.cached(HUB_NAME, ARCHIVE, commit, "dataset"):
                raise
    return fetched("archive", ARCHIVE, commit or None)


def _from_file(file: Path, split: str) -> list[dict]:
    if not possible(file) or not file.is_file():
        raise ValueError(f'Unknown source {str(file)!r}: choose "embedded", "hub" or an existing file of JSON lines.')
    if file.name.endswith(".tar.bz2"):
        _check_split(split, list(ROWS), str(file))
        return _counted(_from_xlsum(file, split), split, str(file))
    rows = _from_parquet(file) if file.suffix == ".parquet" else list(_rows(_content(file), str(file)))
    if not rows:
        raise ValueError(f"{file} has no rows: give one JSON object a line, with {', '.join(COLUMNS)}.")
    chosen = [row for row in rows if str(row.get("split", split)) == split]
    if not chosen:
        _check_split(split, sorted({str(row["split"]) for row in rows}), str(file))
    return chosen


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"{file} can't be read ({error.strerror}): mend its permissions, or give a copy.") from error


def _from_xlsum(file: Path, split: str) -> list[dict]:
    """A split of XL-Sum, from its conversion or its archive."""
    _say_licence()
    return _from_archive(file, split) if file.name.endswith(".tar.bz2") else _from_parquet(file)


def _from_parquet(file: Path) -> list[dict]:
    try:
        rows = pd.read_parquet(file).to_dict("records")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{file} is no parquet file ({_line(error)}): delete that copy and get it again.") from error
    for number, row in enumerate(rows, start=1):
        _check_row(row, f"{file}, row {number}")
    return rows


def _from_archive(file: Path, split: str) -> list[dict]:
    """A member of the archive, read in memory: nothing is unpacked to disk."""
    name = MEMBERS[split]
    try:
        with tarfile.open(file, "r:bz2") as archive:
            for member in archive:
                if member.size > LARGEST:
                    raise ValueError(f"{file} holds {member.size:,} bytes in a member, so isn't XL-Sum: get it again.")
                if member.isfile() and Path(member.name).name == name:
                    content = archive.extractfile(member).read()
                    return list(_rows(content, f"{file}, {name}"))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise ValueError(f"{file} is broken ({_line(error)}): delete that copy and get it again.") from error
    raise ValueError(f"{file} has no {name}: get the archive of XL-Sum's Japanese part.")


def _counted(rows: Sequence[dict], split: str, name: str) -> Sequence[dict]:
    if len(rows) != ROWS[split]:
        raise ValueError(
            f"{name} has {len(rows):,} rows in {split} where the study's XL-Sum has {ROWS[split]:,}: it isn't the data "
            "set the study used, so give a revision that is."
        )
    return rows


@cache
def _say_licence() -> None:
    print(LICENCE, file=sys.stderr)


def _rows(content: bytes, name: str) -> Iterator[dict]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested too deep
            raise ValueError(f"{where} is not JSON in UTF-8 ({_line(error)}): mend or delete it.") from error
        if not isinstance(row, dict):
            raise ValueError(f"{where} is not a JSON object: give one with {', '.join(COLUMNS)}.")
        _check_row(row, where)
        yield row


def _check_row(row: Mapping[str, object], where: str) -> None:
    for column in COLUMNS:
        if column not in row:
            raise ValueError(f"{where} lacks the column {column!r}: add it to every row.")
        if not isinstance(row[column], str):
            raise ValueError(f"{where} has a {column!r} that is not text: put it in quotes.")
        if re.search("[\ud800-\udfff]", row[column]):
            raise ValueError(f"{where} has a {column!r} with half of a surrogate pair: write the character whole.")


def _line(told: object) -> str:
    return " ".join(str(told).split())[:200] or type(told).__name__


def _check_split(split: str, known: list[str], name: str) -> None:
    if split not in known:
        raise ValueError(f"{name} has no split {split!r}: choose {_line(' or '.join(known))}.")
