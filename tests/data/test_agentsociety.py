"""The AgentSociety layout: three platforms' fields give the same dataset, what tasks ask about is nowhere in
it, and whatever cannot be used is refused with its file or counted."""

import json

import numpy as np
import pytest
from tests import challenge
from tests.challenge import dump, edit, item_id, review_row, write_data, write_tasks

from starrec.data import (
    TableOptions,
    leave_one_out,
    load_agentsociety,
    load_tasks,
    save_tasks,
    training_positions,
    training_tasks,
)
from starrec.errors import DataError, RunError
from starrec.signals import Graph
from starrec.tools import World

REVIEWS = challenge.reviews_of()
TASKS = challenge.tasks_of(REVIEWS)


@pytest.fixture
def folder(tmp_path):
    write_data(tmp_path / "data", REVIEWS)
    write_tasks(tmp_path / "tasks", TASKS)
    return tmp_path


def load(folder, skip=False, **arguments):
    options = TableOptions(skip_bad_rows=skip)
    return load_agentsociety(folder / "data", folder / "tasks", options=options, **arguments)


def tasks_of(folder, dataset, given, seed=0):
    save_tasks(folder, given, ["a note"])
    return load_tasks(folder, dataset, dataset.sequences(0), seed=seed)


def edges(dataset):
    rows = dataset.interactions.iter_rows(named=True)
    return {
        (dataset.user_ids[row["user"]], dataset.item_ids[row["item"]], row["time"], row["rating"])
        for row in rows
    }


@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
@pytest.mark.parametrize("platform", challenge.PLATFORMS)
def test_each_platforms_fields_are_read_as_the_same_reviews(tmp_path, platform, array):
    write_data(tmp_path / "data", REVIEWS, [platform], array)
    dataset, given, report = load_agentsociety(tmp_path / "data")
    assert given == [] and report.bad == 0
    resolution = dataset.resolution
    assert edges(dataset) == {
        (f"u{user}", item_id(item), at * resolution, stars) for user, item, at, stars in REVIEWS
    }
    assert dataset.order == "clock" and dataset.n_items == challenge.N_ITEMS
    titles = {"amazon": "Space Kit 7", "goodreads": "Space Book 7", "yelp": "Space House 7"}
    categories = {"amazon": ["Shop", "Space"], "goodreads": ["space"], "yelp": ["Space", "Local Flavor"]}
    seventh = dataset.items.row(7, named=True)
    assert seventh["title"] == titles[platform] and seventh["categories"] == categories[platform]
    assert dataset.items.row(4, named=True)["year"] == (1954 if platform == "goodreads" else None)
    # Amazon's third item lists no categories: its main one stands in.
    assert dataset.items.row(3, named=True)["categories"][-1].lower() in ("space", "local flavor")


def test_platforms_in_one_folder_keep_their_own_times(tmp_path):
    write_data(tmp_path / "data", REVIEWS, challenge.PLATFORMS)
    dataset, _, _ = load_agentsociety(tmp_path / "data")
    assert dataset.n_users == 3 * challenge.N_USERS and dataset.interactions.height == 3 * len(REVIEWS)
    days = dataset.sequences(0)
    own = [dataset.user_ids.index(f"{mark}u5") for mark in ("", "goodreads", "yelp")]
    assert len({tuple(days.before(user, 99).days.tolist()) for user in own}) == 1
    one, _, report = load_agentsociety(tmp_path / "data", platform="yelp")
    assert one.n_users == challenge.N_USERS and one.name == "yelp"
    assert f"review.json: {2 * len(REVIEWS):,} rows of other platforms than yelp left out" in report.notes
    with pytest.raises(DataError, match=r"`source` is 'ebay', only 'amazon', 'goodreads', 'yelp'"):
        load_agentsociety(tmp_path / "data", platform="ebay")


def test_what_a_task_asks_about_is_nowhere_in_the_data(folder):
    dataset, given, report = load(folder)
    assert len(given) == challenge.N_TASKS
    asked = {(f"u{user}", item_id(target)) for user, _, target in TASKS}
    everything = {(f"u{user}", item_id(item)) for user, item, _, _ in REVIEWS}
    assert {(user, item) for user, item, _, _ in edges(dataset)} == everything - asked
    assert f"{len(asked)} reviews that tasks ask about are held out of everything" in report.notes
    tasks, targets, kept = tasks_of(folder, dataset, given)
    assert kept.notes == ["a note"] and len(tasks) == challenge.N_TASKS
    for task, (user, candidates, target) in zip(tasks, TASKS, strict=True):
        assert task.scenario == "agentsociety" and task.split == "test" and task.user_id == f"u{user}"
        assert dataset.item_ids[targets[task.task_id]] == item_id(target)
        assert {dataset.item_ids[item] for item in task.candidates} == set(map(item_id, candidates))
        own = sorted((at, item) for who, item, at, _ in REVIEWS if who == user and item != target)
        assert [dataset.item_ids[item] for item in task.history] == [item_id(item) for _, item in own]
        assert not np.isin(task.candidates, task.history).any()


def test_other_true_items_leave_evidence_and_candidates_as_they_are(folder):
    """The reviews that are asked about may be of anything: nothing that a task sees changes with them."""

    def seen(tasks, root):
        write_tasks(root / "tasks", tasks)
        dataset, given, _ = load(root)
        # Of everything that is left: no split stands between a task and what its file asks about.
        world = World.of(dataset.catalogue, Graph.build(dataset.sequences(0), dataset.n_items))
        return [
            (task.candidates.tolist(), task.history.tolist(), world.toolbox(task).evidence.levels.tolist())
            for task in tasks_of(root, dataset, given)[0]
        ]

    before = seen(TASKS, folder)
    # Each user's last review is of another of her candidates now.
    moved = [(user, candidates, candidates[candidates.index(target) - 1]) for user, candidates, target in TASKS]
    true = {(user, target): other for (user, _, target), (_, _, other) in zip(TASKS, moved, strict=True)}
    reviews = [(user, true.get((user, item), item), at, stars) for user, item, at, stars in REVIEWS]
    write_data(folder / "data", reviews)
    assert seen(moved, folder) == before


def test_a_history_does_not_tell_which_candidates_were_reviewed(folder):
    user, candidates, target = TASKS[0]
    other = next(item for who, item, _, _ in REVIEWS if who == user and item != target)
    edit(folder / "tasks" / "task_0.json", candidate_list=[item_id(item) for item in (*candidates, other)])
    dataset, given, _ = load(folder)
    task = tasks_of(folder, dataset, given)[0][0]
    assert (f"u{user}", item_id(other)) in {(who, item) for who, item, _, _ in edges(dataset)}
    assert dataset.item_ids.index(item_id(other)) in task.candidates.tolist()
    assert not np.isin(task.candidates, task.history).any()
    assert (
        len(task.history) == len(task.days) == len(task.ratings) == sum(row[0] == user for row in REVIEWS) - 2
    )


def test_no_training_task_asks_for_what_is_held_out(folder):
    dataset, given, _ = load(folder)
    split = leave_one_out(dataset.sequences(0))
    positions = training_positions(dataset, split, per_user=9, seed=0, min_history=1)
    tasks, targets = training_tasks(dataset, split, positions, seed=0, epoch=0)
    asked = {(task.user_id, dataset.item_ids[targets[task.task_id]]) for task in tasks}
    assert asked and not asked & {(task.user_id, task.target) for task in given}


def test_candidates_do_not_stand_as_the_files_list_them(folder):
    dataset, given, _ = load(folder)
    tasks, targets, _ = tasks_of(folder, dataset, given)
    first = [int(task.candidates[0]) == targets[task.task_id] for task in tasks]
    for number in range(challenge.N_TASKS):
        path = folder / "tasks" / f"task_{number}.json"
        edit(path, candidate_list=sorted(json.loads(path.read_text())["candidate_list"]))
    again, _, _ = tasks_of(folder, dataset, load(folder)[1])
    assert [task.candidates.tolist() for task in again] == [task.candidates.tolist() for task in tasks]
    assert sum(first) < 10


BROKEN = {
    "broken JSON": (lambda root: (root / "task_3.json").write_text('{"user_id":'), "task_3.json", "not JSON"),
    "no object": (lambda root: (root / "task_3.json").write_text("[1]"), "task_3.json", "not a JSON object"),
    "no ground truth": (
        lambda root: (root / "groundtruth_3.json").unlink(),
        "groundtruth_3.json",
        "no such file",
    ),
    "empty ground truth": (
        lambda root: (root / "groundtruth_3.json").write_text("{}"),
        "groundtruth_3.json",
        "None is no item id",
    ),
    "no candidate": (
        lambda root: edit(root / "groundtruth_3.json", **{"ground truth": "nowhere"}),
        "groundtruth_3.json",
        "'nowhere' is no candidate of task_3.json",
    ),
    "twice": (
        lambda root: edit(root / "task_3.json", candidate_list=["i01", "i02", "i01"]),
        "task_3.json",
        "candidate 'i01' stands twice",
    ),
    "unknown item": (
        lambda root: edit(root / "task_3.json", candidate_list=["i01", "x"]),
        "task_3.json",
        "candidate 'x' is not among the items",
    ),
    "unknown user": (
        lambda root: edit(root / "task_3.json", user_id="nobody"),
        "task_3.json",
        "user 'nobody' is neither among the users nor in a review",
    ),
    "no user": (lambda root: edit(root / "task_3.json", user_id=None), "task_3.json", "None is no user id"),
    "no list": (
        lambda root: edit(root / "task_3.json", candidate_list="i01"),
        "task_3.json",
        "'i01' is no list of item ids",
    ),
    "one": (
        lambda root: edit(root / "task_3.json", candidate_list=["i01"]),
        "task_3.json",
        "it has 1 candidates",
    ),
    "201": (
        lambda root: edit(root / "task_3.json", candidate_list=[f"i{number}" for number in range(201)]),
        "task_3.json",
        "it has 201 candidates",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_task_that_cannot_be_used_is_refused_with_its_file_or_counted(folder, fault):
    spoil, file, reason = BROKEN[fault]
    spoil(folder / "tasks")
    with pytest.raises(DataError, match="--skip-bad-rows") as raised:
        load(folder)
    assert file in str(raised.value) and reason in str(raised.value)
    dataset, given, report = load(folder, skip=True)
    assert report.bad == 1 and report.counts[folder / "tasks" / file] == 1
    assert [task.number for task in given] == [number for number in range(50) if number != 3]
    if "ground truth" not in fault and fault not in ("broken JSON", "no object", "no user", "unknown user"):
        # Left out, but what it asks about is no less a secret.
        user, _, target = TASKS[3]
        taken = {(who, item) for who, item, _, _ in edges(dataset)}
        assert ((f"u{user}", item_id(target)) in taken) == (fault == "no candidate")


def test_users_and_candidates_without_another_review_are_asked_about_all_the_same(folder):
    user, candidates, target = TASKS[0]
    cold = next(item for item in candidates if item != target)
    kept = [row for row in REVIEWS if row[1] != cold and (row[0] != user or row[1] == target)]
    write_data(folder / "data", kept)
    dataset, given, report = load(folder)
    assert "1 tasks of users without another review: their history is empty" in report.notes
    assert any("candidates without another review" in note for note in report.notes)
    tasks, _, _ = tasks_of(folder, dataset, given)
    assert tasks[0].user == -1 and len(tasks[0].history) == 0 and len(tasks[0].candidates) == 20
    graph = Graph.build(leave_one_out(dataset.sequences(0)).train, dataset.n_items)
    evidence = World.of(dataset.catalogue, graph).toolbox(tasks[0]).evidence
    at = tasks[0].candidates.tolist().index(dataset.item_ids.index(item_id(cold)))
    assert evidence.scores.shape[1] == 20 and evidence.fact("item_cf.whole", at) is None


def test_rows_that_cannot_be_used_are_counted_by_file(folder):
    rows = [review_row("amazon", number, *review) for number, review in enumerate(REVIEWS)]
    bad = [
        rows[0] | {"review_id": "a", "timestamp": None},
        rows[0] | {"review_id": "b", "item_id": "unheard"},
        rows[0] | {"review_id": "c", "user_id": ""},
        rows[0] | {"review_id": "d", "stars": "many"},
    ]
    dump(folder / "data" / "review.json", rows + bad)
    with pytest.raises(DataError, match=rf"4 bad rows.*review.json, line {len(rows) + 1}"):
        load(folder)
    dataset, _, report = load(folder, skip=True)
    assert report.counts[folder / "data" / "review.json"] == 4
    assert dataset.interactions.height == len(rows) - challenge.N_TASKS
    (folder / "data" / "item.json").write_text('{"item_id": "i1"')
    with pytest.raises(DataError, match=r"item.json, line 1"):
        load(folder)
    (folder / "data" / "item.json").unlink()
    with pytest.raises(DataError, match=r"There is no file .*item.json.*user.json, item.json and review.json"):
        load(folder)


def test_no_stars_is_no_rating(folder):
    rows = [review_row("amazon", number, *review) | {"stars": 0} for number, review in enumerate(REVIEWS)]
    dump(folder / "data" / "review.json", rows)
    dataset, _, report = load(folder)
    assert dataset.interactions["rating"].null_count() == dataset.interactions.height
    assert f"review.json: {len(rows)} ratings of 0 stars read as no rating" in report.notes


def test_the_other_track_and_stray_files_are_noted(folder):
    edit(folder / "tasks" / "task_7.json", type="user_behavior_simulation", candidate_list=None, item_id="i01")
    (folder / "tasks" / "groundtruth_99.json").write_text("{}")
    _, given, report = load(folder)
    assert len(given) == 49
    assert "1 tasks of the track in which reviews are written left out" in report.notes
    assert "1 ground truths without a task, such as groundtruth_99.json" in report.notes
    with pytest.raises(DataError, match=r"holds no task_N.json"):
        load_agentsociety(folder / "data", folder / "data")


@pytest.mark.parametrize("named", ["track", "track/tasks"])
def test_ground_truth_may_lie_in_a_folder_of_its_own(folder, named):
    write_tasks(folder / "track" / "tasks", TASKS, folder / "track" / "groundtruth")
    _, given, _ = load_agentsociety(folder / "data", folder / named)
    assert given == load(folder)[1]


def test_kept_tasks_that_were_edited_are_refused(folder):
    dataset, given, _ = load(folder)
    path = save_tasks(folder, given, [])
    edit(path, tasks=[{"number": 0, "user_id": "u0", "candidates": ["i01", "gone"], "target": "i01"}])
    with pytest.raises(RunError, match="starrec data"):
        load_tasks(folder, dataset, dataset.sequences(0), seed=0)
    assert load_tasks(folder / "tasks", dataset, dataset.sequences(0), seed=0)[0] == []
