"""A probe for leaks: shuffle the item column of all interactions, then run the whole pipeline.

Shuffled, who takes what says nothing but how popular items are. A system that then ranks better than
popularity has seen something that it should not have.

    .venv/bin/python benchmarks/leak_probe.py [--config configs/demo.toml] [--run runs/leak-probe]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.progress import Progress

from starrec.config import load_toml
from starrec.evaluation import load_ranks, print_results
from starrec.pipeline import Pipeline, RunConfig
from starrec.ranking import avg_hr, ratio_ci

_SYSTEMS = ("star", "star_sft", "teacher", "item_cf", "user_cf", "transitions", "ease")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--config", type=Path, default=Path("configs/demo.toml"))
    arguments.add_argument("--run", type=Path, default=Path("runs/leak-probe"))
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    console = Console()
    config = load_toml(given.config, RunConfig)

    with Pipeline.open(given.run / "source", config, announce=console.print) as pipeline:
        dataset = pipeline.data()
    shuffled = dataset.interactions.with_columns(
        pl.Series(
            "item", np.random.default_rng(given.seed).permutation(dataset.interactions["item"].to_numpy())
        )
    )
    interactions, items = given.run / "interactions.parquet", given.run / "items.parquet"
    shuffled.select(
        pl.Series("user_id", [dataset.user_ids[user] for user in shuffled["user"]]),
        pl.Series("item_id", [dataset.item_ids[item] for item in shuffled["item"]]),
        pl.col("time").alias("timestamp"),
    ).write_parquet(interactions)
    dataset.items.write_parquet(items)

    own = config.data.model_copy(update={"source": "tables", "interactions": interactions, "items": items})
    with (
        Progress(console=console) as progress,
        Pipeline.open(
            given.run / "shuffled",
            config.model_copy(update={"data": own}),
            announce=console.print,
            progress=progress,
        ) as pipeline,
    ):
        results = pipeline.run()
    print_results(console, results)

    ranks = load_ranks(given.run / "shuffled" / "results" / "ranks.parquet")
    popularity = ranks.filter(pl.col("system") == "popularity")
    leaks = []
    for name in _SYSTEMS:
        both = ranks.filter(pl.col("system") == name).join(
            popularity, on="task_id", how="inner", suffix="_popularity"
        )
        users = both["user_id"].to_physical() if both["user_id"].dtype == pl.Categorical else both["user_id"]
        compared = ratio_ci(
            avg_hr(both["target_rank"].to_numpy()),
            avg_hr(both["target_rank_popularity"].to_numpy()),
            users.rank("dense").to_numpy() - 1,
            seed=given.seed,
        )
        leak = compared.lo > 1
        leaks += [name] if leak else []
        console.print(
            f"{name} over popularity: x{compared.ratio:.3f} [{compared.lo:.3f}, {compared.hi:.3f}] "
            f"{'LEAK' if leak else 'no better'}"
        )
    print(json.dumps({"leaks": leaks}))
    if leaks:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
