"""Where rounding decides: texts that speculative and plain greedy decoding write differently, and how near the tie was.

A forward over several tokens adds up in another order than one over a single token. In exact arithmetic both give the
same logits; in 16 bits and in quantized models the two most likely tokens can change places.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from specdec_lib.decoders import AutoregressiveDecoder, SpeculativeDecoder
from specdec_lib.drafters import ModelDrafter
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.tasks import Task
from specdec_lib.models import LanguageModel
from specdec_lib.sessions import CachedSession

ARTICLES = {32: 24, 16: 24, 8: 6, 4: 6}  # by bits: quantized layers are slow on a CPU
NEW_TOKENS = 32
N_LOOKAHEAD = 4


class _RecordingSession(CachedSession):
    """Keeps every row of logits that it gives."""

    def __init__(self, model: LanguageModel, rows: list[Tensor]):
        super().__init__(model)
        self.rows = rows

    def extend(self, token_ids: Sequence[int] | Tensor, last: int | None = None) -> Tensor:
        logits = super().extend(token_ids, last)
        self.rows.append(logits)
        return logits


def compare(
    target: LanguageModel,
    draft: LanguageModel,
    prompt: str | Sequence[int],
    max_new_tokens: int = NEW_TOKENS,
    n_lookahead: int = N_LOOKAHEAD,
) -> dict:
    """Decode one prompt greedily both ways and describe the first token that differs.

    differs_at: its place, None where the texts are equal. gap: how far plain decoding's logit of its own token lies
    above that of the other token there. noise: the largest difference there between the logits of one-token forwards
    and of forwards over n_lookahead + 1 tokens, both over the plain text; an estimate of what rounding does, which can
    close a gap of twice as much. usual_gap and usual_noise: medians over the text, the gap being that of the two most
    likely tokens.
    """
    recorded: list[Tensor] = []
    plain = AutoregressiveDecoder(target, session=lambda model: _RecordingSession(model, recorded))
    plain = plain.generate(prompt, max_new_tokens)
    drafted = SpeculativeDecoder(target, ModelDrafter(draft), n_lookahead, session=CachedSession)
    tokens, others = plain.token_ids, drafted.generate(prompt, max_new_tokens).token_ids
    single = torch.cat(recorded).float()  # (tokens, vocab)
    several = _several_token_logits(target, plain.prompt_ids, tokens, n_lookahead + 1).float()
    noise = (single - several).abs().amax(-1)  # (tokens,)
    best = single.topk(2).values
    place = next((i for i, (ours, other) in enumerate(zip(tokens, others, strict=False)) if ours != other), None)
    return {
        "tokens": len(tokens),
        "differs_at": place,
        "gap": None if place is None else (single[place, tokens[place]] - single[place, others[place]]).item(),
        "noise": None if place is None else noise[place].item(),
        "usual_gap": (best[:, 0] - best[:, 1]).median().item(),
        "usual_noise": noise.median().item(),
    }


def _several_token_logits(model: LanguageModel, prompt_ids: list[int], token_ids: list[int], width: int) -> Tensor:
    """The logits (n, vocab) that each of n tokens is chosen from, by forwards over `width` tokens of the text."""
    session = CachedSession(model)
    session.extend(prompt_ids[:-1], last=0)
    text = [prompt_ids[-1], *token_ids[:-1]]
    text += text[-1:] * (-len(text) % width)  # the last forward is as wide; no row looks at what follows it
    rows = [session.extend(text[start : start + width]) for start in range(0, len(text), width)]
    return torch.cat(rows)[: len(token_ids)]


class Ties:
    """An experiment: articles in every precision."""

    name = "ties"

    def __init__(self, lab: Lab):
        self.lab = lab

    def tasks(self) -> Iterator[Task]:
        for bits, articles in ARTICLES.items():
            if bits not in self.lab.profile.precisions:
                continue
            for number, article in enumerate(self.lab.articles[:articles]):
                yield Task(
                    self.name,
                    f"{bits}-bit",
                    article["id"],
                    0,
                    NEW_TOKENS,
                    block=f"{bits} {article['id']}",
                    work=(bits, number),
                )

    def warm_up(self, task: Task) -> None:
        """Nothing is timed."""

    def measure(self, task: Task) -> dict:
        bits, number = task.work
        profile = self.lab.profile
        target, draft = (self.lab.model(name, bits=bits) for name in (profile.target, profile.draft))
        return {
            "target": profile.target,
            "draft": profile.draft,
            "n_lookahead": N_LOOKAHEAD,
            "bits": bits,
            "dtype": target.dtype,
            **compare(target, draft, self.lab.prompts[number], task.max_new_tokens),
        }
