"""An article and its summaries stand under labels in the reader's language; their text stays text."""

from specdec_lib import language, showing

WRITTEN = {"big": "東京で雪。", "small": "<b>雪</b>"}


def test_summaries_name_their_writers():
    shown = showing.summaries("都心で初雪。", WRITTEN).data
    assert all(label in shown for label in ("Reference", "Target: big", "Draft: small"))
    assert "&lt;b&gt;雪&lt;/b&gt;" in shown


def test_labels_are_japanese_where_the_page_is():
    with language.spoken("ja"):
        shown = showing.summaries("都心で初雪。", WRITTEN).data
        article = showing.article({"title": "初雪", "text": "都心で雪が降った。"}).data
    assert all(label in shown for label in ("参照要約", "ターゲットモデル：big", "ドラフトモデル：small"))
    assert "見出し" in article
    assert "Title" not in article
