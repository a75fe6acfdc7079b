#!/usr/bin/env bash
# Runs the embedded target in the library of 2023 and writes its logits for the tests: see README.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
env=../../runs/oracle
python=${PYTHON:-python3.11}

if ! cmp -s requirements.txt "$env/installed"; then
  "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || {
    echo "run.sh: the library of 2023 needs Python 3.11 with its venv module: install it, or name it in PYTHON." >&2
    exit 1
  }
  echo "Installing optimum 1.16.2 and the packages of its day into runs/oracle ..."
  rm -f "$env/installed"
  "$python" -m venv --clear "$env"
  "$env/bin/python" -m pip install -q --disable-pip-version-check -r requirements.txt
  # Without the data sets and exporters it asks for, which a transformation never imports.
  "$env/bin/python" -m pip install -q --disable-pip-version-check --no-deps optimum==1.16.2
  cp requirements.txt "$env/installed"
fi
"$env/bin/python" oracle.py
