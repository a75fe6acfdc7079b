"""Train the embedded family: one tokenizer, one target, five drafts, as complete transformers folders beside this file.

    python train.py                                      our own news and grammar alone
    python train.py --corpus docs.jsonl triples.jsonl    and any JSON lines with title and text (and maybe summary)
    python train.py --sizes paper --device cuda          stand-ins of the paper's nine sizes, for a GPU without a hub

Each model first learns from text alone. The drafts then learn from the target: what it writes, and how likely it finds
each word, since a draft is worth what it guesses of the target. A run that was stopped goes on from its last
checkpoint. Needs torch, transformers, numpy, tqdm, and sentencepiece for a new tokenizer.
"""

import argparse
import ctypes
import json
import lzma
import sys
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import torch
from compose import articles
from sizes import MINI, PAPER, Size
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from tqdm import tqdm
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast
from vary import Variations

HERE = Path(__file__).parent
REPLICA = HERE.parents[1] / "runs" / "replica-models"
NEWS = HERE.parent / "news_ja.jsonl"
PROMPT = "タイトル: {title}\nテキスト: {text}\n要約: "
TEXT_TOKENS = 256
CONTEXT = 1024
VOCABULARY = 6144
END = "<|endoftext|>"
COMPOSED = 40_000
VARIED = 7  # readings of every natural article with other names and numbers, beside its own
SHARES = {"composed": 0.60, "news": 0.12, "documents": 0.17, "triples": 0.11}
SUMMARY_WEIGHT = 3.0
PATCHWORKS, RETOLD = 6_400, 1_600  # natural and composed prompts that the target answers for its drafts
DISTILLED_TOKENS = 8_000_000


def read_rows(path: Path) -> list[dict]:
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_sources(corpora: list[Path]) -> dict[str, list[dict]]:
    """Rows by source. A row with a summary is a summarisation example, one without is plain text."""
    rows = [row for path in corpora for row in read_rows(path)]
    sources = {
        "composed": list(islice(articles(seed=1), COMPOSED)),
        "news": [row for row in read_rows(NEWS) if row["split"] == "train"],
        "documents": [row for row in rows if "summary" not in row],
        "triples": [row for row in rows if "summary" in row],
    }
    return {name: rows for name, rows in sources.items() if rows}


def train_tokenizer(sources: dict[str, list[dict]], out: Path) -> PreTrainedTokenizerFast:
    """Unigram pieces with byte fallback; digits stand alone; decoding gives back the text exactly."""
    import sentencepiece  # the paper's sizes take the tokenizer that is there

    rng = Random(0)
    most = {"composed": 8_000, "news": 640, "documents": 1_500, "triples": 500}
    picked = [row for name, rows in sources.items() for row in rng.sample(rows, min(most[name], len(rows)))]
    lines = {
        sentence
        for row in picked
        for part in ("title", "summary", "text")
        for sentence in row.get(part, "")[:1500].replace("。", "。\n").splitlines()
        if 4 <= len(sentence) <= 200
    }
    sentences = sorted(lines)
    rng.shuffle(sentences)
    out.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences[:80_000]),
        model_prefix=str(out / "pieces"),
        vocab_size=VOCABULARY,
        model_type="unigram",
        byte_fallback=True,
        character_coverage=0.9997,
        max_sentencepiece_length=8,
        split_digits=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        control_symbols=[END],
        user_defined_symbols=["\n"],
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=2,
        minloglevel=1,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(out / "pieces.model"))
    scored = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(len(pieces))]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=pieces.unk_id(), byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(END, special=True)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token="<unk>", model_max_length=CONTEXT
    )


def encode(row: dict, tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and loss weights of one row, the end token included."""

    def ids(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False, verbose=False)

    if "summary" not in row:
        tokens = [*ids(f"{row['title']}\n{row['text']}"), tokenizer.eos_token_id]
        return np.array(tokens, np.uint16), np.ones(len(tokens), np.float16)
    text = tokenizer.decode(ids(row["text"])[:TEXT_TOKENS])
    prompt = ids(PROMPT.format(title=row["title"], text=text))
    summary = [*ids(row["summary"]), tokenizer.eos_token_id]
    weights = [1.0] * len(prompt) + [SUMMARY_WEIGHT] * len(summary)
    return np.array(prompt + summary, np.uint16), np.array(weights, np.float16)


class Rows:
    """Rows of a source, each encoded when it is first asked for."""

    def __init__(self, rows: list[dict], tokenizer):
        self.rows, self._encoded = rows, cache(lambda place: encode(rows[place], tokenizer))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        return self._encoded(place)


class Batches:
    """Rows of packed documents; batch i is the same whenever it is asked for, so that a run can resume."""

    def __init__(self, sources: dict[str, list[dict]], tokenizer, tokens_per_batch: int):
        self.encoded = {name: Rows(rows, tokenizer) for name, rows in sources.items()}
        self.shares = [SHARES[name] for name in self.encoded]
        self.tokens = tokens_per_batch

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and weights, each (rows, length + 1); every fourth batch has rows of the whole context."""
        rng = Random(step)
        length = CONTEXT if step % 4 == 3 else CONTEXT // 2
        ids, weights = zip(*(self._row(length + 1, rng) for _ in range(self.tokens // length)), strict=True)
        return torch.from_numpy(np.stack(ids).astype(np.int64)), torch.from_numpy(np.stack(weights)).float()

    def _row(self, length: int, rng: Random) -> tuple[np.ndarray, np.ndarray]:
        ids, weights = np.empty(0, np.uint16), np.empty(0, np.float16)
        while len(ids) < length:
            source = rng.choices(list(self.encoded.values()), self.shares)[0]
            more, more_weights = rng.choice(source)
            start = rng.randrange(max(1, len(more) - length))  # long documents are entered anywhere
            ids, weights = np.append(ids, more[start:]), np.append(weights, more_weights[start:])
        return ids[:length], weights[:length]


def build(size: Size, tokenizer) -> GPTNeoXForCausalLM:
    config = GPTNeoXConfig(
        vocab_size=size.vocabulary or len(tokenizer),
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        max_position_embeddings=CONTEXT,
        rotary_pct=0.5,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        tie_word_embeddings=size.vocabulary is None,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return GPTNeoXForCausalLM(config)


def optimizers(model) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, biases and norms."""
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    outer = [p for name, p in model.named_parameters() if p.ndim < 2 or "embed" in name]
    return [
        torch.optim.Muon(inner, lr=0.02, weight_decay=0.02),
        torch.optim.AdamW(outer, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate(step: int, steps: int) -> float:
    """Warm up over 2 % of the steps, hold, then fall linearly to zero over the last 60 %."""
    done = step / steps
    return min(1.0, done / 0.02, max(0.0, (1 - done) / 0.6))


def loss_of(model, ids, weights, device: str) -> torch.Tensor:
    """Weighted mean cross-entropy in nats. ids, weights: (rows, length + 1)."""
    ids, weights = ids.to(device), weights.to(device)
    with torch.autocast(device, torch.bfloat16):
        logits = model(ids[:, :-1].contiguous(), use_cache=False).logits  # (rows, length, vocab)
    losses = torch.nn.functional.cross_entropy(
        logits.view(-1, logits.shape[-1]).float(), ids[:, 1:].reshape(-1), reduction="none"
    )
    weights = weights[:, 1:].reshape(-1)
    return (losses * weights).sum() / weights.sum()


def train(name: str, size: Size, batches: Batches, tokenizer, out: Path, device: str) -> None:
    folder, checkpoint = out / name, out / f"{name}.checkpoint.pt"
    if folder.exists():
        print(f"{name}: already there, left alone")
        return
    torch.manual_seed(0)
    model = build(size, tokenizer).to(device).train()
    opts = optimizers(model)
    base = [group["lr"] for opt in opts for group in opt.param_groups]
    steps, first = size.tokens // batches.tokens, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        for opt, saved in zip(opts, state["optimizers"], strict=True):
            opt.load_state_dict(saved)
        first = state["step"]
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    bar = tqdm(range(first, steps), initial=first, total=steps, desc=f"{name} ({millions:.1f} M)", mininterval=5)
    recent = None
    for step in bar:
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = base[opts.index(opt)] * rate(step, steps)
        loss = loss_of(model, *batches[step], device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad()
        recent = loss.item() if recent is None else 0.98 * recent + 0.02 * loss.item()
        bar.set_postfix(loss=f"{recent:.3f}", refresh=False)
        if (step + 1) % 200 == 0:
            state = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in opts], "step": step + 1}
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
    unfinished = folder.with_suffix(".part")
    model.to(torch.bfloat16).save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.rename(folder)
    checkpoint.unlink(missing_ok=True)
    loss = "no step taken" if recent is None else f"training loss {recent:.3f}"
    print(f"{name}: {loss}, saved in {folder.name}/")


@torch.inference_mode()
def write(target, tokenizer, rows: list[dict], device: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """The target's greedy answers to the rows' prompts, encoded like `encode`; by length, in batches of 64."""
    prompts = sorted((encode({**row, "summary": ""}, tokenizer)[0][:-1] for row in rows), key=len)
    written = []
    for start in tqdm(range(0, len(prompts), 64), desc="the target writes", mininterval=5):
        batch = prompts[start : start + 64]
        longest = len(batch[-1])
        ids = np.stack([np.pad(prompt, (longest - len(prompt), 0)) for prompt in batch]).astype(np.int64)
        mask = np.stack([np.arange(longest) >= longest - len(prompt) for prompt in batch]).astype(np.int64)
        answers = target.generate(
            input_ids=torch.from_numpy(ids).to(device),
            attention_mask=torch.from_numpy(mask).to(device),
            max_new_tokens=96,
            do_sample=False,
            pad_token_id=tokenizer.eos_token_id,
        )[:, longest:].cpu()
        for prompt, answer in zip(batch, answers.numpy().astype(np.uint16), strict=True):
            ended = np.flatnonzero(answer == tokenizer.eos_token_id)
            answer = answer[: ended[0] + 1] if len(ended) else answer
            weights = np.repeat(np.float16([1.0, SUMMARY_WEIGHT]), [len(prompt), len(answer)])
            written.append((np.append(prompt, answer), weights))
    return written


def summary_logits(model, ids: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Logits (summary tokens, vocab) at the places (rows, length) whose next token belongs to a summary."""
    hidden = model.base_model(ids, use_cache=False).last_hidden_state[where]
    return model.get_output_embeddings()(hidden).float()


def distill(drafts: list[str], batches: Batches, out: Path, device: str) -> None:
    """Move the drafts' distributions towards the target's, on the target's own summaries: KL(target, draft)."""
    folder, checkpoint = out / "distilled", out / "distilled.checkpoint.pt"
    target = GPTNeoXForCausalLM.from_pretrained(out / "target", dtype=torch.float32).to(device).eval()
    models = {n: GPTNeoXForCausalLM.from_pretrained(out / n, dtype=torch.float32).to(device).train() for n in drafts}
    opts = {name: optimizers(model) for name, model in models.items()}
    base = {id(group): group["lr"] for pair in opts.values() for opt in pair for group in opt.param_groups}
    steps, first = DISTILLED_TOKENS // batches.tokens, 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        first = state["step"]
        for name, model in models.items():
            model.load_state_dict(state["models"][name])
            for opt, saved in zip(opts[name], state["optimizers"][name], strict=True):
                opt.load_state_dict(saved)
    bar = tqdm(range(first, steps), initial=first, total=steps, desc="distill", mininterval=5)
    for step in bar:
        ids, weights = batches[step]
        ids, where = ids[:, :-1].to(device).contiguous(), (weights[:, 1:] == SUMMARY_WEIGHT).to(device)
        with torch.autocast(device, torch.bfloat16), torch.no_grad():
            wanted = summary_logits(target, ids, where).log_softmax(-1)
        losses = {}
        for name, model in models.items():
            with torch.autocast(device, torch.bfloat16):
                guessed = summary_logits(model, ids, where).log_softmax(-1)
            loss = torch.nn.functional.kl_div(guessed, wanted, log_target=True, reduction="batchmean")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for opt in opts[name]:
                for group in opt.param_groups:
                    group["lr"] = base[id(group)] * rate(step, steps)
                opt.step()
                opt.zero_grad()
            losses[name] = f"{loss.item():.2f}"
        bar.set_postfix(losses, refresh=False)
        if (step + 1) % 200 == 0:
            state = {
                "step": step + 1,
                "models": {name: model.state_dict() for name, model in models.items()},
                "optimizers": {name: [opt.state_dict() for opt in pair] for name, pair in opts.items()},
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
    for name, model in models.items():
        model.to(torch.bfloat16).save_pretrained(folder.with_suffix(".part") / name)
    folder.with_suffix(".part").rename(folder)
    checkpoint.unlink(missing_ok=True)


def teach(
    names: list[str], natural: list[dict], sources: dict[str, list[dict]], tokenizer, out: Path, device: str
) -> None:
    """Let the target write, distill every draft from it, and put the distilled weights in the drafts' folders."""
    if (out / "distilled").exists():
        print("drafts: distilled already, left alone")
        return
    target, *drafts = names
    model = GPTNeoXForCausalLM.from_pretrained(out / target, dtype=torch.float32).to(device).eval()
    rows = Variations(natural).patchworks(PATCHWORKS, seed=3) + sources["news"][::4] + sources["composed"][:RETOLD]
    batches = Batches({}, tokenizer, 4096)
    batches.encoded, batches.shares = {"written": write(model, tokenizer, rows, device)}, [1.0]
    distill(drafts, batches, out, device)
    for name in drafts:
        (out / "distilled" / name / "model.safetensors").replace(out / name / "model.safetensors")


def keep_freed_memory() -> None:
    """Tell glibc to reuse big buffers instead of returning them: twice as fast on a CPU."""
    if sys.platform == "linux":
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--sizes", choices=["mini", "paper"], default="mini")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="(this folder; runs/replica-models for --sizes paper)")
    parser.add_argument("--tokens", type=int, metavar="N", help="train on no more than N tokens each, for a trial")
    args = parser.parse_args()
    args.out = args.out or (HERE if args.sizes == "mini" else REPLICA)
    args.out.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    sources = read_sources(args.corpus)
    print("text:", ", ".join(f"{len(rows)} {name}" for name, rows in sources.items()))
    if not args.corpus:
        print("no --corpus: training on our own news and grammar alone")
    sizes = MINI if args.sizes == "mini" else PAPER
    if args.sizes == "paper":
        tokenizer = PreTrainedTokenizerFast.from_pretrained(HERE / "target")
    elif (args.out / "tokenizer" / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast.from_pretrained(args.out / "tokenizer")
    else:
        tokenizer = train_tokenizer(sources, args.out / "tokenizer")
        tokenizer.save_pretrained(args.out / "tokenizer")
    natural = sources["news"]
    sources["news"] = natural + Variations(natural).varied(VARIED, seed=2)
    if args.tokens:
        sizes = {name: replace(size, tokens=min(size.tokens, args.tokens)) for name, size in sizes.items()}
    batches = Batches(sources, tokenizer, 4096 if args.sizes == "mini" else 16_384)
    for name, size in sizes.items():
        train(name, size, batches, tokenizer, args.out, args.device)
    if args.sizes == "mini":
        teach(list(sizes), natural, sources, tokenizer, args.out, args.device)


if __name__ == "__main__":
    main()
