"""The time of a round: draft, verification, and plain decoding beside them."""

from collections.abc import Mapping
from functools import partial
from itertools import accumulate, pairwise

import pandas as pd

from specdec_lib import tables, theory
from specdec_lib.explore.explorable import Explorable, View
from specdec_lib.explore.panel import DRAFT, TARGET, Panel
from specdec_lib.explore.values import acceptance_rates, short
from specdec_lib.language import say
from specdec_lib.results import Results

REST = "#9a9a9a"
CLOSE = 0.05
"""How near 1 a ratio of medians must be for their uncertainty to decide it, of measurements like these."""


def round(results: Results) -> Explorable:
    """The timeline of a round beside plain decoding, for each session, draft and n_lookahead that was timed.

    Medians of the parts of a round and of a plain token in the same session and turn; tokens a round: E(α, k) with α
    the pooled acceptance at n_lookahead 1. `Missing` where rounds or acceptance were not measured.
    """
    alphas = acceptance_rates(results)
    parts = results.frame("rounds").groupby(["session", "draft", "n_lookahead"], sort=False)
    parts = 1000 * parts[["draft_seconds", "verify_seconds", "round_seconds"]].median()
    sessions = []
    for name, of_session in parts.groupby("session", sort=False):
        drafts = []
        for draft, rows in of_session.groupby("draft", sort=False):
            if draft in alphas and (timed := _rounds(rows.droplevel(["session", "draft"]), alphas[draft])):
                drafts.append({"name": draft, "alpha": alphas[draft], "rounds": timed})
        if drafts:
            span = 1.02 * max(_end(each) for draft in drafts for each in draft["rounds"])
            sessions.append({"name": name, "span": short(span), "drafts": drafts})
    tables.some(pd.DataFrame(sessions), "rounds")
    return Explorable("round", partial(_view, sessions))


def _rounds(parts: pd.DataFrame, alpha: float) -> list[dict]:
    """Milliseconds of a plain token and of a round's parts, and tokens a round, for each n_lookahead."""
    if 0 not in parts.index:
        return []
    plain = parts.loc[0, "round_seconds"]
    return [
        {
            "k": int(k),
            "plain": short(plain),
            "draft": short(row["draft_seconds"]),
            "verify": short(row["verify_seconds"]),
            "round": short(row["round_seconds"]),
            "tokens": short(theory.expected_tokens(alpha, k)),
        }
        for k, row in parts.iterrows()
        if k > 0
    ]


def _end(part: Mapping[str, float]) -> float:
    """When the last of it is over: a round, its forwards, or as many tokens by plain decoding."""
    return max(part["round"], part["draft"] + part["verify"], part["tokens"] * part["plain"])


def _view(sessions: list[dict]) -> View:
    line = say(
        "The time of a round: draft, verify, and whether plain decoding would have been there first",
        "1ラウンドの時間：ドラフト、検証、そして通常のデコーディングとの競走",
    )
    places = [each["k"] for each in sessions[0]["drafts"][0]["rounds"]]
    data = {
        "sessions": sessions,
        "close": CLOSE,
        "start": {"session": 0, "draft": 0, "place": places.index(3) if 3 in places else 0},
        "words": {
            "session": say("session", "セッション"),
            "draft": say("draft model", "ドラフトモデル"),
            "k": say("tokens drafted a round", "先読み数"),
            "plain": say("plain decoding, token by token", "通常のデコーディング（1トークンずつ）"),
            "round": say("one round, k = {k}", "1ラウンド（k = {k}）"),
            "done": say("{tokens} tokens after {ms} ms", "{ms} ms で {tokens} トークン"),
            "axis": say("milliseconds", "ミリ秒"),
            "ahead": say("▲ Speculative decoding is ahead: ×{times}", "▲ 投機的デコーディングのほうが速い：{times}倍"),
            "behind": say(
                "▼ Plain decoding is ahead (speculative: ×{times})",
                "▼ 通常のデコーディングのほうが速い（投機的デコーディングは{times}倍）",
            ),
            "close": say(" (too close to call)", "（誤差の範囲内で、どちらとも言えません）"),
            "said": say(
                "At an acceptance of {alpha}, a round of k = {k} takes {whole} ms and adds {tokens} tokens on average:"
                " {each} ms a token. Plain decoding takes {plain} ms a token.",
                "受理率 {alpha} では、k = {k} の1ラウンドは {whole} ms かかり、平均 {tokens} トークン増えます。"
                "1トークンあたり {each} ms です。通常のデコーディングでは {plain} ms です。",
            ),
            "apart": say(
                " (The forwards were timed apart from the round; here their medians add up to more than it.)",
                "（フォワードの時間はラウンド全体とは別に測ったので、ここでは中央値の和がラウンドより長くなっています。）",
            ),
            "key": say(
                "d draft · v verify · r the rest of the round. Dashed line: plain decoding has written as many tokens.",
                "d ドラフト · v 検証 · r その他。破線：通常のデコーディングが同じ数のトークンを書き終える時点。",
            ),
            "still": say("All drafts at a glance", "全ドラフトモデルの一覧"),
        },
    }
    key = say(
        "d draft · v verify · r the rest of the round.\n"
        "Dashed line: plain decoding has written as many tokens. ▲ The round is ahead of it, ▼ behind it,"
        " ≈ too close to call.",
        "d ドラフト · v 検証 · r その他\n"
        "破線：通常のデコーディングが同じ数のトークンを書き終える時点。▲ ラウンドのほうが速い、▼ 遅い、"
        "≈ どちらとも言えない。",
    )
    return View(line, key, data, [_timeline(session) for session in sessions])


def _timeline(session: dict) -> Panel:
    """A row for each draft: its round at k = 3, or at the smallest k that was timed."""
    drafts = session["drafts"]
    chosen = [next((r for r in draft["rounds"] if r["k"] == 3), draft["rounds"][0]) for draft in drafts]
    end = max(map(_end, chosen))
    size = (290, 74 + 32 * len(drafts))
    panel = Panel(f"{session['name']}, k = {chosen[0]['k']}", (0, 1.02 * end), (len(drafts), 0), size, (84, 62))
    step = next((s for s in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if end / s <= 5), end / 4)
    ticks = {i * step: f"{i * step:g}" for i in range(int(end / step) + 1)}
    panel.axes(ticks, {}, say("milliseconds", "ミリ秒"))
    for i, (draft, at) in enumerate(zip(drafts, chosen, strict=True)):
        starts = [*accumulate([at["draft"] / at["k"]] * at["k"], initial=0.0)]
        for start, stop in pairwise(starts):
            panel.box((start, i + 0.2), (stop, i + 0.8), DRAFT, "d", "#222222", "#ffffff")
        verified = at["draft"] + at["verify"]
        panel.box((at["draft"], i + 0.2), (verified, i + 0.8), TARGET, "v", "#ffffff", "#ffffff")
        panel.box((verified, i + 0.2), (at["round"], i + 0.8), REST, "r", "#222222", "#ffffff")
        gain = at["tokens"] * at["plain"] / at["round"]
        sign = "≈" if abs(gain - 1) <= CLOSE else "▲" if gain > 1 else "▼"
        panel.line([(at["tokens"] * at["plain"], i + edge) for edge in (0.02, 0.98)], width=2, dash="4 3")
        panel.words(0, i + 0.5, draft["name"], (-6, 4), "end")
        panel.words(1.02 * end, i + 0.5, f"{sign} ×{gain:.2f}", (2, 4))
    return panel
