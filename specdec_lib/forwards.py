"""What one forward costs: each model, 1 to 8 tokens at once over a cached prompt. Gives c and v(k) their parts."""

from specdec_lib.clock import now
from specdec_lib.experiments import Study
from specdec_lib.sessions import SESSIONS, Session

REPEATS = 15
MEASURED = ("cached", "static")


def run(study: Study) -> None:
    """Measure what is missing, all models, sessions and widths in turn, and write a row for each forward.

    Widths: 1, and k + 1 for each n_lookahead of the profile.
    """
    widths = sorted({1, *(k + 1 for k in study.profile.lookaheads)})
    names = [study.profile.target, *study.profile.drafts]
    done = study.results.done
    missing = [
        (repeat, session, name, width)
        for repeat in range(REPEATS)
        for name in names
        for session in MEASURED
        for width in widths
        if ("forwards", f"{name} {session}", f"{width} tokens", repeat, width) not in done
    ]
    if not missing:
        return
    study.results.register(study.environment)
    prompt = study.prompts[0]
    sessions = {(session, name): SESSIONS[session](study.model(name)) for name in names for session in MEASURED}
    for session in sessions.values():
        session.extend(prompt)
        _time(session, prompt[: widths[-1]])  # warm up
    for repeat, session, name, width in missing:
        seconds = _time(sessions[session, name], prompt[:width])
        study.results.append(
            {
                "environment": study.environment["id"],
                "profile": study.profile.name,
                "experiment": "forwards",
                "cell": f"{name} {session}",
                "model": name,
                "session": session,
                "prompt": f"{width} tokens",
                "repeat": repeat,
                "max_new_tokens": width,
                "context": len(prompt),
                "width": width,
                "parameters": study.model(name).parameters,
                "seconds": seconds,
            }
        )


def _time(session: Session, tokens: list[int]) -> float:
    """Seconds of one forward, which is taken back."""
    length = session.length
    began = now(session.device)
    session.extend(tokens)
    seconds = now(session.device) - began
    session.rollback(length)
    return seconds
