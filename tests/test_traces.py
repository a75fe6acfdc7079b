"""Traces: every token shown once, in order, by what became of it, readable without colour and safe to embed."""

import json
import re
from xml.dom import minidom

import pytest
from tokenizers import AddedToken, Tokenizer, decoders
from tokenizers.models import Unigram
from transformers import PreTrainedTokenizerFast

from specdec_lib import Generation, Step, Trace, language
from specdec_lib.decoders import Draw
from specdec_lib.pieces import LOOKS, Detokenizer
from specdec_lib.traces import TextTrace, summary, to_svg, to_text

WORDS = ["<end>", "<unk>", "雪", "が", "降る", "雨", "。", "<b>", "&", "\n", "▁hello", "\x1b", "「"]
END, UNK, SNOW, GA, FALLS, RAIN, STOP, BOLD, AMP, BREAK, HELLO, ESCAPE, QUOTE = range(len(WORDS))
BYTE = len(WORDS)  # token of the byte 0


@pytest.fixture(scope="module")
def tokenizer():
    """Words and, as a fallback, the 256 bytes."""
    pieces = [(word, -1.0) for word in WORDS] + [(f"<0x{byte:02X}>", -9.0) for byte in range(256)]
    backend = Tokenizer(Unigram(pieces, unk_id=UNK, byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.add_special_tokens([AddedToken("<end>", special=True), AddedToken("<unk>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", unk_token="<unk>")


def still(generation):
    """What a page shows where scripts are stripped."""
    return re.sub(r"<(style|script)>.*?</\1>", "", Trace(generation).html(), flags=re.DOTALL)


def script_of(trace):
    return trace.html().split("<script>")[-1].removesuffix("</script>")


def test_a_text_that_has_not_begun_is_shown_beside_another(generation):
    nothing = Generation([], [], 0.0, 0.0)
    assert "0.00 s" in Trace(nothing, plain=generation).html()


def data_of(trace):
    """What the script of a page gets."""
    return json.loads(re.search(r"const data = (\{.*\}); for", script_of(trace))[1])


def bytes_of(text):
    return [BYTE + byte for byte in text.encode()]


@pytest.fixture
def generation(tokenizer):
    """One round of each kind: rejected, all accepted, nothing drafted, ended by an accepted token."""
    draws = [Draw(SNOW, 0.5, 0.25, 0.9), Draw(RAIN, 0.1, 0.4, 0.5), Draw(STOP, 0.3, 0.6, 0.1)]
    steps = [
        Step([SNOW, RAIN, STOP], 1, GA, "resampled", 0.1, draws),
        Step([FALLS], 1, STOP, "bonus", 0.1),
        Step([], 0, BOLD, "plain", 0.1),
        Step([], 0, AMP, "plain", 0.1),
        Step([QUOTE, END, RAIN], 2, None, "end", 0.1),
    ]
    return Generation([SNOW], steps, 0.5, 1.0, tokenizer)


def test_text_brackets_say_what_colour_says(generation):
    assert to_text(generation, colour=False).splitlines()[4:] == [
        "   1  [雪]~雨~+が+(。)",
        "   2  [降る]*。*",
        "   3  |<b>|&",
        "   5  [「][■](雨)",
        "",
        "雪が降る。<b>&「",
    ]


def test_colour_adds_nothing_but_escape_sequences(generation):
    coloured = to_text(generation)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == to_text(generation, colour=False)


def test_a_streamed_trace_is_the_finished_one(generation):
    trace = TextTrace(generation.tokenizer, colour=False)
    streamed = trace.legend() + "".join(map(trace.add, generation.steps))
    assert streamed in to_text(generation, colour=False)


@pytest.mark.parametrize("draw", [still, to_svg, lambda generation: to_text(generation, colour=False)])
def test_legend_names_every_fate_in_the_language_spoken(generation, draw):
    for lang in language.LANGUAGES:
        with language.spoken(lang):
            picture = draw(generation)
            assert all((look.japanese if lang == "ja" else look.english) in picture for look in LOOKS.values())
            assert ("受理" in picture) == (lang == "ja")


def test_summary_counts_tokens_rounds_and_acceptance(generation):
    assert summary(generation) == "8 tokens · 5 rounds · 1.60 tokens a round · acceptance rate 80.0% · 1.00 s"


def test_summary_of_plain_decoding_and_of_nothing():
    assert "nothing drafted" in summary(Generation([1], [Step([], 0, 2, "plain", 0.1)], 0, 0.1))
    assert summary(Generation([1], [], 0, 0)).startswith("0 tokens · 0 rounds")


def test_html_marks_fates_by_tags_and_shows_the_text(generation):
    html = still(generation)
    first_row = html.split("round 1:")[1]
    assert re.findall(r"<(\w+) title=[^>]*>([^<]*)</\1>", first_row)[:4] == [
        ("span", "雪"), ("del", "雨"), ("ins", "が"), ("i", "。"),
    ]  # fmt: skip
    assert "雪が降る。&lt;b&gt;&amp;「</div>" in html


def test_a_notebook_has_a_picture_for_every_front_end(generation):
    bundle = generation._repr_mimebundle_()
    assert bundle["text/html"] == Trace(generation).html()
    assert bundle["image/svg+xml"] == to_svg(generation)
    assert bundle["text/plain"] == to_text(generation, colour=False)


def test_still_pictures_escape_text_and_need_nothing_from_outside(generation):
    for picture in (still(generation), to_svg(generation)):
        assert "<b>&" not in picture
        assert "&lt;b&gt;" in picture
        assert not re.search(r"<script|<style|<link|url\(|href", picture)


def test_a_page_asks_no_other_host_for_anything(generation, tmp_path):
    page = generation.save_html(tmp_path / "new" / "trace.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|<link|<img|url\(|@import|src=|href", page)


@pytest.mark.parametrize(
    "nasty", ["</script><script>alert(1)</script>", "<!--", "\u2028", '"', "'", "{random}", "\u202e"]
)
def test_a_token_is_data_whatever_it_looks_like(tokenizer, nasty):
    words = Tokenizer(Unigram([("<unk>", -1.0), ("雪", -1.0), (nasty, -1.0)], unk_id=0))
    steps = [Step([2, 2], 1, 1, "resampled", 0.1)]
    trace = Trace(Generation([1], steps, 0, 1, PreTrainedTokenizerFast(tokenizer_object=words)))
    script = script_of(trace)
    assert not any(mark in script for mark in ("</script", "<!--", "\u2028"))
    assert nasty in data_of(trace)["rounds"][0]["adds"]


def test_a_page_speaks_one_language_and_leaves_the_notebooks_alone(generation, tmp_path):
    japanese = generation.save_html(tmp_path / "trace.html", lang="ja").read_text(encoding="utf-8")
    assert '<html lang="ja">' in japanese
    assert "受理率" in japanese
    assert not re.search("acceptance rate|rejected [0-9]", japanese)
    assert "受理" not in Trace(generation).html()
    with pytest.raises(ValueError, match="en, ja"):
        generation.save_html(tmp_path / "trace.html", lang="fr")


def test_the_foot_counts_forwards_and_time_saved(generation):
    plain = Generation([SNOW], [Step([], 0, token, "plain", 0.25) for token in generation.token_ids], 0.5, 2.5, None)
    foot = dict(data_of(Trace(generation, plain))["foot"])
    assert foot["forwards saved"] == "3"
    assert foot["target forwards"] == "5 for 8 tokens"
    assert foot["time"] == "1.00 s, plain decoding 2.50 s (×2.50)"
    assert foot["text beside plain decoding's"] == "the same"


def test_tooltip_explains_each_decision(generation):
    html = still(generation)
    assert "target 0.5, draft 0.25, random number 0.9 &lt; min(1, target / draft) = 1" in html
    assert "target 0.1, draft 0.4, random number 0.5 ≥ min(1, target / draft) = 0.25" in html
    assert "target 0.3, draft 0.6, not judged" in html


def test_coloured_tokens_bring_their_own_ink_with_contrast():
    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name, look in LOOKS.items():
        if name != "plain":
            assert (luminance(look.fill) + 0.05) / (luminance(look.ink) + 0.05) > 4.5, name


def test_svg_is_wellformed_and_holds_every_token_inside_its_width(tokenizer):
    steps = [Step([], 0, FALLS, "plain", 0.01) for _ in range(100)] + [Step([ESCAPE, BREAK], 2, STOP, "bonus", 0.01)]
    svg = minidom.parseString(to_svg(Generation([SNOW], steps, 0, 1, tokenizer))).documentElement
    texts = [node.lastChild.data for node in svg.getElementsByTagName("text")]
    assert texts.count("降る") == 100
    boxes = svg.getElementsByTagName("rect")
    width, height = (float(svg.getAttribute(side)) for side in ("width", "height"))
    assert all(float(box.getAttribute("x") or 0) + float(box.getAttribute("width")) <= width for box in boxes)
    assert all(float(box.getAttribute("y") or 0) + float(box.getAttribute("height")) <= height for box in boxes)


def test_bytes_show_as_dots_until_they_are_a_character(tokenizer):
    first, second, third = bytes_of("鬱")
    steps = [
        Step([first, second, SNOW], 2, third, "resampled", 0.1),  # the draft breaks the character off
        Step([SNOW], 1, STOP, "bonus", 0.1),
    ]
    lines = to_text(Generation([SNOW], steps, 0, 1, tokenizer), colour=False).splitlines()
    assert lines[4:] == ["   1  [·][·]~雪~+鬱+", "   2  [雪]*。*", "", "鬱雪。"]


def test_pieces_join_to_the_decoded_text(tokenizer):
    for ids in (
        [SNOW, *bytes_of("魑魅😀"), HELLO, UNK, BREAK, STOP, END],
        [HELLO, *bytes_of("魑")[:2], SNOW, *bytes_of("鬱")[:1]],
    ):
        text = Detokenizer(tokenizer)
        pieces = "".join(map(text.piece, ids)) + text.rest()
        assert pieces == tokenizer.decode(ids, skip_special_tokens=True)


def test_control_characters_do_not_reach_the_picture(tokenizer):
    steps = [Step([ESCAPE, BREAK, UNK], 3, HELLO, "bonus", 0.1)]
    generation = Generation([SNOW], steps, 0, 1, tokenizer)
    assert to_text(generation, colour=False).splitlines()[4] == r"   1  [\x1b][↵][<unk>]* hello*"


def test_without_a_tokenizer_tokens_are_numbers():
    generation = Generation([1], [Step([7, 8], 1, 9, "resampled", 0.1)], 0, 1)
    assert to_text(generation, colour=False).splitlines()[4:] == ["   1  [7]~8~+9+"]
    assert ">7</span>" in still(generation)
    assert ">9</text>" in to_svg(generation)
