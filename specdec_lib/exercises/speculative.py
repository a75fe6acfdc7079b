"""The exercises of notebook 2: the rule, the cache, and the law of what comes out."""

from collections import defaultdict
from dataclasses import dataclass
from math import isclose

import torch
from torch import Tensor
from transformers import GenerationMixin, GPT2Config, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from specdec_lib import theory
from specdec_lib.decoders import SpeculativeDecoder
from specdec_lib.enumeration import branches, law, merged_law, target_law
from specdec_lib.exercises.given import FunctionDrafter, ToyCache
from specdec_lib.exercises.judging import Miss, expect
from specdec_lib.language import say
from specdec_lib.models import as_language_model
from specdec_lib.sampling import Chance, Sampling, residual_distribution


@dataclass(frozen=True)
class Pair:
    """Two distributions over a few words, and what is special about them."""

    english: str
    japanese: str
    target: tuple[float, ...]
    draft: tuple[float, ...]

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """Target and draft (vocabulary,), new ones each time: an answer may write into them."""
        return torch.tensor(self.target, dtype=torch.float64), torch.tensor(self.draft, dtype=torch.float64)

    @property
    def alpha(self) -> float:
        return sum(map(min, self.target, self.draft))

    def __str__(self) -> str:
        target, draft = _shown(self.target), _shown(self.draft)
        return say(
            f"{self.english} (target = {target}, draft = {draft})",
            f"{self.japanese}（target = {target}、draft = {draft}）",
        )


SKEWED, FLAT = (0.7, 0.2, 0.1), (1 / 3, 1 / 3, 1 / 3)
PAIRS = (
    Pair("the five words of 2.1", "2.1 の5語", (0.3, 0.4, 0.1, 0.1, 0.1), (0.5, 0.2, 0.2, 0.1, 0.0)),
    Pair("a draft that knows nothing", "何も知らない一様なドラフトモデル", SKEWED, FLAT),
    Pair("a draft certain of the likeliest word", "最有力の語に確率1を与えるドラフトモデル", SKEWED, (1.0, 0.0, 0.0)),
    Pair("a draft of the opposite opinion", "正反対の予想をするドラフトモデル", SKEWED, SKEWED[::-1]),
    Pair(
        "a draft certain of a word that the target never writes",
        "ターゲットモデルが決して書かない語に確率1を与えるドラフトモデル",
        (0.0, 0.25, 0.75),
        (1.0, 0.0, 0.0),
    ),
    Pair("the target as its own draft", "ターゲットモデル自身をドラフトモデルにした場合", SKEWED, SKEWED),
)


def acceptance_rate(answer) -> str:
    """Of target (0.6, 0.3, 0.1) and draft (0.2, 0.3, 0.5)."""
    value = _number(answer)
    _no_mistake(
        value,
        (
            11 / 15,
            "0.733 is the plain mean of the three acceptance probabilities 1, 1 and 0.2. But the words are not "
            "drafted equally often: weigh each by draft(x).",
            "0.733 は3つの受理確率 1、1、0.2 の単純な平均です。しかし、3語が提案される頻度は同じではありません。"
            "draft(x) で重みを付けてください。",
        ),
        (
            0.92,
            "0.92 weighs the acceptance probabilities by the target. It is the draft that proposes: weigh by draft(x).",
            "0.92 はターゲットモデルの確率で重みを付けた値です。提案するのはドラフトモデルなので、"
            "draft(x) で重みを付けてください。",
        ),
        (
            0.26,
            "0.26 is how often two independent draws agree. The rule draws once, and then keeps the word far more "
            "often than that.",
            "0.26 は、両者が別々に引いた語がたまたま一致する確率です。この規則では一度だけ引き、"
            "その語をもっと高い確率で残します。",
        ),
        (
            0.4,
            "0.4 is what is rejected: the part of the draft that sticks out over the target.",
            "0.4 は棄却される割合、つまりドラフトモデルがターゲットモデルからはみ出した部分です。",
        ),
    )
    expect(
        isclose(value, 0.6, abs_tol=1e-3),
        f"Not {value:.3g} yet. Each word adds min(target(x), draft(x)): write the three minima down and add them up.",
        f"{value:.3g} ではありません。各語は min(target(x), draft(x)) だけ寄与します。"
        "3つの最小値を書き出して、足してみましょう。",
    )
    return say(
        "Right: 0.2 + 0.3 + 0.1 = 0.6. What is missing to 1 is the distance between the two distributions (total "
        "variation). So a draft is accepted exactly as often as it is close to the target, and size alone buys "
        "nothing.",
        "正解です。0.2 + 0.3 + 0.1 = 0.6 です。1 に足りない分は、2つの分布の距離（全変動距離）に等しくなります。"
        "つまり受理率は、ドラフトモデルがターゲットモデルにどれだけ近いかだけで決まります。大きいだけでは、受理率は上がりません。",
    )


def residual(answer) -> str:
    for pair in PAIRS:
        got = _answered(answer, pair)
        expected = residual_distribution(*pair.tensors)
        expect(
            pair.target != pair.draft or not got.isnan().any(),
            f"For {pair} you return {_shown(got)}: nothing is missing, so 0 is divided by 0. No rejection is possible "
            "there, but rounding can lead to it: return the target.",
            f"{pair}で {_shown(got)} が返りました。足りない分がないので、0 を 0 で割っています。"
            "理論上は棄却が起こりませんが、丸め誤差でここに来ることはあります。target をそのまま返してください。",
        )
        expect(
            bool((got >= 0).all()),
            f"For {pair} you return {_shown(got)}, but probabilities are at least 0. A word that the draft likes "
            "better has had its share already: nothing of it is missing.",
            f"{pair}で {_shown(got)} が返りましたが、確率は 0 以上です。ドラフトモデルの確率のほうが高い語は、"
            "受理の段階で取り分をもう得ています。足りない分は 0 です。",
        )
        expect(
            isclose(got.sum().item(), 1, abs_tol=1e-6),
            f"For {pair} you return {_shown(got)}, which adds up to {got.sum():.3g}: a token is drawn from it, so it "
            "must add up to 1. Divide by the sum.",
            f"{pair}で返った {_shown(got)} は、合計が {got.sum():.3g} です。ここからトークンを引くので、"
            "合計は 1 でなければなりません。合計で割ってください。",
        )
        expect(
            torch.allclose(got, expected, atol=1e-6),
            f"For {pair} {_shown(expected)} is expected and {_shown(got)} comes. What is missing is max(0, target - "
            "draft), word by word.",
            f"{pair}では {_shown(expected)} になるはずが、{_shown(got)} が返りました。"
            "足りない分は、語ごとの max(0, target - draft) です。",
        )
    return say(
        f"Right for {len(PAIRS)} pairs. Note where the residual is 0: wherever the draft has at least the target's "
        "probability, and only there can a token be rejected. So what was just rejected is never drawn again.",
        f"{len(PAIRS)}組すべてで正解です。残差分布が 0 になるのは、ドラフトモデルの確率が"
        "ターゲットモデルの確率以上の語です。"
        "棄却が起こるのもそうした語に限られるので、棄却された語がすぐに引き直されることはありません。",
    )


@dataclass(frozen=True)
class Judgement:
    """One drafted token and one random number: accepted or not."""

    pair: Pair
    token: int
    uniform: float
    accepted: bool


OFTEN = Pair("a word that the draft proposes too often", "ドラフトモデルが提案しすぎる語", (0.3, 0.7), (0.5, 0.5))
CERTAIN = Pair(
    "a word of which the draft is certain, with 0 for all others",
    "ドラフトモデルがその語に確率1を与え、ほかは 0",
    (0.25, 0.25, 0.5),
    (0.0, 1.0, 0.0),
)
BETTER = Pair("a word that the target likes better", "ターゲットモデルの確率のほうが高い語", (0.4, 0.6), (0.2, 0.8))
EQUAL = Pair("a word that both like equally", "両者の確率が等しい語", (0.25, 0.75), (0.25, 0.75))
NEVER = Pair("a word that the target never writes", "ターゲットモデルが決して書かない語", (0.0, 1.0), (0.5, 0.5))
JUDGEMENTS = (
    Judgement(OFTEN, 0, 0.59, True),
    Judgement(OFTEN, 0, 0.61, False),
    Judgement(BETTER, 0, 0.999, True),
    Judgement(EQUAL, 0, 0.999, True),
    Judgement(CERTAIN, 1, 0.24, True),
    Judgement(CERTAIN, 1, 0.26, False),
    Judgement(NEVER, 0, 0.0, False),
)


def accept(answer) -> str:
    verdicts = {True: ("accepted", "受理"), False: ("rejected", "棄却")}
    for case in JUDGEMENTS:
        pair = case.pair
        got = _decided(answer, pair.target, pair.draft, case.token, case.uniform)
        target, draft = pair.target[case.token], pair.draft[case.token]
        wanted, came = say(*verdicts[case.accepted]), say(*verdicts[got])
        expect(
            got == case.accepted,
            f"For {pair.english}: target(x) = {target:g}, draft(x) = {draft:g}, random number {case.uniform:g}. It "
            f"must be {wanted}, and yours is {came}. Look at min(1, target(x) / draft(x)) = "
            f"{min(1, target / draft):g}, and on which side of it the random number lies.",
            f"{pair.japanese}（target(x) = {target:g}、draft(x) = {draft:g}、乱数 {case.uniform:g}）は、"
            f"{wanted}されるはずが{came}されました。min(1, target(x) / draft(x)) = {min(1, target / draft):g} "
            "と乱数の大小を確かめてください。",
        )
    rising = (0.1, 0.2, 0.3, 0.4)
    numbers = [(i + 0.5) / 200 for i in range(200)]
    for token, (target, draft) in enumerate(zip(rising, rising[::-1], strict=True)):
        share = sum(_decided(answer, rising, rising[::-1], token, number) for number in numbers) / len(numbers)
        expected = min(1, target / draft)
        expect(
            isclose(share, expected, abs_tol=0.01),
            f"With target(x) = {target:g} and draft(x) = {draft:g} a share of {expected:.3g} must be accepted; over "
            f"200 random numbers, evenly spread, yours accepts {share:.3g}.",
            f"target(x) = {target:g}、draft(x) = {draft:g} なら受理される割合は {expected:.3g} です。"
            f"等間隔に並べた200個の乱数では、{share:.3g} でした。",
        )
    return say(
        "Right, at the edges too. Strictly below is what the last case asks for: random numbers come from [0, 1), and "
        "in 32 bits one in 16,777,216 is exactly 0. With ≤ a token that the target forbids would then be written.",
        "境界の場合も含めて正解です。最後の場合が「以下」ではなく「未満」を求めています。"
        "乱数は [0, 1) から選ばれ、32ビットでは約1,678万回（2の24乗）に1回、ちょうど 0 になります。"
        "≤ で比べると、ターゲットモデルが確率 0 とした語が書かれてしまいます。",
    )


def tokens_a_round(answer) -> str:
    """At alpha 0.6 and k 2."""
    value = _number(answer)
    _no_mistake(
        value,
        (
            2.2,
            "2.2 = 1 + 0.6 + 0.6 counts the second drafted token also where the first was rejected. It can only be "
            "kept behind an accepted one.",
            "2.2 = 1 + 0.6 + 0.6 では、1つ目が棄却されたときにも2つ目を数えています。"
            "2つ目が残るのは、1つ目が受理されたときだけです。",
        ),
        (
            0.96,
            "0.96 drafted tokens are accepted. The target then adds one of its own, whatever happened.",
            "0.96 は受理されるトークンの数です。そのあと、何が起きてもターゲットモデルが必ず1トークンを加えます。",
        ),
        (
            1.6,
            "1.6 = 1 + 0.6 is right for k = 1; the second drafted token adds a little more.",
            "1.6 = 1 + 0.6 は k = 1 の場合の答えです。2つ目のトークンの分がもう少し加わります。",
        ),
        (
            3.0,
            "3 is the most that a round can add, not the average.",
            "3 は1ラウンドで増える最大のトークン数で、平均ではありません。",
        ),
        (
            2.5,
            "2.5 = 1 / (1 - 0.6) is the limit for k without end. Here k is 2.",
            "2.5 = 1 / (1 - 0.6) は k を限りなく大きくしたときの極限です。ここでは k = 2 です。",
        ),
    )
    expected = theory.expected_tokens(0.6, 2)
    expect(
        isclose(value, expected, abs_tol=0.005),
        f"Not {value:.3g} yet. Go through the three ways a round can end: at the first token, at the second, at none.",
        f"{value:.3g} ではありません。ラウンドの終わり方は3通りです。1つ目で棄却、2つ目で棄却、"
        "棄却なしの順に考えましょう。",
    )
    return say(
        "Right: 1 + 0.6 + 0.36 = 1.96. Each further drafted token adds 0.6 of what the one before added, so a round "
        f"never exceeds 1 / (1 - 0.6) = {theory.ceiling(0.6):g} tokens, however far one looks ahead.",
        "正解です。1 + 0.6 + 0.36 = 1.96 です。先読みを1つ増やすたびに加わる分は、直前の 0.6 倍になります。"
        f"そのため、どれだけ先読みしても、1ラウンドは平均 1 / (1 - 0.6) = {theory.ceiling(0.6):g} "
        "トークンを超えません。",
    )


ROUNDS = ((4, 2), (4, 4), (4, 0), (3, 1))
"""Drafted and accepted tokens."""


def rollback(answer) -> str:
    """A function that takes rows back, its rounds compared with the rows of the text computed afresh."""
    cache, text = ToyCache(), [3, 1, 4, 1, 5]
    cache.extend(_keys(text))
    for drafted, accepted in ROUNDS:
        guess = [(len(text) + 7 * i) % 10 for i in range(drafted)]
        cache.extend(_keys(guess, len(text)))
        answer(cache, drafted, accepted)
        text += guess[:accepted]
        _compare(cache, text, drafted, accepted)
        next_token = 9 - len(text) % 9
        cache.extend(_keys([next_token], len(text)))
        text.append(next_token)
    return say(
        f"Right after {len(ROUNDS)} rounds, bit for bit. Nothing was erased: a rejected token's row lies behind "
        "“length” until the next “extend” writes over it. So rolling back costs nothing, and one row too many is hard "
        "to notice: the text stays fluent, only its law is another.",
        f"{len(ROUNDS)}ラウンドすべてで、ビット単位まで一致しました。棄却されたトークンの行は消されたのではなく、"
        "次の「extend」で上書きされるまで「length」の後ろに残っています。だから巻き戻しのコストはゼロです。"
        "1行多く残す誤りは気づきにくく、文章は自然に見えるのに、分布だけが変わってしまいます。",
    )


def _compare(cache, text: list[int], drafted: int, accepted: int) -> None:
    fresh = _keys(text)
    count, right = cache.length, len(fresh)
    round_ = say(
        f"After a round of {drafted} drafted and {accepted} accepted tokens",
        f"{drafted}個を先読みして{accepted}個が受理されたラウンドの後、",
    )
    expect(
        count >= right,
        f"{round_} your cache counts {count} rows, and the text has {right} tokens: accepted tokens are text, their "
        "rows must stay.",
        f"{round_}キャッシュは{count}行ですが、文章は{right}トークンです。受理されたトークンは文章の一部なので、"
        "その行は残さなければなりません。",
    )
    kept = torch.stack(list(cache.rows[:count]))
    query = fresh[-1]
    gap = (_attention(query, kept) - _attention(query, fresh)).abs().max()
    expect(
        count == right,
        f"{round_} your cache counts {count} rows; computed afresh over the text there are {right}. Row {right} (from "
        "0) is not of the text: it belongs to a rejected token. What replaces it has not been read yet, it comes with "
        f"the next round's “extend”. Attention over these rows is off by {gap:.2g}.",
        f"{round_}キャッシュは{count}行ですが、文章から計算し直すと{right}行です。"
        f"行 {right}（0 から数えて）は、棄却されたトークンのもので、文章には含まれません。"
        "代わりのトークンはまだ読まれておらず、次のラウンドの「extend」で加わります。"
        f"このままでは、アテンションの結果が {gap:.2g} ずれます。",
    )
    wrong = [i for i, (row, other) in enumerate(zip(kept, fresh, strict=True)) if not torch.equal(row.float(), other)]
    expect(
        not wrong,
        f"{round_} the count of rows is right, but row {wrong[:1]} is not that of the text's token there: take rows "
        "from the end.",
        f"{round_}行数は合っていますが、行 {wrong[:1]} が文章のトークンのものではありません。"
        "末尾から取り除いてください。",
    )


def _keys(tokens: list[int], place: int = 0) -> Tensor:
    """A row for each token (n, 4), which depends on the token and on its place in the text."""
    tokens_, places = torch.tensor(tokens).float(), torch.arange(place, place + len(tokens)).float()
    return torch.stack([tokens_.cos(), tokens_.sin(), places.cos(), places.sin()], dim=1)


def _attention(query: Tensor, rows: Tensor) -> Tensor:
    """What a query (4,) reads from rows (n, 4), as keys and values: (4,)."""
    return (rows @ query).softmax(0) @ rows


def output_law(answer) -> str:
    for pair in PAIRS:
        target, draft = pair.tensors
        got = _answered(answer, pair)
        accepted, right = torch.minimum(target, draft), torch.allclose(got, target, atol=1e-6)
        expect(
            not got.isnan().any(),
            f"For {pair} you return {_shown(got)}: nothing is ever rejected there, so 0 is divided by 0. You need not "
            "divide at all: what the residual is divided by is the very probability of a rejection.",
            f"{pair}で {_shown(got)} が返りました。棄却が起こらないため、0 を 0 で割っています。"
            "そもそも割る必要はありません。残差分布の分母は、棄却の確率そのものだからです。",
        )
        expect(
            isclose(got.sum().item(), 1, abs_tol=1e-6),
            f"For {pair} you return {_shown(got)}, which adds up to {got.sum():.3g}. Some word always comes: add what "
            "is drafted and kept, and what comes after a rejection.",
            f"{pair}で返った {_shown(got)} は、合計が {got.sum():.3g} です。必ずどれかの語が出るので、合計は 1 です。"
            "提案されて受理される分と、棄却の後に出る分を足してください。",
        )
        expect(
            right or not torch.allclose(got, accepted + (1 - pair.alpha) * target),
            f"For {pair} {_shown(target)} should come out and {_shown(got)} does. You replace a rejected word from the "
            "target: then words that the draft likes come too often, as they had their share by being accepted.",
            f"{pair}では {_shown(target)} になるはずが、{_shown(got)} でした。"
            "棄却の後、ターゲットモデルの分布から引き直しています。これでは、受理ですでに取り分を得た語が、"
            "余分に出てしまいます。",
        )
        worst = (got - target).abs().argmax().item()
        expect(
            right,
            f"For {pair} {_shown(target)} should come out and {_shown(got)} does, most wrong at word {worst} (from 0). "
            "Two ways lead to a word: drafted and accepted, min(target, draft); or something was rejected, 1 - α, and "
            "the word drawn from the residual.",
            f"{pair}では {_shown(target)} になるはずが、{_shown(got)} でした。"
            f"最も大きくずれたのは語 {worst}（0 から数えて）です。ある語に至る道は2つあります。"
            "提案されて受理される道 min(target, draft) と、何かが棄却され（1 - α）、"
            "残差分布からその語が引かれる道です。",
        )
    rates = say(", ", "、").join(f"{pair.alpha:.2f}" for pair in PAIRS)
    return say(
        f"Right for {len(PAIRS)} drafts, terrible ones among them. Their acceptance rates are {rates}, and the law is "
        "the target's every time: min(target, draft) + max(0, target - draft) = target, whatever the draft. A bad "
        "draft costs time and nothing else. “return target” would have passed, too: that is the theorem.",
        f"ひどいものも含め、{len(PAIRS)}種類のドラフトモデルすべてで正解です。受理率は順に {rates} ですが、"
        "出力の分布はどれもターゲットモデルの分布そのものです。どんなドラフトモデルでも "
        "min(target, draft) + max(0, target - draft) = target だからです。"
        "出来の悪いドラフトモデルで失うのは時間だけです。実は「return target」と書いても通ります。"
        "それこそが、この定理の内容です。",
    )


class Table(PreTrainedModel, GenerationMixin):
    """A causal LM over a few tokens that looks its logits up by the last token, in float64."""

    config_class = GPT2Config

    def __init__(self, logits: Tensor):
        super().__init__(GPT2Config(vocab_size=len(logits), n_positions=32, bos_token_id=None, eos_token_id=None))
        self.logits = torch.nn.Parameter(logits, requires_grad=False)  # (vocab, vocab)

    def forward(self, input_ids: Tensor, use_cache: bool = False, logits_to_keep: int = 0) -> CausalLMOutput:
        return CausalLMOutput(logits=self.logits[input_ids[:, -logits_to_keep:]])


ROWS = [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]
PROMPT, SAMPLING, K, LONGEST = (
    [1, 2, 0, 1],
    Sampling(1.0),
    2,
    3,
)  # a round of K drafted tokens takes one token more to end


def own_drafter(answer) -> str:
    """A function that proposes, as a drafter over a small table, its law enumerated."""
    target = as_language_model(Table(torch.tensor(ROWS, dtype=torch.float64).log()))
    _check_proposal(answer)
    decoder = SpeculativeDecoder(target, FunctionDrafter(answer, len(ROWS)), K, session="uncached")
    try:
        came = _first_two(merged_law(decoder, PROMPT, LONGEST, SAMPLING))
        mean = sum(b.probability * len(b.step.tokens) for b in branches(decoder, PROMPT, LONGEST, SAMPLING))
    except ValueError as error:
        raise Miss(
            say(
                f"The enumeration stopped: {error} Every draw must go through the “chance” that your function gets, "
                "and a proposal must follow from the text and from those draws alone.",
                f"列挙が止まりました（{error}）。乱数は必ず、関数に渡される「chance」から引いてください。"
                "提案は、文章とその乱数だけで決まらなければなりません。",
            )
        ) from error
    wanted = _first_two(target_law(target, PROMPT, LONGEST, SAMPLING))
    gaps = {text: abs(came.get(text, 0.0) - wanted.get(text, 0.0)) for text in {*came, *wanted}}
    worst = max(sorted(gaps), key=gaps.get)
    if gaps[worst] > 1e-6:
        is_, should = f"{came.get(worst, 0):.3g}", f"{wanted.get(worst, 0):.3g}"
        raise Miss(
            say(
                f"Another law comes out. Over the first two tokens the largest deviation is {gaps[worst]:.3g}, at the "
                f"text {worst}: its probability is {is_} and should be {should}. {_lie(answer)}",
                f"出力の分布が変わっています。最初の2トークンで最も大きくずれたのは {worst} で、"
                f"確率 {should} のはずが {is_} でした（差 {gaps[worst]:.3g}）。{_lie(answer)}",
            )
        )
    decoder.generate(PROMPT, 12, temperature=1.0)  # several rounds, each of which it observes
    return say(
        f"Proved: over every branch the largest deviation from the target's law is {gaps[worst]:.1g}: rounding, if "
        f"anything. A round with your drafter adds {mean:.2f} tokens here, one of plain decoding 1. That is all a "
        "drafter decides.",
        f"証明できました。すべての分岐を通じて、ターゲットモデルの分布とのずれは最大 {gaps[worst]:.1g} で、"
        f"あっても丸め誤差だけです。このドラフターの1ラウンドは平均 {mean:.2f} トークンで、"
        "通常のデコーディングは 1 です。ドラフターが決めるのは、この数だけです。",
    )


def _check_proposal(answer) -> None:
    """Raise Miss unless one proposal has the form that a decoder can use."""
    (tokens, rows), size = _proposal(answer, _First()), len(ROWS)
    expect(
        tokens.dim() == 1 and len(tokens) <= K and tuple(rows.shape) == (len(tokens), size),
        f"With k = {K} “propose” returned tokens {tuple(tokens.shape)} and distributions {tuple(rows.shape)}: they "
        f"must be (m,) and (m, {size}) with m at most {K}.",
        f"k = {K} で「propose」が返したトークンの形は {tuple(tokens.shape)}、分布の形は {tuple(rows.shape)} でした。"
        f"(m,) と (m, {size}) でなければなりません（m は最大 {K}）。",
    )
    for token, row in zip(tokens.tolist(), rows.double(), strict=True):
        expect(
            isclose(row.sum().item(), 1, abs_tol=1e-5) and bool((row >= 0).all()),
            f"{_shown(row)} is no distribution: probabilities are at least 0 and add up to 1.",
            f"{_shown(row)} は確率分布ではありません。確率は 0 以上で、合計は 1 です。",
        )
        expect(
            0 <= token < size and row[token].item() > 0,
            f"Token {token} is proposed, but its distribution {_shown(row)} says that it never comes.",
            f"トークン {token} が提案されましたが、返された分布 {_shown(row)} では、その確率がありません。",
        )


class _First:
    """A Chance that takes the first token with any probability: enough to look at a proposal's form."""

    def draw(self, distribution: Tensor) -> Tensor:
        return (distribution > 0).nonzero()[0]

    def accept(self, probabilities: Tensor) -> Tensor:
        return probabilities > 0


def _proposal(answer, chance: Chance) -> tuple[Tensor, Tensor]:
    drafter = FunctionDrafter(answer, len(ROWS))
    drafter.start(PROMPT, SAMPLING, chance)
    return drafter.propose(K)


def _lie(answer) -> str:
    """Where the tokens of a round are drawn otherwise than the distributions beside them say."""

    def drawn(chance: Chance) -> tuple[tuple, tuple]:
        tokens, rows = _proposal(answer, chance)
        return tuple(tokens.tolist()), tuple(map(tuple, rows.tolist()))

    outcomes = law(drawn)
    for i in range(K):
        before, with_it, claimed = defaultdict(float), defaultdict(float), {}
        for (tokens, rows), probability in outcomes.items():
            if len(tokens) > i:
                before[tokens[:i]] += probability
                with_it[tokens[: i + 1]] += probability
                claimed[tokens[: i + 1]] = rows[i][tokens[i]]
        for tokens, probability in with_it.items():
            truth = probability / before[tokens[:i]]
            if not isclose(truth, claimed[tokens], abs_tol=1e-6):
                return say(
                    f"Look at drafted token {i + 1} of a round: it is {tokens[i]} with probability {truth:.3g}, and "
                    f"the distribution returned beside it says {claimed[tokens]:.3g}. The rule divides by that number.",
                    f"ラウンドの{i + 1}番目のトークンを見てください。実際には確率 {truth:.3g} で {tokens[i]} "
                    f"になるのに、一緒に返された分布では {claimed[tokens]:.3g} です。"
                    "受理の規則は、この値で割り算をします。",
                )
    return say(
        "Each token must be drawn from the very distribution that is returned beside it.",
        "各トークンは、一緒に返す分布そのものから引かなければなりません。",
    )


def _first_two(whole: dict[tuple[int, ...], float]) -> dict[tuple[int, ...], float]:
    """The law of the first two tokens."""
    short: dict[tuple[int, ...], float] = defaultdict(float)
    for text, probability in whole.items():
        short[text[:2]] += probability
    return dict(short)


def _number(answer) -> float:
    try:
        return float(answer)
    except (TypeError, ValueError, RuntimeError):
        raise Miss(
            say(f"One number is asked for, not {answer!r}.", f"答えは数値1つです。{answer!r} でした。")
        ) from None


def _no_mistake(value: float, *mistakes: tuple[float, str, str]) -> None:
    """Raise Miss where the value is what a known mistake gives: value, and what to say in either language."""
    for wrong, english, japanese in mistakes:
        expect(not isclose(value, wrong, abs_tol=5e-3), english, japanese)


def _answered(answer, pair: Pair) -> Tensor:
    """What a function answers for a pair: (vocabulary,) in float64."""
    got = answer(*pair.tensors)
    expect(
        isinstance(got, Tensor) and got.shape == (len(pair.target),),
        f"For {pair} a tensor of {len(pair.target)} probabilities is expected, one a word, and this comes: {got!r}.",
        f"{pair}では、語ごとの確率を並べた長さ {len(pair.target)} のテンソルを返してください。"
        f"返ったのは {got!r} でした。",
    )
    return got.double()


def _decided(answer, target: tuple[float, ...], draft: tuple[float, ...], token: int, uniform: float) -> bool:
    got = answer(torch.tensor(target, dtype=torch.float64), torch.tensor(draft, dtype=torch.float64), token, uniform)
    expect(
        got is not None,
        "The function returned nothing: return True or False.",
        "関数が何も返しませんでした。True か False を返してください。",
    )
    return bool(got)


def _shown(probabilities) -> str:
    return f"[{', '.join(f'{float(p):.3g}' for p in probabilities)}]"


CHECKS = {
    check.__name__: check
    for check in (acceptance_rate, residual, accept, tokens_a_round, rollback, output_law, own_drafter)
}
