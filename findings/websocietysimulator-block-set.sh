#!/usr/bin/env bash
# What one would guess: in the local evaluation of the AgentSociety challenge (websocietysimulator), an agent's
# `interaction_tool.get_reviews(user_id=...)` does not return the review that the task asks about; and with
# `cache=True` the same reviews are hidden as without.
#
# What it does (websocietysimulator 1.0.0a30): `Simulator(data_dir=...)`, as the README's quick start has it, hides
# nothing. The reviews of tasks are hidden only where `block_set_dir` is given, a folder with `tasks` and
# `groundtruth` in it. With `cache=True` the block set counts only when the cache in DATA_DIR/lmdb_cache is first
# filled: after one run without it, a later run with it still returns what it should hide, and after a run with one
# block set, other tasks are asked with the old one.
#
# Why it matters: an agent that looks for candidates in the user's own reviews gets HR@1 of 1.0, and any agent that
# reads the history into a prompt has the answer in it. Scores of such a run are no scores. starrec takes reviews of
# (user, true item) out of its data, and its agent drops reviews of candidates from a history, whatever the tool
# returns (src/starrec/agentsociety.py).
#
# Source: the package's README ("Evaluation your agent with training data") and tools/interaction_tool.py,
# tools/cache_interaction_tool.py; https://github.com/tsinghua-fib-lab/AgentSocietyChallenge
#
# The package's two tools are loaded from its own files: importing the package wants torch and a network.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip="$folder/venv/bin/pip install --quiet --disable-pip-version-check"
$pip pandas==2.2.3 lmdb==1.6.2 tqdm==4.67.1
$pip --no-deps websocietysimulator==1.0.0a30

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import importlib.util
import json
from pathlib import Path

print("websocietysimulator", importlib.metadata.version("websocietysimulator"))
package = Path(next(
    file.locate() for file in importlib.metadata.files("websocietysimulator") if file.name == "interaction_tool.py"
)).parent


def tool(module, name):
    spec = importlib.util.spec_from_file_location(module, package / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return getattr(loaded, name)


InteractionTool = tool("interaction_tool", "InteractionTool")
CacheInteractionTool = tool("cache_interaction_tool", "CacheInteractionTool")

# 20 users, each asked about one of the 3 items that she reviewed, among 20.
data, block = Path("data"), Path("block")
for each in (data, block / "tasks", block / "groundtruth"):
    each.mkdir(parents=True)
items = [f"i{item}" for item in range(60)]
reviews = []
for user in range(20):
    for place in range(3):
        reviews.append({"review_id": f"{user}-{place}", "user_id": f"u{user}", "item_id": items[user + 20 * place]})
    task = {"type": "recommendation", "user_id": f"u{user}", "candidate_list": items[40:]}
    (block / "tasks" / f"task_{user}.json").write_text(json.dumps(task))
    (block / "groundtruth" / f"groundtruth_{user}.json").write_text(json.dumps({"ground truth": items[user + 40]}))
for name, rows in (
    ("user", [{"user_id": f"u{user}"} for user in range(20)]),
    ("item", [{"item_id": item} for item in items]),
    ("review", reviews),
):
    (data / f"{name}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))


def hit_rate(interaction_tool):
    """HR@1 of putting candidates first that stand in the user's own reviews."""
    hits = 0
    for user in range(20):
        seen = {review["item_id"] for review in interaction_tool.get_reviews(user_id=f"u{user}")}
        hits += sorted(items[40:], key=lambda item: item not in seen)[0] == items[user + 40]
    return hits / 20


found = {
    "no block set": hit_rate(InteractionTool("data")),
    "block set": hit_rate(InteractionTool("data", "block")),
    "cache, no block set": hit_rate(CacheInteractionTool("data")),
    "cache, then block set": hit_rate(CacheInteractionTool("data", "block")),
}
for name, rate in found.items():
    print(f"{name}: HR@1 {rate:.2f} of looking candidates up in the user's reviews")
# With the reviews hidden it is the first candidate of each list, true for one user of 20.
assert found == {
    "no block set": 1.0,
    "block set": 0.05,
    "cache, no block set": 1.0,
    "cache, then block set": 1.0,
}, found
PYTHON
