"""What is run where: the embedded models, a quick look at them, or the paper's own."""

from dataclasses import dataclass, replace

from specdec_lib.models import EMBEDDED, GEMMA_DRAFTS, PAPER_SIZES
from specdec_lib.models import GEMMA as GEMMA_TARGET
from specdec_lib.models import PAPER as PAPER_MODELS

MOST_REPEATS = 1_000
ARTICLES = ("articles", "timed_articles", "own_articles")


@dataclass(frozen=True)
class Profile:
    """One set of models, articles and repeats. Every number a notebook's tables depend on stands here."""

    name: str
    target: str
    drafts: tuple[str, ...]
    draft: str  # the one of Table 2 and of the quantization table
    source: str  # of the articles, see xlsum.load
    articles: int  # for acceptance and quality
    timed_articles: int  # of the paper's tables
    own_articles: int  # timed in tables that the paper doesn't have
    repeats: int
    lookaheads: tuple[int, ...]
    uncached_lookaheads: tuple[int, ...]  # of Table 1 in the paper's own session, which takes longest
    uncached_repeats: int
    frozen_lookaheads: tuple[int, ...]  # timed with the draft's context frozen, in the paper's own session
    max_new_tokens: int
    timed_new_tokens: int  # where a whole summary would take too long: everything uncached, quantization, rates
    draws: int  # sampled texts a case, for `frequencies`
    bits: int = 32  # of the target where an experiment doesn't vary them
    precisions: tuple[int, ...] = (32, 16, 8, 4)  # in which speculative and plain texts are compared
    sessions: tuple[str, ...] = ("uncached", "cached", "static")  # the last is the fastest
    experiments: tuple[str, ...] = ()  # that are measured; all of them where none is named
    lookup_lookaheads: tuple[int, ...] = (3, 6)  # beside other libraries: where the text is looked up,
    first_lookaheads: tuple[int | str, ...] = (3,)  # and where a draft is asked after it
    shared_vocabulary: bool = True  # of target and drafts, without which other libraries can't use the drafts
    pickled: tuple[str, ...] = ()  # models whose weights may be pickled, as the user says by their names

    @property
    def fastest(self) -> str:
        """The fastest session of the target."""
        return self.sessions[-1]

    def limited(self, articles: int | None = None, repeats: int | None = None) -> "Profile":
        """The same over the first articles alone, and so many times; None leaves it as it is.

        Raises ValueError below 1 and above MOST_REPEATS.
        """
        for name, value in (("articles", articles), ("repeats", repeats)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")
        if repeats and repeats > MOST_REPEATS:
            raise ValueError(f"repeats must be at most {MOST_REPEATS:,}, not {repeats}.")
        fewer = {name: min(getattr(self, name), articles or 10**9) for name in ARTICLES}
        again = min(self.uncached_repeats, repeats or self.uncached_repeats)
        return replace(self, **fewer, repeats=repeats or self.repeats, uncached_repeats=again)

    def trusting(self, pickled: str) -> "Profile":
        """The same, where the models named, apart by spaces, may have pickled weights. ValueError for other names.

        A model is named as in the profile or as on the hub.
        """
        on_hub = {PAPER_MODELS.get(name, name): name for name in (self.target, *self.drafts)}
        names = tuple(on_hub.get(name, name) for name in pickled.split())
        if unknown := set(names) - {self.target, *self.drafts}:
            models = ", ".join((self.target, *self.drafts))
            raise ValueError(f"{min(unknown)!r} is no model of the profile {self.name}: choose among {models}.")
        return replace(self, pickled=names)


MINI = Profile(
    name="mini",
    target=EMBEDDED[0],
    drafts=tuple(EMBEDDED[1:]),
    draft="mini-draft-4",
    source="embedded",
    articles=100,
    timed_articles=8,
    own_articles=8,
    repeats=2,
    lookaheads=(1, 3, 5, 7),
    uncached_lookaheads=(1, 3),
    uncached_repeats=1,
    frozen_lookaheads=(3, 7),
    max_new_tokens=128,
    timed_new_tokens=24,
    draws=20_000,
)
QUICK = Profile(
    name="quick",
    target=EMBEDDED[0],
    drafts=("mini-draft-1", "mini-draft-4", "mini-draft-5"),
    draft="mini-draft-4",
    source="embedded",
    articles=6,
    timed_articles=2,
    own_articles=2,
    repeats=2,
    lookaheads=(1, 3, 5, 7),
    uncached_lookaheads=(1, 3),
    uncached_repeats=1,
    frozen_lookaheads=(3, 7),
    max_new_tokens=64,
    timed_new_tokens=12,
    draws=1_000,
)
PAPER = Profile(
    name="paper",
    target="409M-xlsum-sft",
    drafts=tuple(f"{size}-xlsum-sft" for size in PAPER_SIZES[:-1]),
    draft="29M-xlsum-sft",
    source="hub",
    articles=889,
    timed_articles=889,
    own_articles=100,
    repeats=5,
    lookaheads=(1, 3, 5, 7),
    uncached_lookaheads=(1, 3, 5, 7),
    uncached_repeats=5,
    frozen_lookaheads=(3, 5, 7),
    max_new_tokens=128,
    timed_new_tokens=128,
    draws=20_000,
)
REPLICA = replace(
    PAPER,
    name="replica",
    target="replica-409M",
    drafts=tuple(f"replica-{size}" for size in PAPER_SIZES[:-1]),
    draft="replica-29M",
    source="embedded",
    articles=100,
    timed_articles=24,
    own_articles=24,
    repeats=2,
    uncached_lookaheads=(1, 3),
    uncached_repeats=1,
    frozen_lookaheads=(3, 7),
    timed_new_tokens=64,
)
"""Stand-ins of the paper's sizes, trained by `data/mini/train.py --sizes paper` where there is a GPU and no hub."""

GEMMA = replace(
    MINI,
    name="gemma",
    target=GEMMA_TARGET,
    drafts=tuple(GEMMA_DRAFTS),
    draft=GEMMA_DRAFTS[-1],
    articles=24,
    timed_articles=12,
    own_articles=12,
    repeats=3,
    lookaheads=(1, 2, 3, 4, 6, 8, 10),
    max_new_tokens=48,
    bits=16,
    precisions=(32, 16),
    sessions=("cached", "auto"),
    experiments=(
        *("forwards", "rounds", "quality", "acceptance", "lookup"),
        *("speed", "table1_static", "table1_lookup", "ties"),
    ),
    lookup_lookaheads=(3, 6, 10),
    first_lookaheads=(3, 6, 10, "auto"),
    shared_vocabulary=False,
)
"""A real model on our articles: Gemma 3 270M in bf16, with drafts over a small part of its vocabulary."""

PROFILES = {profile.name: profile for profile in (MINI, QUICK, PAPER, REPLICA, GEMMA)}


def profile_named(name: str) -> Profile:
    if not isinstance(name, str) or name not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, not {name!r}.")
    return PROFILES[name]
