"""What counts as taken: repeats, ratings, weights, and a split of the data's own."""

import numpy as np
import pytest
from tests.data.files import HEADER, load, times_of, write

from starrec.data import ColumnMap, SplitRule, describe, hold_out, load_saved_dataset, save_dataset
from starrec.errors import DataError

RATED = "user_id,item_id,timestamp,rating\n"


def test_of_repeats_the_first_or_the_last_counts_and_they_are_counted(tmp_path):
    edges = HEADER + "a,i1,100\na,i2,200\na,i1,300\na,i1,50\n"
    dataset, _ = load(tmp_path, edges)
    assert times_of(dataset) == {("a", "i1"): 50, ("a", "i2"): 200}
    assert "2 repeats of a user and item left out (the first counts)" in describe(dataset)
    last, _ = load(tmp_path, edges, repeats="last")
    assert times_of(last) == {("a", "i1"): 300, ("a", "i2"): 200}
    assert last.sequences(0).items.tolist() == [2, 1]
    assert "2 repeats of a user and item left out (the last counts)" in describe(last)
    assert last.sha256 != dataset.sha256


def test_low_ratings_do_not_count_as_taken(tmp_path):
    edges = RATED + "a,i1,100,1\na,i1,200,5\na,i2,300,2\na,i3,400,\na,i4,500,3\n"
    dataset, report = load(tmp_path, edges, min_rating=3)
    # The low rating of i1 is gone before repeats are looked for; what is not rated stays.
    assert times_of(dataset) == {("a", "i1"): 200, ("a", "i3"): 400, ("a", "i4"): 500}
    assert report.below_min_rating == 2 and dataset.repeats == 0
    assert "2 rated below min_rating left out" in describe(dataset)
    with pytest.raises(DataError, match="no usable interactions: 5 are rated below"):
        load(tmp_path, edges.replace(",\n", ",1\n"), min_rating=6)
    with pytest.raises(DataError, match="no column of ratings"):
        load(tmp_path, min_rating=3)


def test_weights_are_refused_with_a_word(tmp_path):
    edges = "user_id,item_id,timestamp,Weight\na,i1,100,13883\na,i2,200,5\n"
    with pytest.raises(
        DataError, match=r"column 'Weight': interactions are counted and not weighed .*rating=Weight"
    ):
        load(tmp_path, edges)
    dataset, _ = load(tmp_path, edges, columns=ColumnMap(rating="Weight"), min_rating=10)
    assert times_of(dataset) == {("a", "i1"): 100}


SPLIT = "user_id,item_id,timestamp,fold\n" + "".join(
    f"{user},i{item},{time},{fold}\n"
    for user, item, time, fold in [
        # In order: train 0 1, validation 2, train 3, validation 4, test 5, train 6, test 7, train 8.
        *(
            ("a", n, n, fold)
            for n, fold in enumerate(
                ["Train", "train", "VALID", "TRAIN", "val", "test", "training", "TEST", "train"]
            )
        ),
        *(("b", n, n, fold) for n, fold in enumerate(["test", "train", "train"])),
        *(("c", n, n, "train") for n in range(2)),
    ]
)


def test_a_split_of_the_data_s_own(tmp_path):
    dataset, _ = load(tmp_path, SPLIT, split_column="fold")
    split = hold_out(dataset, 0, SplitRule())
    assert [split.train.of(user).tolist() for user in range(3)] == [[0, 1, 3, 6, 8], [1, 2], [0, 1]]
    # The last of a part in order is its target; nothing stands before the only test item of b, who is no task.
    assert split.validation.tolist() == [4, -1, -1] and split.test.tolist() == [7, -1, -1]
    # Validation: earlier training items. Test: also the validation part, but not the earlier test item.
    assert split.history(0, "validation").items.tolist() == [0, 1, 3]
    history = split.history(0, "test")
    assert history.items.tolist() == [0, 1, 2, 3, 4, 6] and history.days.tolist() == [0] * 6
    assert split.history(1, "test").items.tolist() == [1, 2]
    assert "split as given: 9 train, 2 validation, 3 test" in describe(dataset)


def test_a_split_survives_its_storage_and_counts_in_the_hash(tmp_path):
    dataset, _ = load(tmp_path, SPLIT, split_column="fold")
    plain, _ = load(tmp_path, SPLIT)
    assert plain.sha256 != dataset.sha256 and plain.sequences(0).parts is None
    save_dataset(dataset, tmp_path / "kept")
    again = load_saved_dataset(tmp_path / "kept")
    assert describe(again) == describe(dataset)
    assert np.array_equal(again.sequences(0).parts, dataset.sequences(0).parts)


def test_a_split_as_files_is_the_same(tmp_path):
    rows = [line.rsplit(",", 1) for line in SPLIT.splitlines()[1:]]
    words = {"train": ("train", "training"), "validation": ("valid", "val"), "test": ("test",)}
    texts = {
        part: HEADER + "".join(f"{row}\n" for row, fold in rows if fold.lower() in known)
        for part, known in words.items()
    }
    held_out = {part: write(tmp_path, f"{part}.csv", texts[part]) for part in ("validation", "test")}
    dataset, _ = load(tmp_path, texts["train"], held_out=held_out)
    assert dataset.sha256 == load(tmp_path, SPLIT, split_column="fold")[0].sha256
    with pytest.raises(DataError, match="not both"):
        load(tmp_path, SPLIT, held_out=held_out, split_column="fold")


def test_files_of_a_split_may_count_time_otherwise(tmp_path):
    held_out = {"test": write(tmp_path, "test.csv", HEADER + "a,i2,1501809777500\n")}
    dataset, _ = load(tmp_path, HEADER + "a,i1,1501809776\n", held_out=held_out)
    assert dataset.resolution == 1000 and dataset.times_written == "seconds, milliseconds"
    assert times_of(dataset) == {("a", "i1"): 1501809776000, ("a", "i2"): 1501809777500}


@pytest.mark.parametrize(
    "change, message",
    [
        (
            ("val", "holdout"),
            "line 6, column 'fold': the split says 'holdout', none of train, validation, test",
        ),
        (("fold", "part"), r"no column 'fold' \(split\)"),
    ],
)
def test_splits_that_cannot_be_meant(tmp_path, change, message):
    edges = SPLIT.replace("VALID", "x").replace(*change).replace("x", "VALID")
    with pytest.raises(DataError, match=message):
        load(tmp_path, edges, split_column="fold")
