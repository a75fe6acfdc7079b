"""What the notebooks show live: parameters, texts, tokens, decoders side by side. None of it is a result."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import torch
from IPython import get_ipython
from IPython.core.interactiveshell import ExecutionResult
from IPython.display import HTML

from specdec_lib import language, paths
from specdec_lib.decoders import Generation, SpeculativeDecoder
from specdec_lib.enumeration import walk
from specdec_lib.language import say
from specdec_lib.measuring.lab import Lab
from specdec_lib.models import GEMMA, USUAL_DRAFT, LanguageModel, load_model
from specdec_lib.pieces import LOOKS, Piece, Reader
from specdec_lib.results import Missing
from specdec_lib.sampling import Chance

PARAMETERS = ("profile", "device", "seed", "articles", "repeats", "cluster", "pickled", "source", "lang")


def parameters(namespace: dict) -> dict:
    """A notebook's parameters out of its `globals()`, after its language is taken up.

    ValueError for one that no notebook here knows.

    papermill only warns of a misspelt parameter and runs on with the default. It is caught where it is set: among
    the plain values defined before the study is.
    """
    plain = (bool, int, float, str, list, dict, tuple, type(None))
    names = [n for n, value in namespace.items() if not n.startswith("_") and isinstance(value, plain)]
    unknown = [name for name in names if name not in (*PARAMETERS, "In", "Out")]
    if unknown and "study" not in namespace:
        raise ValueError(f"Unknown parameter {unknown[0]!r}: a notebook takes {', '.join(PARAMETERS)}.")
    given = {name: namespace[name] for name in PARAMETERS if name in namespace}
    language.use(given.pop("lang", language.LANGUAGES[0]))
    return given


def figures_folder(profile: str) -> Path:
    """Where the figures of a profile go in the current language."""
    return paths.figures(paths.output(profile), language.current())


def go_on_where_rows_are_missing() -> None:
    """From here on a cell whose rows are missing says which, and the notebook goes on; nothing outside IPython."""
    if shell := get_ipython():
        shell.set_custom_exc((Missing,), lambda shell, kind, error, *_, **__: print(_not_shown(error)))
        shell.events.register("post_run_cell", _forgive)


def _not_shown(error: Missing) -> str:
    return say(f"Not shown: {error}", f"表示できません：{error}")


def _forgive(result: ExecutionResult) -> None:
    if isinstance(result.error_in_exec, Missing):
        result.error_in_exec = None


def loadable(lab: Lab, names: Iterable[str]) -> list[LanguageModel]:
    """The models among those named that can be loaded; why another can't is printed."""
    models = []
    for name in names:
        try:
            models.append(lab.model(name))
        except ValueError as error:
            print(error)
    return models


def model_sizes(models: Iterable[LanguageModel]) -> pd.DataFrame:
    """Size and shape of loaded models, a row each, in the order given."""
    rows = []
    for model in models:
        config = model.module.config.get_text_config()
        rows.append(
            {
                "model": model.name,
                "parameters": model.parameters,
                "layers": config.num_hidden_layers,
                "width": config.hidden_size,
                "vocabulary": model.vocab_size,
                "context": model.context,
            }
        )
    return pd.DataFrame(rows)


def real_pair(study: Lab) -> tuple[LanguageModel, LanguageModel]:
    """Target and draft: Gemma 3 270M where it is on this machine, else the study's own, saying how to get Gemma.

    Nothing is downloaded: what counts is the package that carries Gemma, the checkpoint made of it, or the hub's cache.
    """
    try:
        if gemma := _gemma(study.device):
            return gemma, load_model(USUAL_DRAFT[GEMMA], device=study.device)
    except ValueError as error:
        print(error)
    print(
        say(
            "Gemma 3 270M is not installed here, so the models of this run go on. To get it, run `pip install -e "
            "'.[gemma]'` in the clone's folder (253 MB, under the Gemma Terms of Use: "
            "https://ai.google.dev/gemma/terms) and restart the kernel.",
            "この環境には Gemma 3 270M がないため、この実行のモデルで続けます。"
            "Gemma を使うには、クローンしたフォルダーで `pip install -e '.[gemma]'` を実行し（253 MB、"
            "Gemma 利用規約 https://ai.google.dev/gemma/terms に従います）、カーネルを再起動してください。",
        )
    )
    return study.model(study.profile.target), study.model(study.profile.draft)


def _gemma(device: str) -> LanguageModel | None:
    """Gemma 3 270M in bf16, as it was trained, on any device; None where it would have to be fetched."""
    from specdec_lib import gemma, hub  # which only it needs

    weights = "model.safetensors"
    cached = hub.cached(gemma.HUB_ID, weights)
    if not (cached or gemma.KEPT.is_dir() or all(map(find_spec, (gemma.PACKAGE, "gguf")))):
        return None
    revision = hub.commit_of(cached, weights) if cached else None  # that very one: a newer one would be fetched
    return load_model(GEMMA, bits=16, device=device, dtype=torch.bfloat16, revision=revision)


def fates(generation: Generation, rounds: int) -> pd.DataFrame:
    """Every token of the rounds that accepted most, and what became of it; with the rule's numbers where traced.

    threshold: min(1, target / draft); accepted where the random number is below it. Numbers to three digits, as text.
    """
    best = sorted(range(len(generation.steps)), key=lambda i: -generation.steps[i].accepted)[:rounds]
    reader = Reader(generation.tokenizer)
    rows = []
    for i, step in enumerate(generation.steps):
        pieces = reader.pieces(step)  # of every step, as text is read in order
        rows += [{"round": i + 1, **_fate(piece)} for piece in pieces if i in best]
    frame = pd.DataFrame(rows).fillna("")
    frame.insert(len(frame.columns) - 1, "fate", frame.pop("fate"))
    return frame


def _fate(piece: Piece) -> dict[str, str]:
    numbers = {}
    if draw := piece.draw:
        numbers = {"target": draw.target, "draft": draw.draft, "threshold": piece.chance, "random": draw.uniform}
    written = {name: f"{value:.3g}" for name, value in numbers.items()}
    return {"token": piece.text, **written, "fate": LOOKS[piece.look].name}


def tree(decode: Callable[[Chance], str], words: Sequence[str]) -> pd.DataFrame:
    """Every branch of one round over a small vocabulary: what was drafted, decided and drawn then, how it began."""
    rows = []
    for outcome, branch in walk(decode):
        drawn = [words[choice.outcome] for choice in branch.choices if choice.kind == "draw"]
        kept = all(choice.outcome for choice in branch.choices if choice.kind == "accept")
        row = {"drafted": drawn[0], "accepted": kept, "drawn_then": drawn[1], "first_word": outcome}
        rows.append({**row, "probability": branch.probability})
    return pd.DataFrame(rows)


def side_by_side(
    decoders: Mapping[str, SpeculativeDecoder], prompt: str | Sequence[int], max_new_tokens: int = 48, repeats: int = 3
) -> pd.DataFrame:
    """Decoders on one prompt, warmed up and run in turn: speed against the first of them, and whether the text is its.

    A quick look in a notebook, at the fastest run of each; what is reported is measured by `Study.run`. Seconds include
    the prompt's forward.
    """
    for decoder in decoders.values():
        decoder.generate(prompt, max_new_tokens=min(8, max_new_tokens))
    runs = [{name: d.generate(prompt, max_new_tokens) for name, d in decoders.items()} for _ in range(repeats)]
    speeds = pd.DataFrame([{name: len(g.token_ids) / g.seconds for name, g in run.items()} for run in runs]).max()
    first = next(iter(decoders))
    return pd.DataFrame(
        {
            "tokens_per_second": speeds,
            "times_as_fast": speeds / speeds[first],
            "same_text": {name: g.token_ids == runs[0][first].token_ids for name, g in runs[0].items()},
            "tokens_per_round": {name: len(g.token_ids) / len(g.steps) for name, g in runs[0].items()},
            "acceptance": {name: g.acceptance_rate for name, g in runs[0].items()},
        }
    )


def token_pieces(tokenizer, text: str) -> HTML:
    """A text as its tokens, one colour after the other; a token that is one byte of a character shows that byte."""
    fills = ["#cfe8f3", "#fde4b8", "#d9efd0", "#f3d6e4"]
    boxes = []
    for i, token in enumerate(tokenizer(text, add_special_tokens=False, verbose=False).input_ids):
        piece = tokenizer.decode([token])
        piece = tokenizer.convert_ids_to_tokens(token) if "\ufffd" in piece else piece
        style = f"background:{fills[i % len(fills)]};color:#222;border-radius:3px;padding:0.15em 0.3em;margin-right:2px"
        boxes.append(f'<span title="{say("token", "トークン")} {token}" style="{style}">{escape(piece)}</span>')
    return HTML(f'<div lang="ja" style="font-size:16px;line-height:2.1;max-width:56em">{"".join(boxes)}</div>')


def texts(named: Mapping[str, str]) -> HTML:
    """Texts one below the other, each under its name, line breaks kept."""
    name_style = "font-size:0.85em;font-weight:bold;margin-top:0.7em"
    text_style = "border-left:3px solid #8a8a8a;padding-left:0.8em;white-space:pre-wrap"
    blocks = [
        f'<div style="{name_style}">{escape(name)}</div><div lang="ja" style="{text_style}">{escape(text)}</div>'
        for name, text in named.items()
    ]
    return HTML(f'<div style="font-size:15px;line-height:1.8;max-width:56em">{"".join(blocks)}</div>')
