"""A small evaluation whose numbers can be checked by hand."""

import numpy as np
import polars as pl
import pytest

from starrec.data import RankingTask, escape
from starrec.evaluation import ranks_frame, summarise
from starrec.ranking import Ranking

HOSTILE = "</script><script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)> & ⟦ [bold]"
CITING = {
    "traces": 5,
    "parsed": 5,
    "altered": 0,
    "citations": 10,
    "holds": 10,
    "unknown": 0,
    "misused": 0,
    "wrong_figure": 0,
    "uncited_numerals": 0,
    "recounted": 10,
    "recounted_wrong": 0,
    "reflections": 6,
    "reflections_with_cited_figure": 3,
}


def make_answers(system, target_ranks, *, seed=0, split="test", scenario="classic", n_candidates=20):
    """Rows of a system that puts the target at the given rank; target_ranks: {user_id: [rank of each draw]}.

    The target is item 7 everywhere, the candidates are 0 to n_candidates - 1.
    """
    others = [item for item in range(n_candidates) if item != 7]
    tasks, rankings = [], []
    for user, (user_id, ranks) in enumerate(target_ranks.items()):
        for draw, rank in enumerate(ranks):
            tasks.append(
                RankingTask(
                    task_id=f"{split}/{user_id}/{draw}",
                    user=user,
                    user_id=user_id,
                    history=np.array([90, 91], dtype=np.int32),
                    candidates=np.arange(n_candidates, dtype=np.int32),
                    scenario=scenario,
                    split=split,
                    draw=draw,
                )
            )
            rankings.append(Ranking((*others[: rank - 1], 7, *others[rank - 1 :])))
    return ranks_frame(system, tasks, rankings, dict.fromkeys((task.task_id for task in tasks), 7), seed=seed)


@pytest.fixture(name="answers")
def answers_fixture():
    """`make_answers`, for tests that need rows of their own."""
    return make_answers


@pytest.fixture
def hostile():
    """A text that tries to be HTML, an address to load, a mention and console markup."""
    return HOSTILE


@pytest.fixture
def ranks():
    """star puts the target first twice where the teacher does once; popularity lags, random is far behind."""
    return pl.concat(
        [
            make_answers("star", {"u": [1, 3], "v": [2, 1], "w": [1, 6]}),
            make_answers("teacher", {"u": [2, 3], "v": [4, 1], "w": [3, 9]}),
            make_answers("popularity", {"u": [4, 5], "v": [9, 2], "w": [7, 9]}),
            make_answers("random", {"u": [20, 11], "v": [14, 2], "w": [17, 10]}),
        ]
    )


@pytest.fixture
def facts():
    """What a run adds, with a hostile text wherever data gives one."""
    return {
        "teacher_kind": "embedded policy, no learned weights",
        "latency_ms": {
            "star": {"p50": 12.0, "p95": 18.0, "p99": 25.0, "n": 300, "throughput_per_s": 200.0},
            "teacher": {"p50": 4.0, "p95": 6.0, "p99": 9.0, "n": 300},
            "evidence": {"p50": 2.1, "p95": 3.0, "p99": 5.25, "n": 300},
        },
        "training": {
            "teach": {"tasks": 100, "runs": 400, "kept": 70, "labels_seen": 100, "seconds": 12.5},
            "sft": {"tasks": 70, "seconds": 30.0},
            "curves": {
                "sft": [{"step": 10, "loss": 2.5}, {"step": 20, "loss": 1.5}],
                "grpo": [{"step": 10, "reward": 0.5}, {"step": 20, "reward": 0.6, "validation_avg_hr": 0.7}],
            },
        },
        "faithfulness": {
            "star_think": CITING,
            "star_think_ungrounded": {**CITING, "holds": 7, "unknown": 2, "misused": 1, "uncited_numerals": 4},
        },
        "signal_distributions": {
            "tasks": {"trained_random": 960, "evaluated": 500, "trained_retrieved": 256, "live": 250},
            "signals": {
                "trend": {
                    "trained_random": {"unknown": 0.001, "quantiles": [0.0, 0.35, 2.9]},
                    "evaluated": {"unknown": 0.0, "quantiles": [0.0, 0.37, 2.8], "shift": 0.02},
                    "trained_retrieved": {"unknown": 0.0, "quantiles": [0.92, 3.3, 6.2]},
                    "live": {"unknown": 1.0, "quantiles": None, "shift": 1.0},
                },
                HOSTILE: {
                    "trained_random": {"unknown": 0.0, "quantiles": [-0.1, 0.125, 1.0]},
                    "evaluated": {"unknown": 0.03, "quantiles": [0.25, 0.5, 2.0], "shift": 0.2},
                    "trained_retrieved": {"unknown": 0.0, "quantiles": [0.5, 1.0, 2.0]},
                    "live": {"unknown": 0.0, "quantiles": [0.5, 1.0, 2.0], "shift": 0.19},
                },
            },
        },
        "data": {"users tested": 31},
        "settings": {"data.draws": "2"},
        "breakdown": {
            "a": "star",
            "b": "teacher",
            "groups": {"length": [{"group": "1–4", "difference": 0.1, "ci95": [-0.1, 0.2]}]},
        },
        "tie_seeds": {"1": {"star": 0.70}, "2": {"star": 0.71}},
        "worked_examples": [
            {
                "user_id": HOSTILE,
                "history": [HOSTILE, "Fargo (1996)"],
                "readable": [
                    {"who": "Planner", "text": "Asks about ⟦9|Fargo (1996)⟧ ‹A›.", "lines": []},
                    {
                        "who": "Reflector",
                        "text": escape(HOSTILE),
                        "lines": ["see ⟦1|&#60;i&#62;Tag⟧", escape(HOSTILE)],
                    },
                ],
                "steps": [
                    {"agent": "planner", "kind": "plan", "text": "Ask about ⟦9|Fargo (1996)⟧."},
                    {"agent": HOSTILE, "kind": HOSTILE, "text": HOSTILE},
                    {"agent": "recent_interest", "kind": "tool_response", "text": "see ⟦1|&#60;b&#62;Tag⟧"},
                ],
                "ranking": ["Fargo (1996)", HOSTILE],
                "target": HOSTILE,
                "rank": 2,
            }
        ],
        "data_sha256": "ab" * 32,
        "commit": "0123abcd",
        "environment": {"python": "3.11.2", "packages": {"polars": "2.1.0"}},
    }


@pytest.fixture
def results(ranks, facts):
    pairs = [("star", "teacher"), ("teacher", "popularity")]
    return summarise(
        ranks,
        dataset="tiny",
        comparisons=pairs,
        headline=("star", "teacher"),
        seed=0,
        n_resamples=200,
        facts=facts,
    )
