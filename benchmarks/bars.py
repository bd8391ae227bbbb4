"""The bars of the first release beside what a run measured, read from its results.json; what has no bar stands
below them.

.venv/bin/python benchmarks/bars.py [--run runs/demo]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from starrec.evaluation import load_ranks, read_results
from starrec.evaluation.wording import citation_lines
from starrec.ranking import avg_hr


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--run", type=Path, default=Path("runs/demo"))
    given = arguments.parse_args()
    results = read_results(given.run / "results.json")
    for name, value, holds in bars(results, given.run):
        print(f"{'met   ' if holds else 'MISSED'}  {name}: {value}")
    for name, value in figures(results):
        print(f"        {name}: {value}")


def ratio(results: dict[str, Any], a: str, b: str) -> str:
    """A comparison with its interval."""
    pair = next(pair for pair in results["comparisons"] if (pair["a"], pair["b"]) == (a, b))
    low, high = pair["ci95"]
    return f"x{pair['ratio']:.3f} [{low:.3f}, {high:.3f}], n={pair['n_users']} users"


def figures(results: dict[str, Any]) -> list[tuple[str, str]]:
    """What is reported without a bar, because there is none to miss or because it holds by construction."""
    reflection, taught = results["reflection"], results["training"]["teach"]
    faith = results["faithfulness"]["star_think"]
    return [
        (
            "what sending work back adds",
            f"{ratio(results, 'teacher', 'teacher_no_reflection')}; it changed the first place in "
            f"{reflection['changed_first']:.1%} of tasks, raised the target in "
            f"{reflection['raised_target']:.1%}, lowered it in {reflection['lowered_target']:.1%}",
        ),
        (
            "pass@1 and pass@K on training tasks",
            ", ".join(f"{name} {value:.3f}" for name, value in taught.items() if name.startswith("pass@")),
        ),
        (
            "think traces that parse (by construction: only tags that the linear form allows can be decoded)",
            f"{faith['parsed']} of {faith['traces']}",
        ),
        *(("citations", line) for line in citation_lines(results)),
    ]


def bars(results: dict[str, Any], run: Path) -> list[tuple[str, str, bool]]:
    """Each bar with what was measured and whether it holds."""
    systems, latency = results["systems"], results["latency_ms"]
    avg = {name: system["avg_hr"] for name, system in systems.items()}
    pairs = {(pair["a"], pair["b"]): pair for pair in results["comparisons"]}
    ranks = load_ranks(run / "results" / "ranks.parquet")
    chance = avg_hr(ranks.filter(ranks["system"] == "random")["target_rank"].to_numpy())
    error = float(chance.std() / len(chance) ** 0.5)
    best = results["best_tool"]["name"]
    probes, citing = results["probes"], results["faithfulness"].values()
    altered, wrong, cited = (
        sum(counts[name] for counts in citing) for name in ("altered", "recounted_wrong", "recounted")
    )
    return [
        (
            "random avg_hr is 0.15 within 3 standard errors",
            f"{avg['random']:.4f}, standard error {error:.4f}",
            abs(avg["random"] - 0.15) <= 3 * error,
        ),
        ("teacher avg_hr at least 0.68", f"{avg['teacher']:.4f}", avg["teacher"] >= 0.68),
        (
            f"teacher not below the best single tool ({best}, chosen on validation half B)",
            f"{avg['teacher']:.4f} and {avg[best]:.4f}, {ratio(results, 'teacher', best)}",
            avg["teacher"] >= avg[best],
        ),
        (
            "star avg_hr at least 0.68",
            f"{avg['star']:.4f} (star_sft {avg['star_sft']:.4f})",
            avg["star"] >= 0.68,
        ),
        ("star above its teacher", ratio(results, "star", "teacher"), avg["star"] > avg["teacher"]),
        (
            "star_think over its teacher at least 0.95",
            ratio(results, "star_think", "teacher"),
            pairs["star_think", "teacher"]["ratio"] >= 0.95,
        ),
        (
            "exchanged evidence exchanges the order, at least 80%",
            f"{probes['exchange_turns']:.3f} of {probes['n']}",
            probes["exchange_turns"] >= 0.80,
        ),
        ("no evidence costs at least 0.10 avg_hr", f"{probes['none_costs']:.3f}", probes["none_costs"] >= 0.10),
        (
            "no tool answers a trace's call otherwise than the trace says",
            f"{altered} answers differ",
            altered == 0,
        ),
        ("every fact that traces cite is counted again", f"{wrong} of {cited} differ", wrong == 0),
        (
            "star p50 at most 30 ms, p99 at most 100 ms",
            f"{latency['star']['p50']:.1f} and {latency['star']['p99']:.1f} ms",
            latency["star"]["p50"] <= 30 and latency["star"]["p99"] <= 100,
        ),
        (
            "star_think p50 at most 1.5 s",
            f"{latency['star_think']['p50']:.0f} ms",
            latency["star_think"]["p50"] <= 1500,
        ),
    ]


if __name__ == "__main__":
    main()
