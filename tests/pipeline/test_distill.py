"""The `distill` step needs users to validate on, and the steps before it do without."""

import pytest

from starrec.errors import DataError
from starrec.teacher import TeacherConfig


def test_a_split_without_validation_is_reported_early_and_refused_before_training(open_run):
    rows = [(f"u{user}", (user + item) % 40, item, "train") for user in range(8) for item in range(8)]
    rows += [(f"u{user}", (user + 20) % 40, 99, "test") for user in range(8)]
    lines = []
    with open_run(rows, announce=lines.append, teacher=TeacherConfig(tasks_per_user=1, runs=1)) as pipeline:
        assert pipeline.teach()["tasks"] == 8
        assert any("validation item" in line and "`distill`" in line for line in lines)
        with pytest.raises(DataError, match=r"no user in validation half A.*--validation-interactions"):
            pipeline.distill()
