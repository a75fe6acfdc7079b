"""Compose fictional Japanese news from a data-to-text grammar: facts are drawn, then told as article and as lead.

    python compose.py 3               three articles
    python compose.py --check         draw every event many times and name what breaks the rules of `problems`

An event (grammar/*.toml) names its facts and gives phrasings:

    {fact} {fact.field}   a fact's value         [a|b|]   one of several wordings, nestable, maybe empty
    "3-20"  "0.8-3.5"     a number and its decimals     "1200-9800/100"      in steps of 100
    "= people // 2"       worked out from other facts   ["…", "…"]           one of these
    "city"                a row of the lexicon          "coined", "person"   names made up on the spot
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from random import Random

HERE = Path(__file__).parent / "grammar"
LEXICON = tomllib.loads((HERE / "lexicon.toml").read_text(encoding="utf-8"))
EVENTS = [
    event
    for path in sorted(HERE.glob("*.toml"))
    if path.name != "lexicon.toml"
    for event in tomllib.loads(path.read_text(encoding="utf-8"))["event"]
]

RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)(?:/(\d+))?")
CHOICE = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:億\d*|万\d*)?")
KATAKANA = re.compile(r"[ァ-ヴー]{3,}")


def spell(value) -> str:
    """A number as newspapers print it: 12500 as 1万2500, 3.0 as 3."""
    if not isinstance(value, int) or value < 10_000:
        return f"{value:g}"
    units = [(100_000_000, "億"), (10_000, "万"), (1, "")]
    out = ""
    for size, name in units:
        count, value = divmod(value, size)
        out += f"{count}{name}" if count else ""
    return out


def coin(rng: Random) -> str:
    """A katakana name that exists nowhere, so that it can only be copied, never remembered."""
    morae = LEXICON["coined"]["morae"]
    name = "".join(rng.choice(morae) for _ in range(rng.randint(2, 4)))
    return re.sub("ー+", "ー", name + rng.choice(LEXICON["coined"]["endings"]))


def lookup(name: str, rng: Random) -> dict:
    """A row of the lexicon as {field: value}; its first field stands for the row."""
    if name == "coined":
        return {"name": coin(rng)}
    if name == "person":
        family, given = rng.choice(LEXICON["family"]), rng.choice(LEXICON["given"])
        return {"family": family, "full": family + given, "age": str(rng.randint(19, 88))}
    if name == "foreigner":
        given = coin(rng) if rng.random() < 0.3 else rng.choice(LEXICON["foreign_given"])
        family = coin(rng) if rng.random() < 0.5 else rng.choice(LEXICON["foreign_family"])
        return {"family": family, "full": f"{given}・{family}", "age": str(rng.randint(22, 81))}
    table = LEXICON[name]
    return dict(zip(table["fields"], rng.choice(table["rows"]).split(), strict=True))


def draw(definition, facts: dict, rng: Random):
    """One fact's value from its definition."""
    if isinstance(definition, list):
        return rng.choice(definition)
    if "{" in definition and not definition.startswith("="):
        return definition
    if definition.startswith("="):
        return eval(definition[1:], {"round": round, "min": min, "max": max}, facts)  # our own grammar's, no one else's
    if bounds := RANGE.fullmatch(definition):
        low, high, step = bounds.groups()
        if "." not in low:
            return rng.randrange(int(low), int(high) + 1, int(step or 1))
        decimals = len(low.split(".")[1])
        return round(rng.uniform(float(low), float(high)), decimals)
    return lookup(definition, rng)


def fill(template: str, facts: dict, rng: Random) -> str:
    """Settle every choice, then every slot, until none is left."""
    while CHOICE.search(template):
        template = CHOICE.sub(lambda m: rng.choice(m[1].split("|")), template, count=1)

    def value(match: re.Match) -> str:
        fact, field = facts[match[1]], match[2]
        if isinstance(fact, dict):
            return fact[field] if field else next(iter(fact.values()))
        return fill(fact, facts, rng) if isinstance(fact, str) else spell(fact)

    return SLOT.sub(value, template)


def tell(event: dict, rng: Random) -> dict:
    """One article of this event: topic, title, summary, text."""
    facts: dict = {}
    for name, definition in event["facts"].items():
        value = draw(definition, facts, rng)
        facts[name] = fill(value, facts, rng) if isinstance(value, str) else value
    paragraphs = [
        "".join(fill(rng.choice(sentence), facts, rng) for sentence in paragraph) for paragraph in event["text"]
    ]
    return {
        "topic": event["topic"],
        "title": fill(rng.choice(event["title"]), facts, rng),
        "summary": fill(rng.choice(event["summary"]), facts, rng),
        "text": "\n".join(paragraphs),
    }


def articles(seed: int):
    """Articles without end, the same for the same seed."""
    rng = Random(seed)
    while True:
        yield tell(rng.choice(EVENTS), rng)


def problems(article: dict) -> list[str]:
    """What is wrong with an article: lengths out of range, or a number or katakana word told only in the summary."""
    found = [
        f"{part} has {len(article[part])} characters: {article[part]}"
        for part, low, high in [("title", 10, 36), ("summary", 40, 115), ("text", 240, 560)]
        if not low <= len(article[part]) <= high
    ]
    numbers = set(NUMBER.findall(article["summary"])) - set(NUMBER.findall(article["text"]))
    words = [w for w in KATAKANA.findall(article["summary"]) if w not in article["text"]]
    found += [f"only in the summary: {fact}" for fact in [*numbers, *words]]
    found += [f"left open: {part}" for part in article.values() if set(part) & set("{}[]|")]
    return found


def check(draws: int = 60) -> int:
    """Print each event that breaks a rule, with its first problem and how often; the count of such events."""
    bad = 0
    for event in EVENTS:
        rng = Random(event["kind"])
        found = [p for _ in range(draws) for p in problems(tell(event, rng))]
        if found:
            bad += 1
            print(f"{event['topic']}/{event['kind']}: {len(found)} in {draws} draws, first: {found[0]}")
    print(f"{len(EVENTS)} events, {bad} with problems")
    return bad


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(check() > 0)
    stream = articles(seed=0)
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        print(json.dumps(next(stream), ensure_ascii=False, indent=1))
