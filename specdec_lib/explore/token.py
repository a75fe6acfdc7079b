"""The acceptance of one drafted token: two distributions, their overlap and the residual."""

from collections.abc import Sequence
from functools import partial

from specdec_lib.explore.explorable import Explorable, View
from specdec_lib.explore.panel import TARGET, Panel
from specdec_lib.explore.values import short
from specdec_lib.language import say
from specdec_lib.pieces import visible

REPLACED, REJECTED = "#b39ddb", "#d0573a"


def token(target: Sequence[float], draft: Sequence[float], words: Sequence[str]) -> Explorable:
    """How one drafted token is accepted or replaced: overlap, residual, rounds played by chance.

    target, draft: a probability (or any weight of at least 0) for each of the words, two or more. ValueError where they
    don't fit together.
    """
    if not len(target) == len(draft) == len(words) >= 2:
        raise ValueError(
            "token takes two words or more, and for each a weight of the target and one of the draft: "
            f"there are {len(words)} words, {len(target)} and {len(draft)} weights."
        )
    given = _distribution(target, "target"), _distribution(draft, "draft")
    return Explorable("token", partial(_view, [visible(word) for word in words], *given))


def _distribution(weights: Sequence[float], whose: str) -> list[float]:
    total = sum(weights)
    if not 0 < total < float("inf") or min(weights) < 0:
        raise ValueError(f"The weights of the {whose} must be at least 0 and not all 0, not {list(weights)}.")
    return [short(weight / total) for weight in weights]


def _view(words: list[str], target: list[float], draft: list[float]) -> View:
    line = say(
        "One drafted token: accepted with probability min(1, target / draft), else replaced from the residual",
        "提案された1トークン：確率 min(1, ターゲットモデル / ドラフトモデル) で受理し、棄却したら残差分布から引き直す",
    )
    presets = [
        {"name": say(name, japanese.format(*named)).format(*named), "target": ours, "draft": theirs}
        for name, japanese, ours, theirs, *named in _presets(words, target, draft)
    ]
    data = {
        "names": words,
        "presets": presets,
        "words": {
            "presets": say("examples", "例"),
            "word": say("word", "語"),
            "target": say("target", "ターゲット\u200bモデル"),
            "draft": say("draft", "ドラフト\u200bモデル"),
            "target_of": say("target’s probability of {word}", "ターゲットモデルが {word} に与える確率"),
            "draft_of": say("draft’s probability of {word}", "ドラフトモデルが {word} に与える確率"),
            "chance": say("accepted with", "受理確率"),
            "residual": say("residual", "残差分布"),
            "overlap": say(
                "Acceptance α = overlap = {alpha}; rejected {rest}", "受理率 α = 重なり = {alpha}、棄却 {rest}"
            ),
            "rule": say("The two distributions, laid over each other", "2つの分布を重ねる"),
            "drawn": say("What comes out when rounds are played", "ラウンドを実行したときに出る語"),
            "probability": say("probability", "確率"),
            "share": say("share of outcomes", "出た割合"),
            "key": say(
                "Solid line: target = ✓ + ＋. Dashed line: draft = ✓ + ✗.\n"
                "✓ accepted · ✗ rejected · ＋ drawn from the residual instead. As much is rejected as is missing.",
                "実線：ターゲットモデル = ✓ + ＋。破線：ドラフトモデル = ✓ + ✗。\n"
                "✓ 受理 · ✗ 棄却 · ＋ 代わりに残差分布から引いた分。棄却された量と足りない量は等しくなります。",
            ),
            "one": say("Draw one", "1回引く"),
            "thousand": say("Draw 1000", "1000回引く"),
            "again": say("Start again", "最初から"),
            "start": say(
                "Draw, and see what one round does; draw 1000, and the outcomes follow the target, whatever the draft.",
                "1回引くと1ラウンドの様子がわかります。1000回引くと、どんなドラフトモデルでも、結果はターゲットモデルの分布に従います。",
            ),
            "accepted": say(
                "The draft says “{word}”. Random number {random}, below {chance}: accepted ✓.",
                "ドラフトモデルの提案は「{word}」。乱数 {random} は {chance} より小さいので受理 ✓。",
            ),
            "rejected": say(
                "The draft says “{word}”. Random number {random}, not below {chance}: rejected ✗. The residual gives"
                " “{other}” ＋.",
                "ドラフトモデルの提案は「{word}」。乱数 {random} は {chance} 以上なので棄却 ✗。"
                "残差分布から「{other}」を引きました ＋。",
            ),
            "many": say(
                "{draws} draws. Share accepted: {share} (α = {alpha}). No word is further than {far} from the target.",
                "{draws} 回中、受理の割合は {share}（α = {alpha}）。"
                "ターゲットモデルの確率との差はどの語でも {far} 以下です。",
            ),
            "still": say("At a glance", "一覧"),
        },
    }
    shown = [preset for preset in presets if preset is not presets[1]]
    return View(line, data["words"]["key"], data, [_overlay(words, preset) for preset in shown])


def _presets(words: list[str], target: list[float], draft: list[float]) -> list[tuple]:
    """Name in English and Japanese, target, draft, and what the name speaks of."""
    rising = sorted(range(len(words)), key=target.__getitem__)
    opposite = [0.0] * len(words)
    for word, other in zip(rising, reversed(rising), strict=True):
        opposite[word] = target[other]
    favourite = rising[-1]
    others = [i != favourite for i in range(len(words))]
    left = [p * other for p, other in zip(draft, others, strict=True)]
    never = _distribution(left if any(left) else others, "draft")
    flat = _distribution([1] * len(words), "draft")
    sharp = [0.85 if i == favourite else 0.15 / (len(words) - 1) for i in range(len(words))]
    return [
        ("as given", "最初の分布", target, draft),
        ("the same", "同じ分布", target, target),
        ("opposite", "逆の分布", target, opposite),
        ("a draft that never says “{}”", "「{}」を提案しないドラフトモデル", target, never, words[favourite]),
        ("sharp target, flat draft", "ターゲットモデルは鋭く、ドラフトモデルは平らな分布", sharp, flat),
    ]


def _overlay(words: list[str], preset: dict) -> Panel:
    """Both distributions over each other: accepted, rejected, missing."""
    pairs = list(zip(preset["target"], preset["draft"], strict=True))
    top = 1 if max(map(max, pairs)) > 0.6 else 0.6
    overlap = sum(map(min, pairs))
    panel = Panel(f"{preset['name']}: α = {overlap:.2f}", (0, len(words)), (0, top), (400, 230))
    names = {i + 0.5: word if len(word) <= 6 else f"{word[:5]}…" for i, word in enumerate(words)}
    panel.axes(names, {i / 5: f"{i / 5:g}" for i in range(int(top * 5) + 1)})
    for i, (target, draft) in enumerate(pairs):
        common = min(target, draft)
        panel.box((i + 0.25, 0), (i + 0.75, common), TARGET, "✓", "#ffffff")
        panel.box((i + 0.25, common), (i + 0.75, target), REPLACED, "＋", "#222222")
        panel.box((i + 0.25, common), (i + 0.75, draft), "none", "✗", REJECTED, REJECTED)
        panel.line([(i + 0.15, draft), (i + 0.85, draft)], "#c07f16", 2.5, "5 3")
        panel.line([(i + 0.15, target), (i + 0.85, target)], width=2.5)
    return panel
