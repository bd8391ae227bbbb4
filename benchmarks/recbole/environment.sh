#!/usr/bin/env bash
# Makes the Python environment of the peer recbole_sasrec (about 1.2 GB), outside the checkout:
#     bash benchmarks/recbole/environment.sh [PYTHON]
# It lies in ~/.cache/starrec/environments (XDG_CACHE_HOME is followed); STARREC_RECBOLE names another folder.
# TORCH_INDEX=https://... takes PyTorch from another index. Recbole cannot live beside starrec: it wants numpy 1 and
# pandas 2.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="${STARREC_RECBOLE:-${XDG_CACHE_HOME:-$HOME/.cache}/starrec/environments/recbole-1.2.1}"
if compgen -G "$folder/lib/python*/site-packages/recbole-1.2.1.dist-info" > /dev/null; then
    echo "recbole 1.2.1 is in $folder"
    exit 0
fi
making="$folder.making"
rm -rf "$making"
"${1:-python3}" -m venv "$making"
pip=("$making/bin/python" -m pip --disable-pip-version-check --quiet install)
# PyTorch first: its index may not have the rest.
"${pip[@]}" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --no-deps "$(grep '^torch==' "$here/requirements.txt")"
"${pip[@]}" --no-deps -r "$here/requirements.txt"
(cd "$here" && "$making/bin/python" -c "import sys; sys.argv[1:] = []; import sasrec")
# In place last: a folder that is there is whole. What runs is its python, so the scripts' paths do not matter.
rm -rf "$folder"
mv "$making" "$folder"
echo "recbole 1.2.1 is in $folder"
