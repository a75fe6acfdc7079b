"""Speed beside other libraries: the same articles decoded in every way in turn, by ours and by theirs."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache, cached_property
from importlib.metadata import version

import torch

from specdec_lib.clock import now
from specdec_lib.decoders import AutoregressiveDecoder, SpeculativeDecoder
from specdec_lib.drafters import Drafter, FirstDrafter, ModelDrafter, PromptLookupDrafter
from specdec_lib.lookahead import Calibration
from specdec_lib.measuring.lab import Lab
from specdec_lib.measuring.peers import Decode, Peers, has_flashspec
from specdec_lib.measuring.tasks import Task
from specdec_lib.measuring.ways import UNTRAINED, Way, ways
from specdec_lib.models import LanguageModel

ARTICLES, REPEATS = 24, 3  # at most: every way takes its turn on each
NEW_TOKENS = 64


class Speed:
    """An experiment: article by article, every way in turn; without flashspec its ways are left out, with a notice."""

    name = "speed"

    def __init__(self, lab: Lab):
        self.lab = lab
        self._decode = cache(self._build)
        self._calibrations: dict[Way, Calibration] = {}

    def tasks(self) -> Iterator[Task]:
        profile = self.lab.profile
        for number, article in enumerate(self.lab.articles[: min(profile.timed_articles, ARTICLES)]):
            for repeat in range(min(profile.repeats, REPEATS)):
                for way in self._ways:
                    yield Task(
                        self.name,
                        way.name,
                        article["id"],
                        repeat,
                        NEW_TOKENS,
                        block=f"{article['id']} {repeat}",
                        work=(way, number),
                    )

    def warm_up(self, task: Task) -> None:
        """Decode the longest and the shortest prompt: what compiles or records does so then."""
        way, _ = task.work
        prompts = sorted(self.lab.prompts[: self.lab.profile.timed_articles], key=len)
        for prompt in (prompts[-1], prompts[0]):
            self._decode(way)(prompt, task.max_new_tokens)

    def measure(self, task: Task) -> dict:
        way, number = task.work
        target, prompt = self._peers.target, self.lab.prompts[number]
        began = now(target.device)
        token_ids = self._decode(way)(prompt, task.max_new_tokens)
        seconds = now(target.device) - began
        return {
            **asdict(way),
            "version": version(way.library) if way.library in ("transformers", "flashspec") else None,
            "target": self.lab.profile.target,
            "attention": target.attention,
            "bits": target.bits,
            "dtype": target.dtype,
            "calibration": asdict(self._calibrations[way]) if way in self._calibrations else None,
            "prompt_tokens": len(prompt),
            "token_ids": token_ids,
            "seconds": seconds,
        }

    @cached_property
    def _ways(self) -> list[Way]:
        every = ways(self.lab.profile, self.lab.device)
        if has_flashspec():
            return list(every)
        print("flashspec is not installed and is left out: `pip install .[bench]` adds it.", file=sys.stderr)
        return [way for way in every if way.library != "flashspec"]

    @cached_property
    def _peers(self) -> Peers:
        return Peers(self.lab.model(self.lab.profile.target))

    def _build(self, way: Way) -> Decode:
        peers, draft = self._peers, None
        if way.draft:
            draft = self.lab.model(self.lab.profile.draft if way.draft == UNTRAINED else way.draft)
            draft = untrained(draft) if way.draft == UNTRAINED else draft
        match way.library, way.method:
            case "transformers", "generate":
                return peers.generate()
            case "transformers", "compiled":
                return peers.compiled()
            case "transformers", "prompt lookup":
                return peers.prompt_lookup(way.n_lookahead)
            case "transformers", _:
                return peers.assisted(draft, way.n_lookahead)
            case "flashspec", strategy:
                return peers.flashspec(draft, strategy, way.n_lookahead)
        if way.drafter is None:
            decoder = AutoregressiveDecoder(peers.target, session=way.session)
        else:
            drafter = _drafter(way, peers.target.vocab_size, draft)
            decoder = SpeculativeDecoder(peers.target, drafter, way.n_lookahead, session=way.session)
            if way.n_lookahead == "auto":
                self._calibrations[way] = decoder.calibration
        return lambda prompt_ids, max_new_tokens: decoder.generate(prompt_ids, max_new_tokens).token_ids


def _drafter(way: Way, vocab_size: int, draft) -> Drafter:
    lookup = PromptLookupDrafter(vocab_size)
    if way.drafter == "lookup":
        return lookup
    model = ModelDrafter(draft, context="frozen" if way.library == "original" else "growing")
    return FirstDrafter(lookup, model) if way.drafter == "lookup first" else model


def untrained(model: LanguageModel) -> LanguageModel:
    """A model like the given one with random weights, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = type(model.module)(model.module.config).eval()
    return replace(model, module=module.to(model.device, model.module.dtype), name=UNTRAINED)
