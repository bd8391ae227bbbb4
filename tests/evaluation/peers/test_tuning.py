"""Settings are chosen on validation half B, with every try written down."""

import json

import numpy as np
import pytest

from starrec.errors import StarrecError
from starrec.evaluation.peers import Peer, tune

GRID = ({"level": 0}, {"level": 1}, {"level": 2}, {"level": 1.5})


class Levelled:
    """Puts the last candidate first at level 1 and above, and has no score for the others at level 2."""

    converged = True

    def __init__(self, level):
        self.level = level

    def scores(self, tasks):
        return [
            np.array([np.nan if self.level == 2 else 0.0] * (len(task.candidates) - 1) + [self.level - 0.5])
            for task in tasks
        ]


@pytest.fixture
def levelled():
    """A peer of that kind, and the settings that it was fitted with."""
    fitted = []

    def fit(split, dataset, settings, seed, *, half_a, folder, final):
        fitted.append((settings["level"], seed, final))
        return Levelled(settings["level"])

    return Peer("levelled", "", GRID, fit, lambda: "1"), fitted


@pytest.fixture
def half_b(task):
    tasks = [task(0, [5], [1, 2, 3, 4], f"live/{number}") for number in range(10)]
    return tasks, {made.task_id: 4 for made in tasks}


def run(peer, small, split, half_b, folder):
    return tune(peer, split, small, half_b, half_a=([], {}), folder=folder)


def test_the_best_of_half_b_is_chosen_and_every_try_recorded(small, split, levelled, half_b, tmp_path):
    """Level 0 puts the target last of four: a hit at 5 alone, 1/3. The others put it first: 1."""
    peer, fitted = levelled
    tuned = run(peer, small, split, half_b, tmp_path)
    assert [found.validation_avg_hr for found in tuned.tries] == pytest.approx([1 / 3, 1, 1, 1])
    assert [found.unscored for found in tuned.tries] == [0, 0, 30, 0]
    assert tuned.settings == {"level": 1}  # the first of equal ones
    assert tuned.validation_avg_hr == 1
    assert fitted == [(0, 0, False), (1, 0, False), (2, 0, False), (1.5, 0, False)]


def test_what_was_tried_is_not_tried_again(small, split, levelled, half_b, tmp_path):
    peer, fitted = levelled
    first = run(peer, small, split, half_b, tmp_path)
    tries = json.loads((tmp_path / "tries.json").read_text())
    (tmp_path / "tries.json").write_text(json.dumps(tries[:2]))  # as if it was killed there
    del fitted[:]
    again = run(peer, small, split, half_b, tmp_path)
    assert [level for level, _, _ in fitted] == [2, 1.5]
    assert [found.validation_avg_hr for found in again.tries] == [
        found.validation_avg_hr for found in first.tries
    ]


def test_half_b_must_have_tasks_and_the_record_be_readable(small, split, levelled, half_b, tmp_path):
    with pytest.raises(StarrecError, match="half B, which has no tasks"):
        run(levelled[0], small, split, ([], {}), tmp_path)
    (tmp_path / "tries.json").write_text('[{"settings": {}}]')
    with pytest.raises(StarrecError, match=r"tries\.json holds no record"):
        run(levelled[0], small, split, half_b, tmp_path)
