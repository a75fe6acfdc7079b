"""Japanese ROUGE against scores worked out by hand, and the metric's manners."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from specdec_lib.rouge import JapaneseRouge, JapaneseTokenizer, score


def test_words_are_japanese_words_without_punctuation():
    assert JapaneseTokenizer().tokenize("猫が、魚を「食べる」。\nAI") == ["猫", "が", "魚", "を", "食べる", "ai"]


def test_scores_follow_their_definition():
    # 猫 が 魚 を 食べる | 犬 が 魚 を 見る: three words of five, two pairs of four, in the same order.
    expected = {"rouge1": 3 / 5, "rouge2": 2 / 4, "rougeL": 3 / 5}
    assert score("猫が魚を食べる。", "犬が魚を見る。") == pytest.approx(expected)


def test_order_counts_for_rouge_l_alone():
    # 猫 と 犬 | 犬 と 猫: all words, no pair, the longest common subsequence is one word.
    assert score("猫と犬", "犬と猫") == pytest.approx({"rouge1": 1, "rouge2": 0, "rougeL": 1 / 3})


def test_f_measure_weighs_precision_and_recall():
    # 魚 | 猫 が 魚 を 食べる: precision 1, recall 1/5.
    assert score("魚", "猫が魚を食べる")["rouge1"] == pytest.approx(2 * (1 / 5) / (1 + 1 / 5))


def test_width_and_case_make_no_difference():
    assert score("ＡＩが２０％のｶﾒﾗに", "aiが20%のカメラに") == {"rouge1": 1, "rouge2": 1, "rougeL": 1}


@pytest.mark.parametrize(("prediction", "reference"), [("", "猫"), ("猫", ""), ("", ""), ("。", "。")])
def test_no_words_score_nothing(prediction, reference):
    assert score(prediction, reference) == {"rouge1": 0, "rouge2": 0, "rougeL": 0}


def test_metric_is_the_mean_of_its_pairs():
    pairs = {"猫が魚を食べる。": "犬が魚を見る。", "猫と犬": "犬と猫", "": "猫"}
    result = JapaneseRouge().compute(predictions=list(pairs), references=list(pairs.values()))
    scores = [score(*pair) for pair in pairs.items()]
    assert result == pytest.approx({name: sum(each[name] for each in scores) / 3 for name in scores[0]})


def test_metric_takes_pairs_in_batches():
    rouge = JapaneseRouge()
    rouge.add_batch(predictions=["猫と犬"], references=["犬と猫"])
    rouge.add(prediction="猫", reference="猫")
    assert rouge.compute()["rougeL"] == pytest.approx((1 / 3 + 1) / 2)


def test_bad_input_is_refused_and_forgotten():
    rouge = JapaneseRouge()
    with pytest.raises(ValueError, match="nothing to score"):
        rouge.compute(predictions=[], references=[])
    with pytest.raises(ValueError, match="Mismatch in the number of predictions"):
        rouge.compute(predictions=["猫", "犬"], references=["猫"])
    assert rouge.compute(predictions=["猫"], references=["猫"])["rouge1"] == 1


def test_metric_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    JapaneseRouge().compute(predictions=["猫"], references=["犬"])
    assert list(tmp_path.iterdir()) == []


def test_metrics_run_side_by_side():
    def run(i):
        references = ["猫と犬" if i % 2 else "山"] * 20
        return JapaneseRouge().compute(predictions=["猫と犬"] * 20, references=references)["rouge1"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(16))) == [i % 2 for i in range(16)]


def test_two_unfinished_metrics_do_not_mix():
    first, second = JapaneseRouge(), JapaneseRouge()
    first.add(prediction="猫", reference="猫")
    second.add(prediction="猫", reference="犬")
    assert (first.compute()["rouge1"], second.compute()["rouge1"]) == (1, 0)
