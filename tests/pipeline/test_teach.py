"""The `teach` step says why there is no task to teach about, by the split of the data, and what helps."""

import re

import pytest

from starrec.errors import DataError
from starrec.teacher import TeacherConfig


def taken(count, part=None):
    """Two users who took so many items; with the part of a split of their own."""
    rest = () if part is None else (part,)
    return [(user, item, 100 * item, *rest) for user in ("u", "v") for item in range(count)]


def refusal(pipeline):
    with pipeline, pytest.raises(DataError, match="nobody to teach about") as refused:
        pipeline.teach()
    return str(refused.value)


def test_leave_one_out_counts_the_two_that_are_held_out(open_run):
    # Five each, two held out: three to train on, so two before the last of these, where three are needed.
    message = refusal(open_run(taken(5), teacher=TeacherConfig(min_history=3)))
    assert "two more are held out, so a user with 6 interactions" in message and "your own split" not in message
    assert "`[teacher] min_history = 2`" in message


def test_a_split_of_ones_own_counts_the_training_part_alone(open_run):
    # Three to train on however many are held out.
    held_out = [(user, 30 + item, 9000 + item, "test") for user in ("u", "v") for item in range(4)]
    message = refusal(open_run(taken(3, "train") + held_out, teacher=TeacherConfig(min_history=3)))
    assert "so a user with 4 interactions in the training part of your own split" in message
    assert "two more are held out" not in message
    advised = int(re.search(r"`\[teacher\] min_history = (\d+)`", message)[1])
    assert advised == 2
    # The advice is true: with it there are tasks, and with one more there are none.
    config = TeacherConfig(min_history=advised, runs=1)
    with open_run(taken(3, "train") + held_out, teacher=config) as pipeline:
        assert pipeline.teach()["tasks"] == 2
    assert "nobody to teach" in refusal(
        open_run(taken(3, "train") + held_out, teacher=TeacherConfig(min_history=advised + 1))
    )


def test_too_little_to_train_on_is_told_apart_by_the_split(open_run):
    # Three each: by leave-one-out one is left to train on.
    message = refusal(open_run(taken(3)))
    assert (
        "after the last two items of each user are held out" in message and "at least 4 interactions" in message
    )


def test_too_little_in_the_training_part_of_ones_own_split(open_run):
    rows = [(u, item, item, "train" if item == 0 else "test") for u in ("u", "v") for item in range(9)]
    message = refusal(open_run(rows))
    assert "no user has two interactions in the training part" in message
    assert "last two" not in message and "4 interactions" not in message
