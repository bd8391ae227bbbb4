#!/usr/bin/env bash
# What one would guess: scipy.sparse.linalg.svds(A, k, v0=START, rng=SEED) gives the same vectors every time. The start
# vector is given, and `rng` is documented as the state of its random numbers.
#
# What it does (scipy 1.17.1, the default solver arpack): two calls in one process, with the same matrix, v0 and rng,
# give different singular vectors where singular values are equal: not by sign, and not by rounding. `svds` takes `rng`,
# uses it for v0 alone, and does not hand it to `eigsh`, whose restarts draw from the operating system's entropy. `eigsh`
# has an `rng` of its own; with it, the same decomposition repeats.
#
# Why it matters: a user-item matrix in which users fall into groups that share no item has equal singular values (1, as
# often as there are groups, after scaling by degrees), and one of fewer independent rows than k has zeros. Whatever
# takes single vectors of the result (drops the first as trivial, keeps k of n equal ones) then changes from run to run,
# with all seeds set. starrec takes the trivial direction away before the decomposition, and uses only cosines, which
# no rotation changes (src/starrec/data/scenarios.py).
#
# Source: https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.linalg.svds.html (`rng`), and
# https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.linalg.eigsh.html (`rng`).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1

"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import scipy
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import eigsh, svds

print("scipy", scipy.__version__)
# 60 users in three groups; a group's users took the same ten items and nobody else's: singular values 14.14 three times.
taken = np.zeros((60, 30))
for user in range(60):
    taken[user, 10 * (user % 3) : 10 * (user % 3) + 10] = 1
taken = csr_matrix(taken)
start = np.random.default_rng(0).standard_normal(30)


def apart(calls):
    """The largest difference between the first call's vectors and another's, whatever their signs."""
    return max(np.abs(np.abs(calls[0]) - np.abs(other)).max() for other in calls[1:])


values = svds(taken, k=4, v0=start, rng=0)[1]
by_svds = apart([svds(taken, k=4, v0=start, rng=0)[2] for _ in range(5)])
by_old_name = apart([svds(taken, k=4, v0=start, random_state=0)[2] for _ in range(5)])
gram = (taken.T @ taken).tocsr()
by_eigsh = apart([eigsh(gram, k=4, v0=start, rng=np.random.default_rng(0))[1] for _ in range(5)])
print("singular values:", np.round(values, 2).tolist())
print(f"svds, v0 and rng given, five calls: vectors apart by {by_svds:.3f}")
print(f"svds, v0 and random_state given:    vectors apart by {by_old_name:.3f}")
print(f"eigsh, v0 and rng given:            vectors apart by {by_eigsh:.3f}")
assert by_svds > 0.01 and by_old_name > 0.01, "svds repeats itself now"
assert by_eigsh < 1e-9, "eigsh does not repeat itself any more"
PYTHON
