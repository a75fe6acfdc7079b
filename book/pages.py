"""What each page says about itself, in its language: where its notebook is, and the same page in the other language."""

from pathlib import Path

from sphinx.application import Sphinx

WORDS = {
    "en": {
        "language": "English",
        "this_page": "This page elsewhere",
        "notebook": "Notebook",
        "made_of": "A notebook with its saved outputs; this page runs no Python.",
        "made_of_report": "Made from RESULTS.md, which is worked out from measured rows.",
        "search": "Search",
        "found": "Sections with “{1}”: {0}",
        "nothing": "No section has “{1}”.",
        "ask": "Write what to look for; several words must all be in the same section.",
        "open": "Enlarge the figure",
        "close": "Close",
    },
    "ja": {
        "language": "日本語",
        "this_page": "このページの別の形",
        "notebook": "ノートブック",
        "made_of": "ノートブックと、保存された出力のページです。ここでは Python は動きません。",
        "made_of_report": "測定結果から作られる RESULTS.md をもとにしたページです。",
        "in_english": "この付録は英語です。",
        "search": "検索",
        "found": "「{1}」を含む節：{0} 件",
        "nothing": "「{1}」を含む節は見つかりませんでした。",
        "ask": "検索する語を入力してください。空白で区切ると、すべての語を含む節を探します。",
        "open": "図を拡大する",
        "close": "閉じる",
    },
}
THEME = {  # what Furo has in English alone
    'aria-label="Toggle site navigation sidebar"': 'aria-label="目次の表示を切り替える"',
    'aria-label="Toggle table of contents sidebar"': 'aria-label="このページの目次の表示を切り替える"',
    'aria-label="Toggle Light / Dark / Auto color theme"': 'aria-label="配色（ライト・ダーク・自動）を切り替える"',
    "<title>Contents</title>": "<title>目次</title>",
    "<title>Menu</title>": "<title>メニュー</title>",
    "<title>Expand</title>": "<title>開く</title>",
    "<title>Light mode</title>": "<title>ライトモード</title>",
    "<title>Dark mode</title>": "<title>ダークモード</title>",
    "<title>Auto light/dark, in light mode</title>": "<title>自動（現在はライトモード）</title>",
    "<title>Auto light/dark, in dark mode</title>": "<title>自動（現在はダークモード）</title>",
}


def describe(app: Sphinx, name: str, template: str, context: dict, doctree) -> None:
    language = app.config.language
    other = "ja" if language == "en" else "en"
    notebook = f"{name}.ipynb"
    context["words"] = WORDS[language]
    context["other"] = {"code": other, "name": WORDS[other]["language"], "page": f"../{other}/{name}.html"}
    context["notebook"] = notebook if (Path(app.srcdir) / notebook).exists() else None
    context["localised"] = _japanese if language == "ja" else str


def _japanese(html: str) -> str:
    for english, japanese in THEME.items():
        html = html.replace(english, japanese)
    return html


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
