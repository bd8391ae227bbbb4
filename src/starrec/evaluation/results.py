"""results.json: what the run found, every accuracy in it recomputable from ranks.parquet.

    evaluations   one for each (split, scenario): accuracy of each system, the mean over its training seeds,
                  with its 95% interval over users and seeds, `n_seeds`, and avg_hr `by_seed`; paired
                  comparisons, each on the tasks that both systems answered, with `n_seeds` of both, their
                  p-value and, but for the headline, `p_corrected` for the number of comparisons
    systems, comparisons   those of the test evaluation that a run is about (`classic`, or `item_cold_start`)
                  once more, where readers look first
    protocol      how intervals and p-values were made, and what gives the same ones again

Besides these, a run adds facts that ranks cannot tell and that are passed through as they are:

    data            counts of the dataset and its split, by their names for people
    breakdown       difference of star and teacher by groups of tasks (`breakdown`)
    settings        {"section.key": value} of those that are not at their default
    teacher_kind    what the teacher is, said wherever something is compared with it
    teacher_failures {reason: failed greedy runs of the teacher}
    reflection      {"changed_first", "raised_target", "lowered_target": shares of the tasks, "n_tasks"}: what
                    sending work back changed
    controls        {system: {"tries", "validation_avg_hr", "labels_seen", "seconds", "seeds", …}}, with
                    "broken" and "reference" where `mlp_evidence` is weaker than it was measured to be
    latency_ms      {system: {"p50", "p95", "p99", "n", "throughput_per_s"}}, and as "evidence" the time of
                    gathering all signals of a task: a system that ranks by one signal is not timed alone
    training        {stage: {"tasks", "runs", "kept", "labels_seen", "seconds", …}} and, as "curves",
                    {stage: [{"step": 10, NAME: value, …}, …]}
    faithfulness    {system: {"traces", "parsed", "altered", "citations", "holds", "unknown", "misused",
                    "wrong_figure", "uncited_numerals", "recounted", "recounted_wrong", "reflections",
                    "reflections_with_cited_figure"}} (`faithfulness`)
    tie_seeds       {seed: {system: avg_hr}}: how far the order of equal times moves the numbers
    split           {"kind", "from": [date, date] of a split at two moments, "users_without_history",
                    "users_trained_after_target"}: what was held out (`data.split`)
    scenarios       {scenario: {"tasks", "users", "users_without_a_task"}} (`data.scenarios`)
    not_measurable  {scenario: {"tasks", "needed"}}: scenarios with too few tasks; they have no evaluation, but
                    for the one that the run is about
    clock_note      {"within_one_day": share of users, "note"}: what the data's times do not allow to claim
    worked_examples [{"user_id", "history": [title], "steps": [{"agent", "kind", "text"}],
                    "ranking": [title], "target": title, "rank": 1}]; texts as they stand in messages
    full_catalogue  {system: {"recall@10", "ndcg@10", "coverage@10", "novelty@10", "ceiling@100", "n_users"}}
    signal_distributions  {"tasks": {kind of tasks: number}, "signals": {signal: {kind: {"unknown", "quantiles",
                    "shift"}}}}: what the student reads, trained, evaluated and live (`signal_shift`)
    cost, data_sha256, commit, policy_sha, environment
"""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from starrec.cores import cores
from starrec.errors import RunError
from starrec.evaluation.answers import Answers, answers_of
from starrec.evaluation.ranks import check_ranks, load_ranks
from starrec.ranking import avg_hr, holm, mean_ci, ratio_ci, summary
from starrec.runs import write_atomic

Results: TypeAlias = dict[str, Any]
"""What results.json holds."""

_COMPUTED: Final = ("evaluations", "systems", "comparisons", "protocol")
_PACKAGES: Final = ("starrec", "numpy", "scipy", "polars", "torch", "transformers", "tokenizers")


INTERVALS: Final = (
    "95%. One training seed: percentile bootstrap of users, all tasks of a user together. Several: t interval, "
    "variance of the users' bootstrap in closed form plus variance between seeds; ratios by their logarithm."
)
CORRECTION: Final = (
    "Two-sided p-values. The headline, the one comparison declared in the configuration, stands as it is; the "
    "other comparisons of each evaluation are corrected for their number by Holm's procedure."
)


def summarise(
    ranks: pl.DataFrame,
    *,
    dataset: str,
    comparisons: Iterable[tuple[str, str]],
    headline: tuple[str, str] | None = None,
    seed: int,
    n_resamples: int = 2000,
    facts: Mapping[str, object] | None = None,
) -> Results:
    """The structure of results.json from ranks (`RANKS_SCHEMA`) and facts.

    Args:
        comparisons: pairs (a, b) for the ratio of a's avg_hr over b's; a pair of which an evaluation lacks a
            system, or any task that both answered, is left out there.
        headline: the pair that was declared before the run, compared beside the others; the headline is its
            comparison in the classic test evaluation.
        seed: of the bootstrap.
        facts: further keys, passed through.

    Raises:
        RunError: there are no ranks, or `check_ranks` refuses them; the headline cannot be
            compared on the classic test tasks; no task was answered by all training seeds of a system.
        ValueError: a fact has the name of a computed key.
    """
    check_ranks(ranks, source="ranks")
    if ranks.is_empty():
        raise RunError("There are no ranks to summarise. Run `starrec evaluate` on at least one task.")
    if taken := sorted(set(facts or {}) & set(_COMPUTED)):
        raise ValueError(f"facts may not hold computed keys: {', '.join(taken)}")
    pairs = [(a, b) for a, b in comparisons]
    if headline is not None:
        pairs = [headline, *(pair for pair in pairs if pair != headline)]
    scored = ranks.with_columns(avg_hr=avg_hr(ranks["target_rank"]))
    evaluations = [
        _evaluation(
            part, dataset=dataset, comparisons=pairs, headline=headline, seed=seed, n_resamples=n_resamples
        )
        # The headline first: classic before the other scenarios, test before validation.
        for part in sorted(scored.partition_by("split", "scenario"), key=_place)
    ]
    first: dict[str, Any] = next(filter(_is_headline, evaluations), {"systems": {}, "comparisons": []})
    return {
        "evaluations": evaluations,
        "systems": first["systems"],
        "comparisons": first["comparisons"],
        "protocol": {
            "metric": "avg_hr",
            "comparisons": [list(pair) for pair in pairs],
            "headline": headline and list(headline),
            "intervals": INTERVALS,
            "p_values": CORRECTION,
            "bootstrap_seed": seed,
            "bootstrap_resamples": n_resamples,
        },
        **(facts or {}),
    }


def recompute(ranks_path: Path, results_path: Path) -> Results:
    """Compute evaluations, systems and comparisons again from ranks, keep the other facts, and write the
    file.

    Raises:
        RunError: either file is missing or unreadable.
    """
    recorded = read_results(results_path)
    try:
        protocol, dataset = recorded["protocol"], recorded["evaluations"][0]["dataset"]
        computed = summarise(
            load_ranks(ranks_path),
            dataset=dataset,
            comparisons=[(a, b) for a, b in protocol["comparisons"]],
            headline=protocol["headline"] and tuple(protocol["headline"]),
            seed=protocol["bootstrap_seed"],
            n_resamples=protocol["bootstrap_resamples"],
        )
    except (KeyError, IndexError) as error:
        raise RunError(
            f"{results_path} does not say how it was computed (no {error}). Run `starrec evaluate` without "
            "--recompute."
        ) from error
    results = {**computed, **{key: value for key, value in recorded.items() if key not in _COMPUTED}}
    write_results(results_path, results)
    return results


def write_results(path: Path, results: Results) -> Path:
    """Write results.json whole or not at all; `ValueError` for a number that JSON cannot say (NaN)."""
    return write_atomic(path, json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_results(path: Path) -> Results:
    """Read results.json.

    Raises:
        RunError: it is missing or unreadable.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"Cannot read results {path}: {error}. Delete the file, if it is there, and run `starrec evaluate`."
        ) from error
    if not isinstance(results, dict):
        raise RunError(f"{path} does not hold results. Delete it and run `starrec evaluate`.")
    return results


def environment() -> dict[str, Any]:
    """What numbers, times above all, depend on, without naming a machine, a person or a path."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": cores(),
        "packages": versions,
    }


def code_commit() -> str:
    """The commit of the checkout that this code runs from; "unknown" where it is no checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip() or "unknown"


def _evaluation(
    ranks: pl.DataFrame,
    *,
    dataset: str,
    comparisons: Sequence[tuple[str, str]],
    headline: tuple[str, str] | None,
    seed: int,
    n_resamples: int,
) -> dict[str, Any]:
    split, scenario = str(ranks["split"][0]), str(ranks["scenario"][0])
    sizes = ranks["candidates"].list.len().unique().sort().to_list()
    if len(sizes) > 1:
        raise RunError(
            f"Tasks of {split}/{scenario} have {sizes[0]} to {sizes[-1]} candidates: their numbers would "
            "have no common chance level. Evaluate each size as a scenario of its own."
        )
    parts = {str(part["system"][0]): answers_of(part) for part in ranks.partition_by("system")}
    systems = {name: _accuracy(part, seed=seed, n_resamples=n_resamples) for name, part in parts.items()}
    found: dict[str, Any] = {
        "dataset": dataset,
        "split": split,
        "scenario": scenario,
        "negatives": sizes[0] - 1,
        "seeds": ranks["seed"].unique().sort().to_list(),
        "systems": dict(sorted(systems.items(), key=lambda item: (-item[1]["avg_hr"], item[0]))),
    }
    compared = [
        {"a": a, "b": b, **comparison}
        for a, b in comparisons
        if a in parts
        and b in parts
        and (comparison := _compare(parts[a], parts[b], seed=seed, n_resamples=n_resamples))
    ]
    declared = headline if _is_headline(found) else None
    if declared and declared not in [(pair["a"], pair["b"]) for pair in compared]:
        raise RunError(
            f"The headline compares {declared[0]} with {declared[1]}, which did not both rank one of the "
            f"classic test tasks. Set [evaluation] headline to two of: {', '.join(found['systems'])}."
        )
    found["comparisons"] = _corrected(compared, declared)
    return found


def _accuracy(answers: Answers, *, seed: int, n_resamples: int) -> dict[str, Any]:
    interval = mean_ci(answers.avg_hr, answers.users, seed=seed, n_resamples=n_resamples)
    means = {name: _rounded(value) for name, value in summary(answers.ranks.ravel()).items()}
    left_out = {"n_tasks_left_out": answers.left_out} if answers.left_out else {}
    return {
        **means,
        "avg_hr_ci95": [_rounded(bound) for bound in interval],
        "n_seeds": len(answers.seeds),
        "by_seed": {
            str(own): _rounded(float(values.mean()))
            for own, values in zip(answers.seeds, answers.avg_hr, strict=True)
        },
        "n_users": len(np.unique(answers.users)),
        "n_tasks": len(answers.tasks),
        **left_out,
    }


def _compare(a: Answers, b: Answers, *, seed: int, n_resamples: int) -> dict[str, Any] | None:
    _, in_a, in_b = np.intersect1d(a.tasks, b.tasks, assume_unique=True, return_indices=True)
    if not len(in_a):
        return None
    found = ratio_ci(a.avg_hr[:, in_a], b.avg_hr[:, in_b], a.users[in_a], seed=seed, n_resamples=n_resamples)
    return {
        "metric": "avg_hr",
        "ratio": _rounded(found.ratio),
        "ci95": [_rounded(found.lo), _rounded(found.hi)],
        "p": _rounded(found.p),
        "n_seeds": [len(a.seeds), len(b.seeds)],
        "n_users": found.n_users,
        "n_tasks": found.n_tasks,
    }


def _corrected(compared: list[dict[str, Any]], headline: tuple[str, str] | None) -> list[dict[str, Any]]:
    """The comparisons with the headline marked and the p-values of the others corrected for their number."""
    others = [pair for pair in compared if (pair["a"], pair["b"]) != headline]
    for pair, p in zip(others, holm([pair["p"] for pair in others]), strict=True):
        pair["p_corrected"] = _rounded(p)
    for pair in compared:
        pair["headline"] = "p_corrected" not in pair
    return compared


def _rounded(value: float) -> float | None:
    """Six digits after the point: beyond any interval's width, and equal on machines that sum in other
    orders. A ratio that does not exist is null."""
    return round(value, 6) if math.isfinite(value) else None


def _place(ranks: pl.DataFrame) -> tuple[bool, bool, str, str]:
    split, scenario = str(ranks["split"][0]), str(ranks["scenario"][0])
    return scenario != "classic", split != "test", split, scenario


def _is_headline(evaluation: Mapping[str, Any]) -> bool:
    return bool(evaluation["split"] == "test" and evaluation["scenario"] in ("classic", "item_cold_start"))
