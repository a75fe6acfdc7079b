#!/usr/bin/env bash
# The book, from the executed notebooks in English and in Japanese, into book/_build/html. It runs no notebook.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python=${PYTHON:-../.venv/bin/python}

rm -rf _build
for language in en ja; do
  export BOOK_LANGUAGE=$language
  "$python" assemble.py "$language" "_build/source/$language" "_build/downloads/$language"
  "$python" -m sphinx -q -W --keep-going -b html -c . -d "_build/doctrees/$language" \
    "_build/source/$language" "_build/html/$language"
done
cp index.html _build/html/
"$python" check.py _build/html
