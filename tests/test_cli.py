"""The command line, through `main`, over tiny random models in a folder."""

import io
import json
import re
import sys

import pytest
import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

from specdec_lib import language
from specdec_lib.cli import main
from specdec_lib.models import EMBEDDED, PAPER

LETTERS = "あいうえおかきくけこさしすせそたちつてと"


def save_model(folder, seed, letters=LETTERS):
    """A random GPT-NeoX whose tokens are single letters, so that a text is as long as its tokens."""
    vocabulary = {piece: number for number, piece in enumerate(["<end>", "<unk>", *letters])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = Split("", "isolated")
    backend.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", unk_token="<unk>").save_pretrained(folder)
    torch.manual_seed(seed)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = GPTNeoXConfig(
        vocab_size=len(vocabulary), max_position_embeddings=64, eos_token_id=0, bos_token_id=0, **shape
    )
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("target"), seed=1)


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("draft"), seed=2)


@pytest.fixture
def options(target, draft):
    return ["generate", "-i", "あいう", "-p", target, "-q", draft, "--max-new-tokens", "12", "--device", "cpu"]


def sentence(capsys):
    """The one line on stderr of a refused command."""
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"specdec: [^\n]+\n", err), err
    return err


def test_speculative_text_is_the_plain_text(options, capsys):
    assert main(options) == 0
    speculative = capsys.readouterr()
    assert main([*options, "--decode", "auto_regressive", "--no-kv-cache", "--attention", "eager"]) == 0
    plain = capsys.readouterr()
    assert speculative.out == plain.out != "\n"
    assert "acceptance rate" in speculative.err
    assert "nothing drafted" in plain.err


def test_a_seed_gives_one_text(options, capsys):
    texts = []
    for seed in ("1", "1", "2"):
        assert main([*options, "--temperature", "1", "--top-k", "15", "--top-p", "0.95", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_input_from_stdin_without_its_last_line_break(options, capsys, monkeypatch):
    assert main(options) == 0
    given = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO("あいう\n"))
    options[options.index("あいう")] = "-"
    assert main(options) == 0
    assert capsys.readouterr().out == given


def test_result_holds_text_tokens_times_and_steps(options, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    assert main([*options, "-k", "3", "--trace", "--output-dir", str(folder)]) == 0
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert sorted(path.name for path in folder.iterdir()) == ["result.json", "trace.html", "trace.svg"]
    assert result["prompt"] == "あいう"
    assert result["output"]
    assert result["output"] in capsys.readouterr().out
    assert len(result["token_ids"]) <= 12
    assert 0 <= result["prompt_seconds"] <= result["seconds"]
    assert result["acceptance_rate"] == pytest.approx(result["accepted"] / (result["accepted"] + result["rejected"]))
    added = [
        token
        for step in result["steps"]
        for token in [*step["drafted"][: step["accepted"]], *filter(lambda x: x is not None, [step["next_token"]])]
    ]
    assert added == result["token_ids"]
    assert result["steps"][0]["draws"][0].keys() == {"token", "target", "draft", "uniform"}
    assert result["options"]["n_lookahead"] == 3


def test_the_lookahead_may_be_left_to_the_decoder(options, tmp_path, capsys):
    assert main([*options, "-k", "3"]) == 0
    given = capsys.readouterr().out
    assert main([*options, "-k", "auto", "--output-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == given
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["calibration"]["verification"][0] == 1
    assert result["options"]["n_lookahead"] == "auto"
    assert main([*options, "-k", "many"]) == 2
    assert "give a whole number or \"auto\", not 'many'" in capsys.readouterr().err


def test_long_input_is_cut_with_a_notice(options, tmp_path, capsys):
    assert main([*options, "--max-text-length", "2", "--output-dir", str(tmp_path)]) == 0
    assert "only the first 2 of 3 input tokens are read" in capsys.readouterr().err
    assert len(json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["prompt_ids"]) == 2


def test_trace_is_coloured_only_when_asked_off_a_terminal(options, capsys):
    assert main([*options, "--trace"]) == 0
    plain = capsys.readouterr().out
    assert "[accepted]" in plain
    assert "\x1b" not in plain
    assert main([*options, "--trace", "--color", "always"]) == 0
    assert re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out) == plain


def test_a_trace_speaks_the_language_asked_for(options, tmp_path, capsys):
    with language.spoken("en"):
        assert main([*options, "--trace", "--lang", "ja", "--compare", "--output-dir", str(tmp_path)]) == 0
    assert "[受理]" in capsys.readouterr().out
    page = (tmp_path / "trace.html").read_text(encoding="utf-8")
    assert "通常のデコーディング" in page


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("1", False)])
def test_a_terminal_is_coloured_unless_no_color_is_set(options, capsys, monkeypatch, variable, coloured):
    monkeypatch.setenv("NO_COLOR", variable)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main([*options, "--trace"]) == 0
    assert ("\x1b" in capsys.readouterr().out) == coloured


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["-k", "0"], "n_lookahead must be a whole number"),
        (["-k", "many"], 'give a whole number or "auto"'),
        (["--max-new-tokens", "0"], "max_new_tokens must be a whole number"),
        (["--max-new-tokens", "64"], "shorten the prompt or lower max_new_tokens"),
        (["--max-text-length", "0"], "max_text_length must be at least 1"),
        (["--temperature", "-1"], "temperature must be 0"),
        (["--top-p", "1.5"], "top_p must be above 0"),
        (["--top-k", "0"], "top_k must be"),
        (["--bits", "5"], "bits must be one of 32, 16, 8, 4"),
        (["--attention", "flash"], "attention must be one of eager, sdpa"),
        (["--device", "tpu"], "device must be auto, cpu or cuda"),
        (["-p", "mini-nothing"], "Unknown model 'mini-nothing'. Known are mini-target"),
        (["-i", ""], "The prompt is empty"),
        (["-i", "\udcff"], "not UTF-8 text"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(options, capsys, tmp_path, extra, words):
    folder = tmp_path / "out"
    assert main([*options, "--output-dir", str(folder), *extra]) == 2
    assert words in sentence(capsys)
    assert not folder.exists()


def test_draft_of_another_vocabulary_is_refused(options, tmp_path, capsys):
    other = save_model(tmp_path / "other", seed=3, letters=LETTERS[:10])
    capsys.readouterr()
    assert main([*options, "-q", other]) == 2
    assert "draft and target must share one vocabulary" in sentence(capsys)


def test_output_dir_that_is_a_file_is_refused_before_anything_runs(options, tmp_path, capsys):
    (tmp_path / "file").write_text("kept")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main([*options, "--output-dir", str(folder)]) == 2
        assert "can't be written to: choose another --output-dir" in sentence(capsys)
    assert (tmp_path / "file").read_text() == "kept"


def test_result_that_can_not_be_put_in_place_is_one_sentence(options, tmp_path, capsys):
    (tmp_path / "result.json" / "taken").mkdir(parents=True)
    assert main([*options, "--output-dir", str(tmp_path)]) == 2
    assert re.search(r"^specdec: result.json can't be written to .*\n\Z", capsys.readouterr().err, re.MULTILINE)


class Broken(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def read(self, *_):
        raise self.error


def test_interrupt_is_exit_code_130_without_a_traceback(options, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Broken(KeyboardInterrupt()))
    assert main([*options, "-i", "-"]) == 130
    assert capsys.readouterr().err == "\n"


def test_stdin_of_another_encoding_is_refused(options, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Broken(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")))
    assert main([*options, "-i", "-"]) == 2
    assert "not UTF-8 text" in sentence(capsys)


def test_models_lists_every_name(capsys):
    assert main(["models"]) == 0
    table = capsys.readouterr().out
    for name in [*EMBEDDED, *PAPER, *PAPER.values()]:
        assert re.search(rf"(^|\s){re.escape(name)}\s", table), name


@pytest.mark.parametrize("command", [[], ["generate"], ["benchmark"], ["models"], ["report"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: specdec" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [[], ["train"], ["generate"], ["report", "--results"]])
def test_unfinished_or_unknown_command_is_one_sentence(argv, capsys):
    assert main(argv) == 2
    assert "--help` lists the options" in sentence(capsys)
