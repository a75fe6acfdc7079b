"""A study in miniature: tiny random models and a few articles in a folder, and a profile over them."""

import json
from dataclasses import replace
from pathlib import Path

from conftest import perturbed, tiny_module, word_tokenizer

from specdec_lib.profiles import Profile

WORDS = ["<unk>", "</s>", *(f"w{number}" for number in range(58))]
TINY = Profile(
    name="tiny",
    target="mini-target",
    drafts=("mini-draft-1", "mini-draft-4"),
    draft="mini-draft-4",
    source="embedded",
    articles=3,
    timed_articles=2,
    own_articles=2,
    repeats=1,
    lookaheads=(1, 3, 7),
    uncached_lookaheads=(1, 3),
    uncached_repeats=1,
    frozen_lookaheads=(3,),
    max_new_tokens=16,
    timed_new_tokens=4,
    draws=200,
)
"""Of embedded models."""

COMPUTED = ("seconds", "prompt_seconds")
"""The columns that differ from run to run."""


def save_models(folder: Path, **modules) -> dict[str, str]:
    """Models as transformers saves them, each in a folder of its own with one tokenizer; their folders by name."""
    for name, module in modules.items():
        module.save_pretrained(folder / name)
        word_tokenizer(WORDS).save_pretrained(folder / name)
    return {name: str(folder / name) for name in modules}


def save_articles(folder: Path, count: int) -> str:
    """A file of articles, each of other words."""
    file = folder / "articles.jsonl"
    texts = [" ".join(WORDS[2 + (7 * number + place) % 58] for place in range(6)) for number in range(count)]
    rows = [
        {"id": f"a{number}", "title": text[:5], "summary": text[-5:], "text": text} for number, text in enumerate(texts)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def profile_over(target: str, drafts: tuple[str, ...], source: str, articles: int, **others) -> Profile:
    """A profile whose whole study takes seconds."""
    profile = Profile(
        name="miniature",
        target=target,
        drafts=drafts,
        draft=drafts[-1],
        source=source,
        articles=articles,
        timed_articles=articles,
        own_articles=articles,
        repeats=1,
        lookaheads=(1, 3),
        uncached_lookaheads=(1,),
        uncached_repeats=1,
        frozen_lookaheads=(3,),
        max_new_tokens=12,
        timed_new_tokens=4,
        draws=50,
    )
    return replace(profile, **others)


def study_in(folder: Path, articles: int = 2, **others) -> Profile:
    """A profile over a target and two drafts near it, all of them saved in a folder."""
    target = tiny_module("neox", end=1, context=128, hidden_size=64)  # NF4 packs 64 weights a block
    modules = {"target": target, "draft-1": perturbed(target, 0.3), "draft-2": perturbed(target, 0.1)}
    names = save_models(folder, **modules)
    source = save_articles(folder, articles)
    return profile_over(names["target"], (names["draft-1"], names["draft-2"]), source, articles, **others)


def but_for_time(rows: list[dict]) -> list[dict]:
    """Rows without what no two runs have in common."""
    return [{name: value for name, value in row.items() if name not in COMPUTED} for row in rows]
