"""`specdec benchmark`: one way of decoding over many articles, timed and scored, as the original's --benchmark."""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median

from tqdm import tqdm

from specdec_lib import xlsum
from specdec_lib.decoders import Generation, SpeculativeDecoder
from specdec_lib.paths import write
from specdec_lib.profiles import MOST_REPEATS
from specdec_lib.rouge import score


def run(
    decoder: SpeculativeDecoder,
    articles: list[dict],
    *,
    repeats: int,
    warmup: bool,
    max_text_tokens: int,
    output_dir: Path | None,
    **options,
) -> dict:
    """Decode each article, write one JSON file an article into output_dir, and return the means.

    options: of `generate`. Seconds are medians over repeats; rates are None where nothing was drafted.
    """
    if not 1 <= repeats <= MOST_REPEATS:
        raise ValueError(f"repeats must be from 1 to {MOST_REPEATS:,}, not {repeats}.")
    prompts = [xlsum.prompt(article, decoder.target.tokenizer, max_text_tokens) for article in articles]
    for prompt in prompts:
        decoder.check(prompt, **options)
    records = []
    for number, prompt in enumerate(tqdm(prompts, desc="articles", mininterval=1)):
        if warmup and number == 0:
            decoder.generate(prompt, **options)
        runs = [decoder.generate(prompt, **options) for _ in range(repeats)]
        records.append(_record(articles[number], prompt, runs))
        if output_dir:
            write(output_dir / f"{number:03d}.json", json.dumps(records[-1], ensure_ascii=False, indent=1) + "\n")
    return _means(records)


def _record(article: dict, prompt: str, runs: list[Generation]) -> dict:
    first = runs[0]
    seconds = median(run.seconds for run in runs)
    return {
        "id": article["id"],
        "input": prompt,
        "label": article["summary"],
        "output": first.text,
        "tokens": len(first.token_ids),
        "rounds": len(first.steps),
        "seconds": seconds,
        "prompt_seconds": median(run.prompt_seconds for run in runs),
        "seconds_per_token": seconds / len(first.token_ids),
        "accepted": first.accepted,
        "rejected": first.rejected,
        "calibration": asdict(first.calibration) if first.calibration else None,
        "acceptance_rate": first.acceptance_rate,
        **score(first.text, article["summary"]),
        "log": _log(first),
    }


def _log(generation: Generation) -> list[list]:
    """[mark, token] in the original's marks: S start, A accepted, R rejected (the resampled token), E extra token."""
    log: list[list] = [["S", generation.prompt_ids[-1]]]
    for step in generation.steps:
        log += [["A", token] for token in step.drafted[: step.accepted]]
        if step.next_token is not None:
            log.append(["R" if step.rejected else "E", step.next_token])
    return log


def _means(records: list[dict]) -> dict:
    numbers = ("seconds_per_token", "tokens", "rouge1", "rouge2", "rougeL")
    rates = [record["acceptance_rate"] for record in records if record["acceptance_rate"] is not None]
    accepted, judged = (sum(r["accepted"] for r in records), sum(r["accepted"] + r["rejected"] for r in records))
    return {
        "articles": len(records),
        **{name: fmean(record[name] for record in records) for name in numbers},
        "mean_acceptance_rate": fmean(rates) if rates else None,
        "pooled_acceptance_rate": accepted / judged if judged else None,
    }
