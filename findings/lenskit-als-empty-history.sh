#!/usr/bin/env bash
# lenskit 2025.8.1: a query that says "this user, with an empty history" is answered by ALS from the user's training
# row, and by EASE and both kNN scorers with NaN.
#
# One would guess: a history that is given is the history, also when it is empty; all scorers of one library agree.
# Behaviour: `ImplicitMFScorer` (and `BiasedMFScorer`, by the same base class) uses the query's items only where there
#   is at least one, and else the vector that training gave this user. `user_embeddings=False` gives NaN.
# Why it matters: in a cold-start evaluation that shows the model the first k items of a user who is in the training
#   data, k = 0 (or k items that training does not know, left out) tells the model the user's whole history, silently.
# Source: lenskit/als/_common.py, `ALSBase.__call__` (`len(query.query_items) > 0`); the documentation of
#   `ALSConfig.user_embeddings` says "ignored if the query has historical items".
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" --disable-pip-version-check --quiet install lenskit==2025.8.1 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1
"$work/venv/bin/python" - << 'PYTHON'
import sys

import lenskit
import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.data import ItemList, RecQuery, from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer, UserKNNScorer
from lenskit.pipeline import topn_pipeline
from lenskit.training import TrainingOptions

random = np.random.default_rng(0)
rows = [(user, item) for user in range(30) for item in random.choice(12, 6, replace=False)]
data = pd.DataFrame(rows, columns=["user_id", "item_id"])
nobody = ItemList(item_ids=np.array([], dtype=np.int64))
asked = ItemList(item_ids=np.arange(12))
print("lenskit", lenskit.__version__)
found = {}
for name, scorer in {
    "ItemKNN": ItemKNNScorer(feedback="implicit"),
    "UserKNN": UserKNNScorer(feedback="implicit"),
    "EASE": EASEScorer(regularization=3.0),
    "ImplicitMF": ImplicitMFScorer(embedding_size=4),
    "ImplicitMF, user_embeddings=False": ImplicitMFScorer(embedding_size=4, user_embeddings=False),
}.items():
    pipeline = topn_pipeline(scorer)
    pipeline.train(from_interactions_df(data.copy()), TrainingOptions(rng=0))

    def score(user):
        query = RecQuery(user_id=user, history_items=nobody)
        return pipeline.run("scorer", query=query, items=asked).scores().astype(float)

    first, second = score(7), score(8)
    found[name] = "NaN" if np.isnan([first, second]).all() else "the user's own" if (first != second).any() else "?"
    print(f"{name}: {found[name]}; user 7: {np.round(first[:4], 2).tolist()}, user 8: {np.round(second[:4], 2).tolist()}")
expected = {name: "the user's own" if name == "ImplicitMF" else "NaN" for name in found}
sys.exit(found != expected)
PYTHON
