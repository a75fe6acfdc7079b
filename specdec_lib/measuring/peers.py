"""Other libraries' decoders over our models: the same weights in memory, greedy, one prompt at a time.

Each is a callable (prompt_ids, max_new_tokens) -> new tokens, the end token last where it was drawn.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from logging import ERROR, getLogger

import torch
from transformers import PreTrainedModel

from specdec_lib.models import LanguageModel, check_pair

Decode = Callable[[list[int], int], list[int]]

ASSISTANT_SETTINGS = ("num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold")


def has_flashspec() -> bool:
    """Whether flashspec can be imported."""
    return find_spec("flashspec") is not None


class Peers:
    """The decoders that other libraries build from one target.

    Raises ValueError for a draft that doesn't go with the target, and for flashspec's where it is not installed.
    """

    def __init__(self, target: LanguageModel):
        self.target = target
        self._flashspec_drafters: dict[LanguageModel, object] = {}

    def generate(self, **options) -> Decode:
        """transformers `generate`, with options of its own."""
        module, device = self.target.module, self.target.device

        def decode(prompt_ids: list[int], max_new_tokens: int) -> list[int]:
            ids = torch.tensor([prompt_ids], device=device)
            with _quiet():
                text = module.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=max_new_tokens,
                    do_sample=False,
                    **options,
                )
            return text[0, len(prompt_ids) :].tolist()

        return decode

    def compiled(self) -> Decode:
        """`generate` over a static cache, which transformers compiles by itself on CUDA and nowhere else."""
        return self.generate(cache_implementation="static")

    def prompt_lookup(self, n_lookahead: int) -> Decode:
        """`generate` with candidates looked up in the text, n_lookahead at most."""
        return self.generate(prompt_lookup_num_tokens=n_lookahead)

    def assisted(self, draft: LanguageModel, n_lookahead: int | None = None) -> Decode:
        """transformers' assisted generation.

        n_lookahead: drafted in every round, however unsure the draft is, as in speculative decoding; None leaves number
        and threshold as they come. transformers reads both from the draft's generation_config.
        """
        check_pair(self.target, draft)
        settings = (
            {} if n_lookahead is None else dict(zip(ASSISTANT_SETTINGS, (n_lookahead, "constant", 0), strict=True))
        )
        generate = self.generate(assistant_model=draft.module)

        def decode(prompt_ids: list[int], max_new_tokens: int) -> list[int]:
            with _assistant_settings(draft.module, settings):
                return generate(prompt_ids, max_new_tokens)

        return decode

    def flashspec(self, draft: LanguageModel, strategy: str = "auto", n_lookahead: int | None = None) -> Decode:
        """flashspec's engine.

        strategy: "auto" (its default), "composite-g4", "composite-g6-f2": look up first, else draft, with
        numbers of their own; "bandit": the draft alone, n_lookahead tokens a round. On CUDA flashspec compiles by
        itself.
        """
        check_pair(self.target, draft)
        target = self._flashspec_target
        from flashspec import BanditConfig, FlashSpecConfig, SamplingConfig, SpeculativeEngine

        greedy = {"temperature": 0.0} if n_lookahead is None else {"temperature": 0.0, "gamma": n_lookahead}
        with _quiet():
            config = FlashSpecConfig(
                device=str(self.target.device),
                dtype=self.target.dtype,
                eos_token_ids=tuple(self.target.end_ids),
                drafter_strategy=strategy,
                sampling=SamplingConfig(**greedy),
                **({"bandit": BanditConfig(n_arms=1)} if strategy == "bandit" else {}),
            )
            engine = SpeculativeEngine(config, [self._flashspec_drafter(draft)], target)

        def decode(prompt_ids: list[int], max_new_tokens: int) -> list[int]:
            ids = torch.tensor([prompt_ids], device=self.target.device)
            with _quiet():
                result = engine.generate(ids, max_new_tokens=max_new_tokens)
            return result.output_ids[0, : result.n_tokens_generated].tolist()

        return decode

    @cached_property
    def _flashspec_target(self):
        """One for all engines, as flashspec allows, so that each forward is compiled once."""
        if not has_flashspec():
            raise ValueError("flashspec is not installed: run `pip install .[bench]` in the clone.")
        from flashspec.engine import TargetModel

        return TargetModel(self.target.name, self.target.device, self.target.module.dtype, model=self.target.module)

    def _flashspec_drafter(self, draft: LanguageModel):
        from flashspec.engine import HuggingFaceDrafter

        if draft not in self._flashspec_drafters:
            self._flashspec_drafters[draft] = HuggingFaceDrafter(
                draft.name, draft.device, draft.module.dtype, model=draft.module
            )
        return self._flashspec_drafters[draft]


@contextmanager
def _assistant_settings(module: PreTrainedModel, settings: dict) -> Iterator[None]:
    """A draft's generation_config with these settings, and afterwards as it was."""
    config = module.generation_config
    before = {name: getattr(config, name) for name in ASSISTANT_SETTINGS}
    try:
        for name, value in settings.items():
            setattr(config, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)


@contextmanager
def _quiet(names: Sequence[str] = ("transformers", "flashspec")) -> Iterator[None]:
    """Errors alone from these libraries' loggers and no warnings; afterwards as it was."""
    loggers = [getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
