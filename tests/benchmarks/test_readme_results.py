"""The README's table of results is written between its marks and nowhere else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from starrec.data import RankingTask
from starrec.evaluation import ranks_frame, summarise, write_results
from starrec.ranking import Ranking

ROOT = Path(__file__).resolve().parent.parent.parent


def test_results_are_filled_in_between_the_markers_only(tmp_path):
    others = list(range(1, 20))
    history, candidates = np.array([30], dtype=np.int32), np.arange(20, dtype=np.int32)
    task = RankingTask("test/u/0", 0, "u", history, candidates, split="test")
    ranks = pl.concat(
        ranks_frame(system, [task], [Ranking(items)], {"test/u/0": 0}, seed=0)
        for system, items in {"star": (0, *others), "teacher": (*others[:3], 0, *others[3:])}.items()
    )
    facts = {"teacher_kind": "embedded policy, no learned weights", "latency_ms": {"star": {"p50": 17.2}}}
    results = summarise(
        ranks, dataset="tiny", comparisons=[("star", "teacher")], seed=0, n_resamples=20, facts=facts
    )
    write_results(tmp_path / "results.json", results)
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold numbers\n<!-- /results -->\nafter\n")
    command = [sys.executable, ROOT / "benchmarks" / "readme_results.py", "--readme", readme]
    for _ in range(2):  # filling in again changes nothing
        subprocess.run([*command, "--results", tmp_path / "results.json"], check=True)
        text = readme.read_text()
        assert text.startswith("before\n<!-- results -->\n") and text.endswith("\n<!-- /results -->\nafter\n")
        # rank 1: HR@1 = HR@5 = avg_hr = 1; rank 4: HR@5 alone, so avg_hr = 1/3
        assert (
            "| `star` | student, fast: one pass over the candidates "
            "| 1.000 | 1.000–1.000 | 1.000 | 1.000 | 17 ms | – |" in text
        )
        assert "| `teacher` | MARS, seven agents | 0.333 |" in text
        assert "star over teacher: x3.000" in text and "(teacher: embedded policy, no learned weights)" in text
        assert "old numbers" not in text
    assert (tmp_path / "docs" / "report.png").read_bytes().startswith(b"\x89PNG")

    readme.write_text("no markers")
    failed = subprocess.run(
        [*command, "--results", tmp_path / "results.json"], capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1 and "<!-- results -->" in failed.stderr
    assert readme.read_text() == "no markers"
