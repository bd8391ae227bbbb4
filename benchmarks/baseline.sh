#!/usr/bin/env bash
# What "today" means in issues and bars: checkout, environment and demo of commit 728a73c, made once and kept
# outside the repository.
#
#     benchmarks/baseline.sh                      makes what is missing and prints the paths
#     TORCH_INDEX=https://... benchmarks/baseline.sh    takes PyTorch from another index
#
# What was stopped, or killed, goes on where it was. The demo takes about 25 minutes on two cores.
set -euo pipefail

COMMIT=728a73ce18a73ff8600bbc9a5b7961a477deaa6b
HOME_OF_BASELINES="${XDG_CACHE_HOME:-$HOME/.cache}/starrec/baseline"
FOLDER="$HOME_OF_BASELINES/${COMMIT:0:7}"
TREE="$FOLDER/tree"
REPOSITORY="$(cd "$(dirname "$0")/.." && pwd)"

fail() {
    echo "error: $*" >&2
    exit 2
}

# A caller's PYTHONPATH would put other code in the place of the baseline's.
unset PYTHONPATH VIRTUAL_ENV

mkdir -p "$FOLDER"
# The lock is held by what this starts, too: a killed script whose demo goes on keeps it.
exec 9> "$FOLDER/.lock"
flock --nonblock 9 || fail "Another process makes the baseline in $FOLDER. Wait for it to end."

# A clone and no `git worktree`: nothing is written into this repository, and moving it breaks nothing.
if [ ! -e "$FOLDER/.checked-out" ]; then
    git -C "$REPOSITORY" cat-file -e "$COMMIT^{commit}" 2> /dev/null ||
        fail "Commit ${COMMIT:0:7} is not in $REPOSITORY. Fetch the whole history: git fetch --unshallow"
    echo "checking out ${COMMIT:0:7} into $TREE" >&2
    rm -rf "$TREE"
    git clone --quiet --no-checkout "$REPOSITORY" "$TREE"
    git -C "$TREE" checkout --quiet --detach "$COMMIT"
    touch "$FOLDER/.checked-out"
fi

# Its own Makefile makes its environment (PyTorch 2.13.0) and does nothing where that is complete.
make --no-print-directory -C "$TREE" .venv/.installed TORCH_INDEX="${TORCH_INDEX:-}" >&2

if [ ! -e "$FOLDER/.demo-done" ]; then
    echo "running its demo (about 25 minutes on two cores; log in $FOLDER/demo.log)" >&2
    started=$(date +%s)
    make --no-print-directory -C "$TREE" demo TORCH_INDEX="${TORCH_INDEX:-}" >> "$FOLDER/demo.log" 2>&1 ||
        fail "The demo of ${COMMIT:0:7} ended with $?. See $FOLDER/demo.log, and run the same command to go on."
    echo "demo took $(($(date +%s) - started)) s in this call" >&2
    touch "$FOLDER/.demo-done"
fi

echo "tree     $TREE"
echo "starrec  $TREE/.venv/bin/starrec"
echo "run      $TREE/runs/demo"
echo "results  $TREE/runs/demo/results.json"
