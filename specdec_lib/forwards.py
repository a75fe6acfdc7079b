"""What one forward costs: each model, 1 to 8 tokens at once over a cached prompt. Gives c and v(k) their parts."""

import time

import torch

from specdec_lib.experiments import Study
from specdec_lib.sessions import CachedSession

WIDTHS = (1, 2, 4, 6, 8)
REPEATS = 15


def run(study: Study) -> None:
    """Measure what is missing, all models and widths in turn, and write a row for each forward."""
    done = study.results.done(study.environment["id"])
    models = [study.profile.target, *study.profile.drafts]
    if ("forwards", models[-1], f"{WIDTHS[-1]} tokens", REPEATS - 1, study.seed) in done:
        return
    study.results.register(study.environment)
    prompt = study.prompts[0]
    sessions = {name: CachedSession(study.model(name)) for name in models}
    for session in sessions.values():
        session.extend(prompt)
        session.extend(prompt[: WIDTHS[-1]])
        session.rollback(len(prompt))
    for repeat in range(REPEATS):
        for name, session in sessions.items():
            for width in WIDTHS:
                _synchronize(session.device)
                began = time.perf_counter()
                session.extend(prompt[:width])
                _synchronize(session.device)
                seconds = time.perf_counter() - began
                session.rollback(len(prompt))
                study.results.append(
                    {
                        "environment": study.environment["id"],
                        "profile": study.profile.name,
                        "experiment": "forwards",
                        "cell": name,
                        "prompt": f"{width} tokens",
                        "repeat": repeat,
                        "seed": study.seed,
                        "context": len(prompt),
                        "width": width,
                        "parameters": study.model(name).parameters,
                        "seconds": seconds,
                    }
                )


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
