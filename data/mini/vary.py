"""Make more of a few natural articles: the same ones with other names and numbers, and patchworks nobody has read."""

import re
from collections import Counter, defaultdict
from random import Random

from compose import KATAKANA, LEXICON, coin

NUMBER = re.compile(r"(\d+(?:\.\d+)?)(?=(.?))")  # with the character that follows it, its unit
FAMILY = re.compile("|".join(sorted(LEXICON["family"], key=len, reverse=True)))
CITY = re.compile("|".join(row.split()[0] for row in LEXICON["city"]["rows"]))


class Variations:
    """Other names and numbers for natural articles, the same ones in an article's title, summary and text.

    Numbers are exchanged for numbers found before the same unit, katakana words for words as rare as they are.
    """

    def __init__(self, rows: list[dict]):
        self.rows = rows
        words = Counter(word for row in rows for word in set(KATAKANA.findall(row["text"])))
        self.names = sorted(word for word, articles in words.items() if articles <= 2)
        self.numbers: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            for number, unit in NUMBER.findall(row["text"]):
                self.numbers[unit].append(number)

    def vary(self, row: dict, rng: Random) -> dict:
        told: dict[tuple, str] = {}
        names, rare = self.names, set(self.names)

        def another(pool: list[str], *key: str) -> str:
            return told.setdefault(key, rng.choice(pool))

        def name(match: re.Match) -> str:
            if match[0] not in rare:
                return match[0]
            return told.setdefault((match[0],), coin(rng) if rng.random() < 0.5 else rng.choice(names))

        def exchange(text: str) -> str:
            text = FAMILY.sub(lambda m: another(LEXICON["family"], m[0]), text)
            text = CITY.sub(lambda m: another(LEXICON["city"]["rows"], m[0]).split()[0], text)
            text = NUMBER.sub(lambda m: another(self.numbers.get(m[2]) or [m[1]], *m.groups()), text)
            return KATAKANA.sub(name, text)

        return {**row, **{part: exchange(row[part]) for part in ("title", "summary", "text")}}

    def varied(self, times: int, seed: int) -> list[dict]:
        """Every article `times` times, each time with other names and numbers."""
        rng = Random(seed)
        return [self.vary(row, rng) for _ in range(times) for row in self.rows]

    def patchworks(self, count: int, seed: int) -> list[dict]:
        """Prompts without a known answer: one article's title over paragraphs of others, names and numbers varied."""
        rng = Random(seed)
        rows = []
        for _ in range(count):
            titled, led, *told = rng.sample(self.rows, 4)
            if rng.random() < 0.5:
                led = titled
            lead = led["text"].split("\n")[0]
            rest = [rng.choice(row["text"].split("\n")[1:] or [""]) for row in [*told, titled]]
            text = "\n".join([lead, *rng.sample(rest, len(rest))])
            rows.append(self.vary({"title": titled["title"], "summary": "", "text": text}, rng))
        return rows
