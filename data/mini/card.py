"""Measure the embedded family and write its model card, README.md: losses, acceptance, faithfulness, samples.

python card.py           after train.py, with specdec_lib installed (about five minutes on two cores)
"""

import re
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from compose import articles
from train import MINI

import specdec_lib as sd
from specdec_lib.rouge import score
from specdec_lib.sessions import CachedSession

HERE = Path(__file__).parent
FACTS = re.compile(r"\d+(?:\.\d+)?|[ァ-ヴー]{3,}")
LOOP = re.compile(r"(.{6,}?)\1\1")


def summaries(target, rows: list[dict]) -> list:
    decoder = sd.AutoregressiveDecoder(target)
    return [decoder.generate(sd.xlsum.prompt(row, target.tokenizer)) for row in rows]


def acceptance(target, draft, rows: list[dict], n_lookahead: int) -> float:
    """Pooled over rows."""
    decoder = sd.SpeculativeDecoder(target, sd.ModelDrafter(draft), n_lookahead)
    runs = [decoder.generate(sd.xlsum.prompt(row, target.tokenizer)) for row in rows]
    accepted, rejected = sum(run.accepted for run in runs), sum(run.rejected for run in runs)
    return accepted / (accepted + rejected)


@torch.inference_mode()
def summary_loss(model, rows: list[dict]) -> float:
    """Nats a token of the reference summaries, the end token included."""
    losses = []
    for row in rows:
        prompt = model.encode(sd.xlsum.prompt(row, model.tokenizer))
        summary = [*model.encode(row["summary"]), model.tokenizer.eos_token_id]
        logits = CachedSession(model).extend([*prompt, *summary[:-1]], last=len(summary))
        losses += torch.nn.functional.cross_entropy(
            logits, torch.tensor(summary, device=logits.device), reduction="none"
        ).tolist()
    return float(np.mean(losses))


def faithful(text: str, article: str) -> tuple[int, int]:
    """Numbers and katakana words of a text that stand in the article, and all of them."""
    facts = FACTS.findall(text)
    return sum(fact in article for fact in facts), len(facts)


def quality(generations: list, rows: list[dict]) -> dict[str, float]:
    """What the card reports of a set of summaries."""
    own = 0
    for i, (generation, row) in enumerate(zip(generations, rows, strict=True)):
        others = [rows[(i + step) % len(rows)]["summary"] for step in (7, 31, 59)]
        mine = score(generation.text, row["summary"])["rouge1"]
        own += all(mine > score(generation.text, other)["rouge1"] for other in others)
    found = [faithful(g.text, f"{row['title']} {row['text']}") for g, row in zip(generations, rows, strict=True)]
    rouge = [score(g.text, row["summary"]) for g, row in zip(generations, rows, strict=True)]
    return {
        "summaries": len(rows),
        "end with the end token within 128": sum(len(g.token_ids) < 128 for g in generations),
        "contain a phrase three times in a row": sum(bool(LOOP.search(g.text)) for g in generations),
        "ROUGE-1 against the own reference beats three others'": own,
        "numbers and katakana words that stand in the article": (
            f"{sum(a for a, _ in found)} of {sum(b for _, b in found)} "
            f"({sum(a for a, _ in found) / max(1, sum(b for _, b in found)):.0%})"
        ),
        "ROUGE-1 / 2 / L": " / ".join(f"{np.mean([r[k] for r in rouge]):.3f}" for k in ("rouge1", "rouge2", "rougeL")),
    }


def table(head: list[str], rows: list[list]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows])


def byte_share(tokenizer, rows: list[dict]) -> float:
    pieces = [p for row in rows for part in ("title", "summary", "text") for p in tokenizer.tokenize(row[part])]
    return sum(piece.startswith("<0x") for piece in pieces) / len(pieces)


def main() -> None:
    news = list(sd.xlsum.load("embedded"))
    composed = list(islice(articles(seed=2), 100))  # another seed than the training text's
    models = {name: sd.load_model(name) for name in sd.models.EMBEDDED}
    target = models["mini-target"]
    written = {"natural": summaries(target, news), "composed": summaries(target, composed)}
    measured = {"natural": quality(written["natural"], news), "composed": quality(written["composed"], composed)}
    sizes = [
        [
            name,
            f"{model.parameters / 1e6:.2f} M",
            f"{MINI[name.removeprefix('mini-')].layers} × {MINI[name.removeprefix('mini-')].width}",
            f"{MINI[name.removeprefix('mini-')].tokens / 1e6:.1f} M",
            f"{summary_loss(model, news):.2f}",
            f"{summary_loss(model, composed):.2f}",
            *(
                "–" if model is target else f"{acceptance(target, model, rows, k):.3f}"
                for rows, k in ((news, 1), (news, 3), (composed[:40], 1))
            ),
        ]
        for name, model in models.items()
    ]
    samples = [
        f"**{row['title']}**\n\n- reference: {row['summary']}\n- mini-target: {generation.text}"
        for row, generation in zip(news[:10], written["natural"][:10], strict=True)
    ]
    samples += [
        f"**{row['title']}** (composed)\n\n- reference: {row['summary']}\n- mini-target: {generation.text}"
        for row, generation in zip(composed[:5], written["composed"][:5], strict=True)
    ]
    template = (HERE / "card.md").read_text(encoding="utf-8")
    card = template.format(
        sizes=table(
            [
                "model",
                "parameters",
                "layers × width",
                "trained on tokens",
                "loss, natural",
                "loss, composed",
                "α k = 1",
                "α k = 3",
                "α k = 1, composed",
            ],
            sizes,
        ),
        quality=table(
            ["", "natural (news test set)", "composed"],
            [[name, measured["natural"][name], measured["composed"][name]] for name in measured["natural"]],
        ),
        bytes=f"{byte_share(target.tokenizer, news):.2%}",
        samples="\n\n".join(samples),
    )
    (HERE / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
