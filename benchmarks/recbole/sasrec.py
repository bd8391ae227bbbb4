"""SASRec of recbole 1.2.1, trained and asked by files; run by the python of `environment.sh`, which has no
starrec.

    python sasrec.py train FOLDER --until EPOCHS     goes on from FOLDER/checkpoint.pt
    python sasrec.py score FOLDER CHECKPOINT TASKS SCORES

FOLDER, as `starrec.evaluation.peers.exchange` writes it, has `training.npz` (`ptr`, `items`: each user's
training items, oldest first) and `settings.json`. Recbole gives the model, its loss and its training examples,
nothing else: no split (everything it is given is training), no negatives (softmax over all items), no
evaluation. Batches are of examples of about one length, which spares padding. Times are positions, for recbole
turns seconds into float32; the dataset is called `exchanged`, for `ml-100k` would make it read its own copy.

Every epoch ends with a checkpoint and has its own seed, so a training that was killed gives what it would have
given.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataloader.general_dataloader import TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender import SASRec

NAME = "exchanged"
BATCH_OF_TASKS = 256
SORTED_BATCHES = 64
"""Batches whose examples are sorted by length."""


def load(folder: Path):
    """The recbole configuration, its dataset of all training sequences, and an untrained SASRec."""
    given = json.loads((folder / "settings.json").read_text())
    settings = given["settings"]
    with np.load(folder / "training.npz", allow_pickle=False) as stored:
        ptr, items = stored["ptr"], stored["items"]
    with tempfile.TemporaryDirectory() as data:
        (Path(data) / NAME).mkdir()
        lengths = np.diff(ptr)
        users = np.repeat(np.arange(len(lengths)), lengths)
        positions = np.arange(len(items)) - np.repeat(ptr[:-1], lengths)
        with open(Path(data) / NAME / f"{NAME}.inter", "w") as file:
            file.write("user_id:token\titem_id:token\ttimestamp:float\n")
            for user, item, place in zip(users.tolist(), items.tolist(), positions.tolist(), strict=True):
                file.write(f"{user}\t{item}\t{place}\n")
        config = Config(
            model="SASRec",
            dataset=NAME,
            config_dict={
                "data_path": data,
                "USER_ID_FIELD": "user_id",
                "ITEM_ID_FIELD": "item_id",
                "TIME_FIELD": "timestamp",
                "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
                "loss_type": "CE",
                "train_neg_sample_args": None,
                "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "TO", "group_by": "user", "mode": "full"},
                "MAX_ITEM_LIST_LENGTH": settings["length"],
                "n_layers": settings["layers"],
                "n_heads": settings["heads"],
                "hidden_size": settings["width"],
                "inner_size": 4 * settings["width"],
                "hidden_dropout_prob": settings["dropout"],
                "attn_dropout_prob": settings["dropout"],
                "learning_rate": settings["learning_rate"],
                "train_batch_size": settings["batch"],
                "seed": given["seed"],
                "use_gpu": False,
                "show_progress": False,
                "state": "ERROR",
            },
        )
        dataset = create_dataset(config)
    torch.manual_seed(given["seed"])
    return given, config, dataset, SASRec(config, dataset)


def by_length(lengths: torch.Tensor, size: int) -> list[torch.Tensor]:
    """All examples once, in random batches of such as are about equally long, in random order."""
    shuffled = torch.randperm(len(lengths))
    parts = [part[torch.argsort(lengths[part])] for part in shuffled.split(size * SORTED_BATCHES)]
    batches = [batch for part in parts for batch in part.split(size)]
    return [batches[place] for place in torch.randperm(len(batches)).tolist()]


def save(path: Path, state: dict) -> None:
    """Put the file there whole or not at all."""
    beside = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    torch.save(state, beside)
    os.replace(beside, path)


def train(folder: Path, until: int) -> None:
    """Train up to so many epochs in all."""
    given, config, dataset, model = load(folder)
    optimizer = torch.optim.Adam(model.parameters(), lr=given["settings"]["learning_rate"])
    state = {"epochs": 0, "losses": [], "seconds": 0.0}
    if (folder / "checkpoint.pt").exists():
        stored = torch.load(folder / "checkpoint.pt", weights_only=True)
        model.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
        state = stored["state"]
    # What `Dataset.build` would do less its split: training examples are all prefixes of all sequences.
    dataset._change_feat_format()
    examples = TrainDataLoader(config, dataset, None, shuffle=False)
    lengths = dataset.inter_feat[dataset.item_list_length_field]
    model.train()
    while state["epochs"] < until:
        started = time.monotonic()
        seed = given["seed"] * 1_000_003 + state["epochs"]
        torch.manual_seed(seed)
        total, batches = 0.0, by_length(lengths, given["settings"]["batch"])
        for batch in batches:
            interaction = examples.collate_fn(batch)
            # Recbole pads every example to the longest that there may be; what stands after the end of the
            # longest of a batch changes nothing.
            longest = int(interaction[dataset.item_list_length_field].max())
            interaction.update(Interaction({"item_id_list": interaction["item_id_list"][:, :longest]}))
            optimizer.zero_grad()
            loss = model.calculate_loss(interaction)
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
        state = {
            "epochs": state["epochs"] + 1,
            "losses": [*state["losses"], total / len(batches)],
            "seconds": state["seconds"] + time.monotonic() - started,
        }
        stored = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}
        save(folder / "checkpoint.pt", stored)
        print(f"epoch {state['epochs']}: loss {state['losses'][-1]:.4f}, {state['seconds']:.0f} s", flush=True)
    print(json.dumps(state))


@torch.inference_mode()
def score(folder: Path, checkpoint: Path, tasks: Path, scores: Path) -> None:
    """Scores of the tasks' candidates by the model of a checkpoint; NaN for an item that training has not, and
    for every candidate of a history without an item that training has."""
    given, _, dataset, model = load(folder)
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    model.eval()
    length = given["settings"]["length"]
    with np.load(folder / "training.npz", allow_pickle=False) as stored:
        trained = np.unique(stored["items"])
    with np.load(tasks, allow_pickle=False) as stored:
        asked = {name: stored[name] for name in stored.files}
    # Recbole numbers items anew; 0 is its padding, and here an item that it does not know.
    most = max(int(part.max(initial=0)) for part in (trained, asked["history"], asked["candidates"]))
    own = np.zeros(most + 1, dtype=np.int64)
    own[trained] = [dataset.token2id(dataset.iid_field, str(item)) for item in trained.tolist()]
    history_ptr, candidates_ptr = asked["history_ptr"], asked["candidates_ptr"]
    found = np.full(len(asked["candidates"]), np.nan)
    for first in range(0, len(history_ptr) - 1, BATCH_OF_TASKS):
        rows = range(first, min(first + BATCH_OF_TASKS, len(history_ptr) - 1))
        known = [own[asked["history"][history_ptr[row] : history_ptr[row + 1]]] for row in rows]
        known = [items[items > 0][-length:] for items in known]
        sequence = torch.zeros((len(rows), length), dtype=torch.long)
        for place, items in enumerate(known):
            sequence[place, : len(items)] = torch.from_numpy(items)
        lengths = torch.tensor([max(len(items), 1) for items in known])
        every = model.full_sort_predict({"item_id_list": sequence, "item_length": lengths}).numpy()
        for place, row in enumerate(rows):
            columns = own[asked["candidates"][candidates_ptr[row] : candidates_ptr[row + 1]]]
            if len(known[place]):
                values = np.where(columns > 0, every[place, columns], np.nan)
                found[candidates_ptr[row] : candidates_ptr[row + 1]] = values
    beside = scores.with_name(f".tmp-{os.getpid()}-{scores.name}")
    with open(beside, "wb") as file:
        np.savez(file, scores=found, digest=asked["digest"])
    os.replace(beside, scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("--until", type=int, required=True)
    scoring = commands.add_parser("score")
    for name in ("folder", "checkpoint", "tasks", "scores"):
        scoring.add_argument(name, type=Path)
    given = vars(parser.parse_args())
    del sys.argv[1:]  # recbole reads it too
    command = given.pop("command")
    train(**given) if command == "train" else score(**given)


if __name__ == "__main__":
    main()
