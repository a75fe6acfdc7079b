"""The grids of the paper, one cell at a time: what is compared runs in turn, every row is written as it is finished."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from specdec_lib import xlsum
from specdec_lib.decoders import AutoregressiveDecoder, Generation, SpeculativeDecoder
from specdec_lib.drafters import Context, Drafter, FirstDrafter, ModelDrafter, PromptLookupDrafter
from specdec_lib.models import BETTERTRANSFORMER, LanguageModel, load_model, pick_device, resolve
from specdec_lib.paths import RUNS
from specdec_lib.profiles import Profile, profile_named
from specdec_lib.results import Results, environment
from specdec_lib.rouge import score
from specdec_lib.sessions import CachedSession, ReplayedSession

TYPICAL_TOKENS = 64  # of a summary, for estimates


@dataclass(frozen=True)
class Cell:
    """One way to decode. Without draft and lookup it is plain decoding; with both the text is looked up first."""

    target: str
    draft: str | None = None
    lookup: bool = False
    n_lookahead: int | None = None
    session: str = "cached"  # or "uncached", "static", or "replayed" (acceptance without decoding again)
    attention: str = "sdpa"
    bits: int = 32
    context: Context = "growing"

    @property
    def id(self) -> str:
        drafters = " else ".join(["lookup"] * self.lookup + [self.draft] * (self.draft is not None))
        how = f"{drafters} k={self.n_lookahead} {self.context}" if drafters else "plain"
        return f"{self.target} {how} {self.session} {self.attention} {self.bits}-bit"

    @property
    def plain(self) -> "Cell":
        """The same without a draft: what this cell's speed-up is measured against."""
        return replace(self, draft=None, lookup=False, n_lookahead=None, context="growing")


@dataclass(frozen=True)
class Experiment:
    """Cells that are compared with one another, on the same articles."""

    name: str
    cells: tuple[Cell, ...]
    articles: int
    repeats: int
    max_new_tokens: int

    @property
    def generations(self) -> int:
        return len(self.cells) * self.articles * self.repeats


def experiments_of(profile: Profile) -> dict[str, Experiment]:
    """Every experiment of a profile, in the order they run."""
    p = profile
    plain = Cell(p.target, session=p.table1_session, attention="sdpa" if p.table1_session == "cached" else "eager")
    grid = [replace(plain, draft=d, n_lookahead=k) for d in p.drafts for k in p.lookaheads]
    paper_setting = replace(plain, session="uncached", attention="eager")
    again = [replace(paper_setting, draft=d, n_lookahead=k) for d in p.drafts for k in p.uncached_lookaheads]
    replayed = [replace(cell, session="replayed", attention="sdpa") for cell in grid]
    static = [replace(cell, session="static", attention="sdpa") for cell in (plain, *grid)]
    lookup = [
        Cell(p.target, draft, True, k, "replayed") for draft in (None, p.drafts[0], p.draft) for k in p.lookaheads
    ]
    lookup_timed = [replace(cell, session="static") for cell in lookup]
    frozen = [replace(cell, context="frozen") for cell in replayed if cell.n_lookahead > 1]
    frozen_timed = [
        replace(paper_setting, draft=d, n_lookahead=k, context="frozen") for d in p.drafts for k in p.frozen_lookaheads
    ]
    combinations = [
        Cell(p.target, draft, False, 1 if draft else None, session, attention)
        for draft in (None, p.draft)
        for session in ("uncached", "cached")
        for attention in ("eager", "sdpa")
    ]
    as_published = [
        Cell(p.target, draft, n_lookahead=1 if draft else None, attention=attention)
        for attention in ("sdpa", BETTERTRANSFORMER)
        for draft in (None, p.draft)
    ]
    quantized = [
        Cell(p.target, draft, n_lookahead=1 if draft else None, bits=bits)
        for bits in (32, 16, 8, 4)
        for draft in (None, p.draft)
    ]
    rates = [
        Cell(model, session=session, attention=attention)
        for session, attention in (("uncached", "eager"), ("cached", "sdpa"), ("static", "sdpa"))
        for model in (p.target, *p.drafts)
    ]
    return {
        experiment.name: experiment
        for experiment in (
            Experiment("quality", (Cell(p.target),), p.articles, 1, p.max_new_tokens),
            Experiment("acceptance", tuple(replayed), p.articles, 1, p.max_new_tokens),
            Experiment("rates", tuple(rates), p.timed_articles, p.repeats, p.timed_new_tokens),
            Experiment("table1", (plain, *grid), p.timed_articles, p.repeats, p.max_new_tokens),
            Experiment("table1_uncached", (paper_setting, *again), p.timed_articles, 1, p.timed_new_tokens),
            Experiment("table1_static", tuple(static), p.timed_articles, p.repeats, p.max_new_tokens),
            Experiment("lookup", tuple(lookup), p.articles, 1, p.max_new_tokens),
            Experiment("table1_lookup", (static[0], *lookup_timed), p.timed_articles, p.repeats, p.max_new_tokens),
            Experiment("frozen", tuple(frozen), p.articles, 1, p.max_new_tokens),
            Experiment("table1_frozen", (paper_setting, *frozen_timed), p.timed_articles, 1, p.timed_new_tokens),
            Experiment("table2", tuple(combinations), p.timed_articles, p.repeats, p.timed_new_tokens),
            Experiment("bettertransformer", tuple(as_published), p.articles, 1, p.timed_new_tokens),
            Experiment("quantization", tuple(quantized), p.timed_articles, p.repeats, p.timed_new_tokens),
        )
        if experiment.name != "table1_uncached" or p.uncached_lookaheads
    }


class Study:
    """A profile on a device: its models, its articles and the folder of its results.

    profile: "mini", "quick", "paper" or a Profile of one's own. device: "auto", "cpu" or "cuda". seed: of every
    generation. Raises ValueError for anything else.
    """

    def __init__(
        self, profile: str | Profile = "mini", device: str = "auto", seed: int = 0, folder: Path | None = None
    ):
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"seed must be a whole number of at least 0, not {seed!r}.")
        self.profile = profile if isinstance(profile, Profile) else profile_named(profile)
        self.device = pick_device(device)
        self.seed = seed
        self.environment = environment(
            _device_name(self.device),
            torch.get_num_threads(),
            seed,
            [*map(resolve, (self.profile.target, *self.profile.drafts)), xlsum.origin(self.profile.source)],
        )
        self.results = Results(folder or RUNS / self.profile.name, self.environment["id"])
        self.experiments = experiments_of(self.profile)
        self._loaded = cache(lambda name, attention, bits: load_model(name, attention, bits, self.device))
        self._decoder = cache(self._build)
        self._drafted: tuple = (None, None)  # the last draft and article, and its logits along the text

    def model(self, name: str, attention: str = "sdpa", bits: int = 32) -> LanguageModel:
        """Loaded once, however often it is asked for."""
        return self._loaded(name, attention, bits)

    @cached_property
    def articles(self) -> list[dict]:
        """The articles of the largest experiment: id, title, summary, text."""
        return list(xlsum.load(self.profile.source, n=self.profile.articles))

    @cached_property
    def prompts(self) -> list[list[int]]:
        """The paper's prompt of each article, as token ids."""
        target = self.model(self.profile.target)
        return [target.encode(xlsum.prompt(article, target.tokenizer)) for article in self.articles]

    def plan(self) -> str:
        """What will run, what is there already, and about how long the rest takes."""
        lines = [f"{self.profile.name} on {self.environment['device']}, results in {self.results.folder.name}/"]
        missing = {name: list(self._missing(experiment)) for name, experiment in self.experiments.items()}
        for name, experiment in self.experiments.items():
            lines.append(
                f"  {name}: {len(experiment.cells)} cells x {experiment.articles} articles x {experiment.repeats} = "
                f"{experiment.generations} generations, {len(missing[name])} to run"
            )
        if not any(missing.values()):
            return "\n".join([*lines, "  nothing to run: all of it is measured"])
        pace = self._pace()
        seconds = sum(
            pace[cell.session] * min(experiment.max_new_tokens, TYPICAL_TOKENS)
            for name, experiment in self.experiments.items()
            for cell, *_ in missing[name]
        )
        return "\n".join([*lines, f"  about {max(1, round(seconds / 60))} min"])

    def _pace(self) -> dict[str, float]:
        """Seconds a token of plain decoding in each session, from one short text."""
        target = self.model(self.profile.target)
        pace = {"replayed": 0.0}
        for session in ("cached", "uncached", "static"):
            decoder = AutoregressiveDecoder(target, session=session)
            decoder.generate(self.prompts[0], max_new_tokens=1)
            pace[session] = decoder.generate(self.prompts[0], max_new_tokens=4).seconds / 4
        return pace

    def run(self, name: str) -> None:
        """Run what is missing of one experiment: article by article, all cells in turn."""
        if name not in self.experiments:
            raise ValueError(f"experiment must be one of {', '.join(self.experiments)}, not {name!r}.")
        experiment = self.experiments[name]
        missing = list(self._missing(experiment))
        if not missing:
            return
        self.results.register(self.environment)
        for cell in dict.fromkeys(cell for cell, *_ in missing):
            if cell.session != "replayed":
                self._decode(cell, 0, min(8, experiment.max_new_tokens))  # warm up
        for cell, article, repeat in progress(missing, name):
            generation = self._decode(cell, article, experiment.max_new_tokens)
            self.results.append(self._row(experiment, cell, article, repeat, generation))

    def _missing(self, experiment: Experiment) -> Iterator[tuple[Cell, int, int]]:
        done = self.results.done
        for article in range(min(experiment.articles, len(self.articles))):
            for repeat in range(experiment.repeats):
                for cell in experiment.cells:
                    key = (experiment.name, cell.id, self.articles[article]["id"], repeat, experiment.max_new_tokens)
                    if key not in done:
                        yield cell, article, repeat

    def _decode(self, cell: Cell, article: int, max_new_tokens: int) -> Generation:
        decoder = self._replaying(cell, article) if cell.session == "replayed" else self._decoder(cell)
        return decoder.generate(self.prompts[article], max_new_tokens, seed=self.seed)

    def _build(self, cell: Cell) -> SpeculativeDecoder:
        target = self.model(cell.target, cell.attention, cell.bits)
        if cell == cell.plain:
            return AutoregressiveDecoder(target, session=cell.session)
        model = None
        if cell.draft:
            model = ModelDrafter(self.model(cell.draft, cell.attention, cell.bits), context=cell.context)
        return SpeculativeDecoder(target, _drafter(cell, target, model), cell.n_lookahead, session=cell.session)

    def _replaying(self, cell: Cell, article: int) -> SpeculativeDecoder:
        """A decoder whose target and draft answer from one forward each over the target's own greedy text."""
        target, model = self.model(cell.target), None
        text = self.prompts[article] + self._greedy_tokens[self.articles[article]["id"]]
        beyond = [text[-1]] * (cell.n_lookahead + 1)  # read where a round drafts past the end, and never kept
        certain = torch.nn.functional.one_hot(torch.tensor(text[1:] + beyond), target.vocab_size).to(target.device)
        if cell.draft:
            drafted = self._draft_logits(cell.draft, article)
            model = ModelDrafter(self.model(cell.draft), lambda _: ReplayedSession(drafted), cell.context)
        drafter = _drafter(cell, target, model)
        return SpeculativeDecoder(target, drafter, cell.n_lookahead, session=lambda _: ReplayedSession(certain))

    @cached_property
    def _greedy_tokens(self) -> dict[str, list[int]]:
        """The target's own text of each article, as the quality experiment measured it."""
        self.run("quality")
        return {
            row["prompt"]: row["token_ids"]
            for row in self.results.rows
            if row["experiment"] == "quality" and row["environment"] == self.environment["id"]
        }

    def _draft_logits(self, name: str, article: int) -> Tensor:
        """The draft's logits along prompt and greedy text, and as many rows again for rounds that look past the end."""
        if self._drafted[0] != (name, article):
            draft = self.model(name)
            text = self.prompts[article] + self._greedy_tokens[self.articles[article]["id"]]
            rows = CachedSession(draft).extend(text)
            self._drafted = (name, article), torch.cat([rows, rows[-1:].expand(max(self.profile.lookaheads), -1)])
        return self._drafted[1]

    def _row(self, experiment: Experiment, cell: Cell, article: int, repeat: int, generation: Generation) -> dict:
        model = self.model(cell.target, cell.attention, cell.bits)
        timed = cell.session != "replayed"
        return {
            "environment": self.environment["id"],
            "profile": self.profile.name,
            "experiment": experiment.name,
            "cell": cell.id,
            **asdict(cell),
            "target_revision": model.revision,
            "draft_revision": self.model(cell.draft, cell.attention, cell.bits).revision if cell.draft else None,
            "dtype": model.dtype,
            "temperature": 0.0,
            "prompt": self.articles[article]["id"],
            "repeat": repeat,
            "seed": self.seed,
            "max_new_tokens": experiment.max_new_tokens,
            "token_ids": generation.token_ids,
            "drafted": [len(step.drafted) for step in generation.steps],
            "accepted": [step.accepted for step in generation.steps],
            "kinds": "".join(step.kind[0] for step in generation.steps),  # resampled, bonus, end, plain
            "seconds": generation.seconds if timed else None,
            "prompt_seconds": generation.prompt_seconds if timed else None,
            **score(generation.text, self.articles[article]["summary"]),
        }


def _drafter(cell: Cell, target: LanguageModel, model: ModelDrafter | None) -> Drafter:
    if not cell.lookup:
        return model
    lookup = PromptLookupDrafter(target.vocab_size)
    return FirstDrafter(lookup, model) if model else lookup


def progress(work: list, name: str) -> Iterator:
    """A bar while it lasts; a notebook keeps none of it."""
    yield from tqdm(work, desc=name, mininterval=1, ascii=True)
    if "ipykernel" in sys.modules:
        from IPython.display import clear_output

        clear_output()


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"
