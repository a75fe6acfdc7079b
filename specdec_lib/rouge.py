"""ROUGE for Japanese, as an `evaluate.Metric` that needs no hub.

The scores are those of the `rouge_score` package, over words that MeCab finds with the UniDic-lite dictionary, since
Japanese puts no spaces between words. Text is first brought to Unicode's form NFKC: full-width and half-width letters,
digits and katakana (５ and 5, ｶ and カ) are the same to a reader, and which one was typed says nothing about a summary.
As `rouge_score` does for English, punctuation is no word and letters count in lower case.
"""

import shlex
import unicodedata
from functools import cache
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import evaluate
from datasets import Features, Value

ROUGE_TYPES = ["rouge1", "rouge2", "rougeL"]


class JapaneseRouge(evaluate.Metric):
    """`compute(predictions=[...], references=[...])` gives the mean F-measures, 0 to 1: rouge1, rouge2, rougeL."""

    def __init__(self):
        # With its inputs in memory the metric needs no folder, but evaluate makes one for itself all the same.
        with TemporaryDirectory() as unused:
            super().__init__(keep_in_memory=True, cache_dir=unused)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=__doc__,
            citation="Chin-Yew Lin. ROUGE: A Package for Automatic Evaluation of Summaries. 2004.",
            features=Features(predictions=Value("string"), references=Value("string")),
            inputs_description="predictions, references: as many texts of each, the one to score beside its model.",
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        if not predictions:
            raise ValueError("There is nothing to score: give at least one prediction and its reference.")
        scores = [score(*pair) for pair in zip(predictions, references, strict=True)]
        return {name: fmean(each[name] for each in scores) for name in ROUGE_TYPES}


def score(prediction: str, reference: str) -> dict[str, float]:
    """F-measures, 0 to 1, of one pair (Lin 2004); 0 where either has no word."""
    return {name: float(value.fmeasure) for name, value in _scorer().score(reference, prediction).items()}


class JapaneseTokenizer:
    """Text to words, for `rouge_score`."""

    def __init__(self):
        import fugashi
        import unidic_lite

        # The dictionary is named, since fugashi alone takes whichever UniDic it finds and the scores would vary.
        folder = Path(unidic_lite.DICDIR)
        options = ["-Owakati", "-d", str(folder), "-r", str(folder / "mecabrc")]
        self._tagger = fugashi.GenericTagger(shlex.join(options))

    def tokenize(self, text: str) -> list[str]:
        words = self._tagger.parse(unicodedata.normalize("NFKC", text)).split()
        return [word.lower() for word in words if any(map(str.isalnum, word))]


@cache
def _scorer():
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(ROUGE_TYPES, tokenizer=JapaneseTokenizer())
