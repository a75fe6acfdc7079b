"""What experiments are measured with: a profile's models, articles and prompts on one device."""

import gc
from collections.abc import Mapping
from functools import cache, cached_property

import torch

from specdec_lib import xlsum
from specdec_lib.measuring.sources import ARTICLES
from specdec_lib.models import LanguageModel, load_model
from specdec_lib.profiles import Profile


class Lab:
    """A profile on a device; models are loaded when they are first asked for.

    device: "cpu" or "cuda", with or without a number. revisions: the commit of each name that comes from the hub.
    greedy_tokens: the target's own text of articles, by their ids, as far as it is known.
    """

    def __init__(self, profile: Profile, device: str, seed: int, revisions: Mapping[str, str]):
        self.profile, self.device, self.seed, self.revisions = profile, device, seed, dict(revisions)
        self.greedy_tokens: dict[str, list[int]] = {}
        self._loaded = cache(self._load)

    def model(self, name: str, attention: str = "sdpa", bits: int | None = None) -> LanguageModel:
        """Loaded once, however often it is asked for; bits: the profile's by default, 32 of a draft."""
        usual = self.profile.bits if name == self.profile.target else 32
        return self._loaded(name, attention, usual if bits is None else bits)

    def _load(self, name: str, attention: str, bits: int) -> LanguageModel:
        pickled = name in self.profile.pickled
        return load_model(name, attention, bits, self.device, revision=self.revisions.get(name), pickled=pickled)

    def unload(self) -> None:
        """Let go of all models; the next that are asked for are loaded again."""
        self._loaded.cache_clear()
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    @cached_property
    def articles(self) -> list[dict]:
        """The articles of the largest experiment: id, title, summary, text."""
        source = self.profile.source
        articles = list(xlsum.load(source, n=self.profile.articles, revision=self.revisions.get(ARTICLES)))
        if len({article["id"] for article in articles}) < len(articles):
            raise ValueError(f"Articles of {source} share an id, by which results know them: give each its own.")
        return articles

    @cached_property
    def prompts(self) -> list[list[int]]:
        """The paper's prompt of each article, as token ids."""
        target = self.model(self.profile.target)
        return [target.encode(xlsum.prompt(article, target.tokenizer)) for article in self.articles]
