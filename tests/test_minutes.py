"""What the course says of its time is the same wherever it is said."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"en": ROOT / "notebooks", "ja": ROOT / "notebooks" / "ja"}
EXERCISE = {"en": r"· (\d+) minutes · difficulty", "ja": r"· (\d+)分 · 難易度"}
COUNTS = {"two": 2, "three": 3, "five": 5, "seven": 7}


@pytest.mark.parametrize("lang", FOLDERS)
def test_minutes_add_up(lang):
    start = (ROOT / "book" / f"index.{lang}.md").read_text(encoding="utf-8")
    chapters = re.findall(r"\((\w+\.ipynb)\) \|.*\| (\d+) \+ (\d+) \|", start)
    assert len(chapters) == 4
    for name, reading, exercises in chapters:
        cells = nbformat.read(FOLDERS[lang] / name, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        minutes = [int(each) for each in re.findall(EXERCISE[lang], text)]
        assert _stated(lang, text) == (int(reading), int(exercises), len(minutes)), name
        assert sum(minutes) == int(exercises), name
    totals = [sum(int(chapter[place]) for chapter in chapters) for place in (1, 2)]
    assert re.search("{} (and|\\+) {}".format(*totals), start)


def _stated(lang: str, text: str) -> tuple[int, int, int]:
    """What a notebook's head says: minutes of reading and of exercises, and how many there are of these."""
    if lang == "ja":
        reading, count, minutes = re.search(r"読むのに(\d+)分、(\d+)つの演習に(\d+)分", text).groups()
        return int(reading), int(minutes), int(count)
    reading, minutes, count = re.search(r"(\d+)\s+minutes to read, (\d+) minutes for the (\w+)", text).groups()
    return int(reading), int(minutes), COUNTS[count]
