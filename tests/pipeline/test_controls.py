"""Every control is trained on the same labels, ranks the tasks that it is asked, and is trained once."""

import pytest

from starrec.data import DataConfig
from starrec.engines import Workers
from starrec.pipeline import RunConfig
from starrec.pipeline.controls import rank_with_controls
from starrec.pipeline.data import read_or_load
from starrec.pipeline.distill import distill
from starrec.pipeline.session import Session
from starrec.pipeline.signals import prepare
from starrec.pipeline.tasks import Tasks
from starrec.pipeline.teach import TeachOptions, gather_runs
from starrec.runs import Run
from starrec.student import GRPOConfig, NanoConfig, SFTConfig, StudentConfig
from starrec.teacher import TeacherConfig

CONTROLS = ("mlp_evidence", "mlp_levels", "teacher_tuned", "star_labels", "star_imitate", "star_ce")
STUDENT = StudentConfig(
    evaluate_every=2,
    nano=NanoConfig(width=32, intermediate=32, heads=2, context=1024),
    sft=SFTConfig(steps=2, fast_batch=4, think_batch=2, top_k=5),
    grpo=GRPOConfig(steps=2, batch=4, group=4, tasks_per_user=1),
)


@pytest.fixture(scope="module")
def trained(one_process, tmp_path_factory):
    """A student of two steps a stage over 16 users and 40 items, as on a machine with one core."""
    folder = tmp_path_factory.mktemp("controls")
    rows = [
        f"u{user},i{(3 * user + item * item) % 40},{item}" for user in range(16) for item in range(6 + user % 3)
    ]
    (folder / "log.csv").write_text("\n".join(["user_id,item_id,timestamp", *dict.fromkeys(rows)]) + "\n")
    titles = [f"i{item},Title {item}" for item in range(40)]
    (folder / "items.csv").write_text("\n".join(["item_id,title", *titles]) + "\n")
    data = DataConfig(
        source="tables",
        interactions=folder / "log.csv",
        items=folder / "items.csv",
        negatives=5,
        draws=2,
    )
    teacher = TeacherConfig(tasks_per_user=1, runs=2, min_history=2)
    config = RunConfig(data=data, teacher=teacher, student=STUDENT)
    lines = []
    with Run.open(folder / "run", "") as run:
        session = Session(run, config, lines.append, None)
        prepared = prepare(session, read_or_load(session))
        tasks = Tasks(prepared, config)
        stages = distill(session, prepared, tasks, gather_runs(session, prepared, tasks, TeachOptions()))
        with Workers(prepared.world, 1) as workers:
            yield session, prepared, tasks, workers, stages, lines


@pytest.fixture(scope="module")
def found(trained):
    return rank_with_controls(*trained[:4], CONTROLS, trained[2].test[0])


def test_every_control_ranks_every_test_task_once_a_seed(trained, found):
    test, _ = trained[2].test
    assert {name: list(by_seed) for name, by_seed in found.rankings.items()} == {
        name: [0] if name.startswith("star_") else [0, 1, 2] for name in CONTROLS
    }
    for by_seed in found.rankings.values():
        for rankings in by_seed.values():
            for task, ranking in zip(test, rankings, strict=True):
                assert sorted(ranking.items) == sorted(task.candidates.tolist())


def test_labels_and_tries_are_equal(trained, found):
    record, stage = found.record, trained[4]["grpo"]
    seen = {name: of["labels_seen"] for name, of in record.items()}
    # Two steps of four tasks, and the taught ones: as many labels as stage 2 of the student.
    assert stage["labels_seen"] == 8 + 16
    assert seen["star_ce"] == seen["mlp_evidence"] == seen["mlp_levels"] == seen["teacher_tuned"] == 24
    # Four steps of four tasks, without a replay; and none.
    assert seen["star_labels"] == 16 and seen["star_imitate"] == 0
    assert record["mlp_evidence"]["tries"] == record["mlp_levels"]["tries"] == record["teacher_tuned"]["tries"]
    for of in record.values():
        assert 0 < of["validation_avg_hr"] <= 1 and of["seconds"] > 0
    assert "broken" not in record["mlp_evidence"], "a reference is known for other data only"


def test_what_is_fitted_is_found_again_and_ranks_other_tasks_too(trained, found):
    session, _, tasks, _, _, lines = trained
    (product,) = session.run.path("controls").iterdir()
    assert not list(product.glob("*.checkpoint")) and not list(product.glob(".tmp-*"))
    lines.clear()
    some = tasks.test[0][::3]
    again = rank_with_controls(*trained[:4], ("star_ce", "mlp_levels", "teacher_tuned"), some)
    assert list(again.rankings) == ["star_ce", "mlp_levels", "teacher_tuned"] and not lines
    for name, by_seed in again.rankings.items():
        assert by_seed == {seed: rankings[::3] for seed, rankings in found.rankings[name].items()}


def test_no_control_sees_the_target_of_a_test_task(trained, found):
    session, prepared, _, workers, *_ = trained
    moved = Tasks(prepared, session.config)
    test, targets = moved.test
    other = {task.task_id: int(task.candidates[task.candidates != targets[task.task_id]][0]) for task in test}
    object.__setattr__(moved, "test", (test, other))
    assert rank_with_controls(session, prepared, moved, workers, CONTROLS, test).rankings == found.rankings


def test_nothing_is_done_where_no_control_is_asked(trained):
    assert rank_with_controls(*trained[:4], (), trained[2].test[0]).rankings == {}
