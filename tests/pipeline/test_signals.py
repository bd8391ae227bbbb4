"""The `signals` step says why nobody can be tested, by the split that the data have."""

import pytest

from starrec.errors import DataError


def test_leave_one_out_needs_three_interactions_of_a_user(open_run):
    two_each = [("u", 1, 1), ("u", 2, 2), ("v", 1, 1), ("v", 3, 2)]
    with open_run(two_each) as pipeline, pytest.raises(DataError, match="No user has 3 or more interactions"):
        pipeline.signals()


@pytest.mark.parametrize(
    "rows",
    [
        # Many interactions, but none for the test.
        [("u", item, item, "train") for item in range(9)] + [("u", 9, 9, "validation")],
        # The test interaction comes first: there is no history to ask about.
        [("u", 0, 1, "test")] + [("u", item, 1 + item, "train") for item in range(1, 9)],
        # What is earlier is of another user.
        [("u", item, item, "train") for item in range(9)] + [("v", 3, 99, "test")],
    ],
    ids=["no test part", "test first", "other user"],
)
def test_a_split_of_ones_own_needs_something_before_a_test_interaction(open_run, rows):
    with open_run(rows) as pipeline, pytest.raises(DataError, match="by your own split") as refused:
        pipeline.signals()
    assert "test interaction that comes after a training or validation" in str(refused.value)
    assert "3 or more" not in str(refused.value)


def test_a_user_of_ones_own_split_with_two_interactions_can_be_tested(open_run):
    # By leave-one-out nobody could be: the message for it would be false here.
    with open_run([("u", 1, 1, "train"), ("u", 2, 2, "test")]) as pipeline:
        prepared = pipeline.signals()
    assert prepared.split.test.tolist() == [2] and prepared.split.history(0, "test").items.tolist() == [1]
