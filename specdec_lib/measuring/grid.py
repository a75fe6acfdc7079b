"""Comparisons measured: every cell decodes the same articles, in turn."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache

import torch
from torch import Tensor

from specdec_lib.decoders import AutoregressiveDecoder, Generation, SpeculativeDecoder
from specdec_lib.drafters import Drafter, FirstDrafter, ModelDrafter, PromptLookupDrafter
from specdec_lib.measuring.cells import Cell, Comparison, plain_cell
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.tasks import Task
from specdec_lib.models import LanguageModel
from specdec_lib.rouge import score
from specdec_lib.sessions import CachedSession, ReplayedSession
from specdec_lib.vocabulary import Vocabulary

WARM_UP = 24
"""New tokens before a cell is timed: enough for every shape of round to be recorded where rounds are."""


class Grid:
    """A comparison as an experiment: article by article, so that a run that is stopped leaves balanced tables."""

    def __init__(self, lab: Lab, comparison: Comparison):
        self.lab, self.comparison, self.name = lab, comparison, comparison.name
        self._built = cache(self._build)
        self._text: tuple = (None, None)  # the last article, and logits that make its greedy text certain
        self._drafted: tuple = (None, None)  # the last draft and article, and its logits along that text

    def tasks(self) -> Iterator[Task]:
        comparison = self.comparison
        for number, article in enumerate(self.lab.articles[: comparison.articles]):
            for repeat in range(comparison.repeats):
                for cell in comparison.cells:
                    yield Task(
                        self.name,
                        cell.id,
                        article["id"],
                        repeat,
                        comparison.max_new_tokens,
                        block=f"{article['id']} {repeat}",
                        work=(cell, number),
                    )

    def warm_up(self, task: Task) -> None:
        cell, article = task.work
        if cell.session == "replayed":
            self._target(cell), self._draft(cell)
        else:
            self._decode(cell, article, min(WARM_UP, task.max_new_tokens))

    def measure(self, task: Task) -> dict:
        cell, number = task.work
        article = self.lab.articles[number]
        generation = self._decode(cell, number, task.max_new_tokens)
        if cell == plain_cell(self.lab.profile) and task.max_new_tokens == self.lab.profile.max_new_tokens:
            self.lab.greedy_tokens[article["id"]] = generation.token_ids
        target, draft = self._target(cell), self._draft(cell)
        timed = cell.session != "replayed"
        return {
            **asdict(cell),
            "target_revision": target.revision,
            "draft_revision": draft.revision if draft else None,
            "dtype": target.dtype,
            "draft_dtype": draft.dtype if draft else None,
            "weights": sum(model.module.get_memory_footprint() for model in (target, draft) if model),
            "temperature": 0.0,
            "seed": self.lab.seed,
            "token_ids": generation.token_ids,
            "drafted": [len(step.drafted) for step in generation.steps],
            "accepted": [step.accepted for step in generation.steps],
            "kinds": "".join(step.kind[0] for step in generation.steps),  # resampled, bonus, end, plain
            "seconds": generation.seconds if timed else None,
            "prompt_seconds": generation.prompt_seconds if timed else None,
            **score(generation.text, article["summary"]),
        }

    def _target(self, cell: Cell) -> LanguageModel:
        return self.lab.model(cell.target, cell.attention, cell.bits)

    def _draft(self, cell: Cell) -> LanguageModel | None:
        return self.lab.model(cell.draft, cell.attention, cell.draft_bits) if cell.draft else None

    def _decode(self, cell: Cell, article: int, max_new_tokens: int) -> Generation:
        decoder = self._replaying(cell, article) if cell.session == "replayed" else self._decoder(cell)
        return decoder.generate(self.lab.prompts[article], max_new_tokens, seed=self.lab.seed)

    def _decoder(self, cell: Cell) -> SpeculativeDecoder:
        """One for all n_lookahead of a draft, since each holds the memory of its sessions."""
        if cell == cell.plain:
            return self._built(cell)
        decoder = self._built(replace(cell, n_lookahead=1))
        decoder.n_lookahead = cell.n_lookahead
        return decoder

    def _build(self, cell: Cell) -> SpeculativeDecoder:
        target, draft = self._target(cell), self._draft(cell)
        if cell == cell.plain:
            return AutoregressiveDecoder(target, session=cell.session)
        model = ModelDrafter(draft, context=cell.context) if draft else None
        return SpeculativeDecoder(target, _drafter(cell, target, model), session=cell.session)

    def _replaying(self, cell: Cell, article: int) -> SpeculativeDecoder:
        """A decoder whose target and draft answer from one forward each over the target's own greedy text."""
        target, model, certain = self._target(cell), None, self._certain_logits(article)
        if cell.draft:
            drafted = self._draft_logits(cell, article)
            model = ModelDrafter(self._draft(cell), lambda _: ReplayedSession(drafted), cell.context)
        drafter = _drafter(cell, target, model)
        return SpeculativeDecoder(target, drafter, cell.n_lookahead, session=lambda _: ReplayedSession(certain))

    def _greedy_text(self, article: int) -> list[int]:
        """Prompt and the target's own text, decoded where "quality" did not do so."""
        name = self.lab.articles[article]["id"]
        if name not in self.lab.greedy_tokens:
            plain = self._decode(plain_cell(self.lab.profile), article, self.lab.profile.max_new_tokens)
            self.lab.greedy_tokens[name] = plain.token_ids
        return self.lab.prompts[article] + self.lab.greedy_tokens[name]

    def _certain_logits(self, article: int) -> Tensor:
        """1 at each token that follows in prompt and greedy text, and rows for rounds that look past the end."""
        if self._text[0] != article:
            target, text = self.lab.model(self.lab.profile.target), self._greedy_text(article)
            following = text[1:] + text[-1:] * (max(self.lab.profile.lookaheads) + 1)
            certain = torch.zeros(len(following), target.vocab_size, dtype=torch.int8, device=target.device)
            certain[range(len(following)), following] = 1
            self._text = article, certain
        return self._text[1]

    def _draft_logits(self, cell: Cell, article: int) -> Tensor:
        """The draft's logits along prompt and greedy text, and as many rows again for rounds that look past the end."""
        if self._drafted[0] != (cell.draft, article):
            text, draft = torch.tensor(self._greedy_text(article)), self._draft(cell)
            vocabulary = Vocabulary.between(self._target(cell), draft)
            rows = CachedSession(draft).extend(vocabulary.read[text] if vocabulary else text)
            longest = max(self.lab.profile.lookaheads)
            self._drafted = (cell.draft, article), torch.cat([rows, rows[-1:].expand(longest, -1)])
        return self._drafted[1]


def _drafter(cell: Cell, target: LanguageModel, model: ModelDrafter | None) -> Drafter:
    if not cell.lookup:
        return model
    lookup = PromptLookupDrafter(target.vocab_size)
    return FirstDrafter(lookup, model) if model else lookup
