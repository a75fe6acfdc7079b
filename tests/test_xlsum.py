"""Articles from each source, the paper's prompt, and what is said of bad input."""

import io
import json
import tarfile

import pandas as pd
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from specdec_lib import xlsum

ROW = {"id": "1", "title": "題", "summary": "要点", "text": "本文"}


@pytest.fixture
def write(tmp_path):
    """Writes rows to a file of JSON lines; text stands as it is."""

    def to_file(*rows):
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        file = tmp_path / "articles.jsonl"
        file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return file

    return to_file


@pytest.fixture(scope="module")
def byte_tokenizer():
    """One token a byte, byte-level as the paper's tokenizer is, so three for each kanji or kana; and a start token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>"])
    start = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[start])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.mark.parametrize(("split", "rows"), [("train", 640), ("test", 100)])
def test_embedded_set_has_its_rows(split, rows):
    articles = xlsum.load(split=split)
    assert articles.column_names == ["id", "title", "summary", "text"]
    assert len(set(articles["id"])) == len(articles) == rows


def test_n_takes_the_first_rows():
    assert xlsum.load(n=3).to_list() == xlsum.load().to_list()[:3]
    assert len(xlsum.load(n=10_000)) == 100


def test_local_file_without_splits_is_taken_whole(write):
    rows = [{**ROW, "id": str(i), "url": "ignored"} for i in range(3)]
    articles = xlsum.load(write(rows[0], "", *rows[1:]))
    assert articles.to_list() == [{**ROW, "id": str(i)} for i in range(3)]


def test_local_file_with_splits_is_filtered(write):
    file = write({**ROW, "split": "train"}, {**ROW, "id": "2", "split": "test"}, {**ROW, "id": "3"})
    assert xlsum.load(str(file), split="test")["id"][:] == ["2", "3"]


def test_a_local_parquet_file_is_taken_whole_or_filtered(tmp_path):
    rows = [{**ROW, "id": str(number), "url": "ignored"} for number in range(3)]
    pd.DataFrame(rows).to_parquet(tmp_path / "whole.parquet")
    assert xlsum.load(tmp_path / "whole.parquet", n=2)["id"][:] == ["0", "1"]
    pd.DataFrame(rows).assign(split=["train", "test", "test"]).to_parquet(tmp_path / "split.parquet")
    assert xlsum.load(str(tmp_path / "split.parquet"))["id"][:] == ["1", "2"]


def test_a_broken_parquet_file_is_refused(tmp_path):
    file = tmp_path / "articles.parquet"
    pd.DataFrame([{**ROW, "text": None}]).to_parquet(file)
    with pytest.raises(ValueError, match=r"articles\.parquet, row 1 has a 'text' that is not text"):
        xlsum.load(file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"is no parquet file .* delete that copy"):
        xlsum.load(file)


@pytest.fixture
def pack(tmp_path):
    """Writes an archive of members, (name, content); its headers may say another size."""

    def to_file(*members, size=None):
        file = tmp_path / "japanese_XLSum_v2.0.tar.bz2"
        with tarfile.open(file, "w:bz2") as archive:
            for name, content in members:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            if size is not None:
                member = tarfile.TarInfo("japanese_test.jsonl")
                member.size = size
                archive.addfile(member)
        return file

    return to_file


def json_lines(count):
    return "".join(json.dumps({**ROW, "id": str(number)}) + "\n" for number in range(count)).encode()


def test_the_authors_archive_is_read_in_memory(pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = pack(("../japanese_train.jsonl", b"never read"), ("japanese_test.jsonl", json_lines(889)))
    articles = xlsum.load(file)
    assert len(articles) == 889
    assert articles[888] == {**ROW, "id": "888"}
    assert list(tmp_path.iterdir()) == [file]
    assert xlsum.revision(file) is None


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("japanese_test.jsonl", json_lines(888))], "888 rows in test .* 889: it isn't the data set the study used"),
        ([("japanese_test.jsonl", b"{")], r"japanese_test\.jsonl, line 1 is not JSON"),
        ([("japanese_val.jsonl", b"")], r"has no japanese_test\.jsonl: get the archive"),
    ],
)
def test_another_archive_is_refused(pack, members, says):
    with pytest.raises(ValueError, match=says):
        xlsum.load(pack(*members))


def test_a_member_of_no_sane_size_is_not_unpacked(pack):
    with pytest.raises(ValueError, match=r"1,000,000,000,000 bytes in a member, so isn't XL-Sum: get it again"):
        xlsum.load(pack(size=10**12))


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    (tmp_path / "elsewhere.jsonl").write_bytes(json_lines(889))
    (tmp_path / "japanese_test.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    with tarfile.open(tmp_path / "articles.tar.bz2", "w:bz2") as archive:
        archive.add(tmp_path / "japanese_test.jsonl", "japanese_test.jsonl")
    with pytest.raises(ValueError, match=r"has no japanese_test\.jsonl"):
        xlsum.load(tmp_path / "articles.tar.bz2")


@pytest.mark.parametrize("kept", [0, 100, -10])
def test_a_broken_archive_is_refused(pack, kept):
    file = pack(("japanese_test.jsonl", json_lines(889)))
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"is broken .* delete that copy and get it again"):
        xlsum.load(file)


def test_only_the_hub_has_revisions(write):
    assert xlsum.revision("embedded") is None
    assert xlsum.revision(write(ROW)) is None


def test_loading_is_quiet_and_leaves_nothing_behind(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    xlsum.load()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_bad_n_is_refused(n):
    with pytest.raises(ValueError, match="n must be a whole number of at least 1"):
        xlsum.load(n=n)


def test_unknown_source_is_refused(tmp_path):
    for source in ("news", tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(ValueError, match=r'Unknown source .* choose "embedded", "hub" or an existing file'):
            xlsum.load(source)


def test_unknown_split_lists_those_there_are(write):
    with pytest.raises(ValueError, match="no split 'validation': choose test or train"):
        xlsum.load(split="validation")
    with pytest.raises(ValueError, match="no split 'dev': choose train or validation or test"):
        xlsum.load("hub", split="dev")
    with pytest.raises(ValueError, match="no split 'test': choose dev"):
        xlsum.load(write({**ROW, "split": "dev"}))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ('{"id": "2", ', "line 2 is not JSON"),
        ('["a list"]', "line 2 is not a JSON object"),
        ({"id": "2", "title": "題", "text": "本文"}, "line 2 lacks the column 'summary'"),
        ({**ROW, "text": None}, "line 2 has a 'text' that is not text"),
    ],
)
def test_broken_line_is_named_with_its_file(write, bad, says):
    with pytest.raises(ValueError, match=rf"articles\.jsonl, {says}"):
        xlsum.load(write(ROW, bad, ROW))


def test_file_in_another_encoding_is_refused(tmp_path):
    file = tmp_path / "sjis.jsonl"
    file.write_bytes(json.dumps(ROW, ensure_ascii=False).encode("shift_jis"))
    with pytest.raises(ValueError, match="line 1 is not JSON in UTF-8"):
        xlsum.load(file)


def test_empty_file_is_refused(write):
    with pytest.raises(ValueError, match="has no rows"):
        xlsum.load(write("", " "))


def test_prompt_is_the_papers(byte_tokenizer):
    assert xlsum.prompt(ROW, byte_tokenizer) == "タイトル: 題\nテキスト: 本文\n要約: "


@pytest.mark.parametrize(("tokens", "kept"), [(9, "あいう"), (8, "あい"), (7, "あい"), (6, "あい"), (2, "")])
def test_text_is_cut_to_whole_characters(byte_tokenizer, tokens, kept):
    row = {**ROW, "text": "あいうえお"}
    assert xlsum.prompt(row, byte_tokenizer, max_text_tokens=tokens) == f"タイトル: 題\nテキスト: {kept}\n要約: "


def test_text_is_cut_to_256_tokens(byte_tokenizer):
    cut = xlsum.prompt({**ROW, "text": "a" * 300}, byte_tokenizer)
    assert cut.count("a") == 256


def test_cut_below_one_token_is_refused(byte_tokenizer):
    with pytest.raises(ValueError, match="max_text_tokens must be at least 1"):
        xlsum.prompt(ROW, byte_tokenizer, max_text_tokens=0)
