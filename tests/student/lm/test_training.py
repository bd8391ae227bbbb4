"""Both stages under TRL's loop: they learn, keep their best weights, go on after a kill, and stop at NaN."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from starrec.errors import RunError
from starrec.student import FastMode, load_student
from starrec.student.lm.listwise import reinforce_language_model, supervise_language_model
from starrec.student.lm.model import LanguageModel


class Killed(Exception):
    pass


def trained(model):
    return torch.cat([weight.detach().flatten() for weight in model.lm.parameters() if weight.requires_grad])


def test_from_runs_to_a_saved_student(base, configured, stage, kept, world, lessons, tmp_path):
    """SFT, GRPO in fast mode, export, reload, rank: the whole path of a language model."""
    config = configured()
    model = LanguageModel.of(base, world, config)
    sft = supervise_language_model(stage(model, config, tmp_path / "sft"), *kept[:2])
    assert sft.curve[-1]["loss"] < sft.curve[0]["loss"] and sft.best > 0.6  # six candidates: chance is .5
    grpo = reinforce_language_model(stage(model, config, tmp_path / "grpo"), lambda step: kept[2])
    assert grpo.step == 6 and grpo.best >= sft.best and "reward" in grpo.curve[-1]
    before = model.scores(kept[0])
    FastMode(model, world).save(tmp_path / "star")
    star = load_student(tmp_path / "star", world)
    np.testing.assert_allclose(star.fast.scores(kept[0]), before, atol=1e-4)
    assert [len(ranking.items) for ranking in star.rank_many(lessons[0][:3])] == [6, 6, 6]


@pytest.mark.parametrize("rank", [0, 4])
def test_a_killed_stage_ends_as_one_that_was_not(rank, base, configured, stage, kept, tmp_path):
    config = configured(rank, sft={"epochs": 6, "batch": 6, "learning_rate": 1e-3})
    ends = []
    start = {name: weight.clone() for name, weight in base.model.state_dict().items()}
    for killed in (False, True):
        base.model.load_state_dict(start) if rank == 0 else None
        folder = tmp_path / str(killed)
        if killed:

            def report(progress, done):
                if progress.step == 4:
                    raise Killed

            model = LanguageModel.of(_again(configured(rank)), None, config)
            with pytest.raises(Killed):
                supervise_language_model(
                    stage(model, config, folder, report=report, checkpoint_seconds=0), *kept[:2]
                )
        model = LanguageModel.of(_again(configured(rank)), None, config)
        progress = supervise_language_model(stage(model, config, folder, checkpoint_seconds=0), *kept[:2])
        assert progress.step == 6
        ends.append((progress.best, trained(model)))
    assert ends[0][0] == ends[1][0]
    torch.testing.assert_close(ends[0][1], ends[1][1])


def _again(config):
    from starrec.student.lm.bases import load_base

    return load_base(config)


def test_other_inputs_start_over(base, configured, stage, kept, tmp_path):
    config = configured(sft={"epochs": 2, "batch": 6, "learning_rate": 1e-3})
    said = []
    for fingerprint in ("one base", "another"):
        model = LanguageModel.of(_again(config), None, config)
        progress = supervise_language_model(
            stage(model, config, tmp_path, fingerprint, announce=said.append), *kept[:2]
        )
        assert progress.step == 2
    assert len(said) == 1 and "starts over" in said[0]


def test_no_number_stops_and_keeps_the_last_good_checkpoint(base, configured, stage, kept, tmp_path):
    config = configured(sft={"epochs": 6, "batch": 6, "learning_rate": 1e-3})
    model = LanguageModel.of(base, None, config)

    def report(progress, done):
        if progress.step == 3:
            with torch.no_grad():
                next(w for w in model.lm.parameters() if w.requires_grad).fill_(float("nan"))

    with pytest.raises(RunError, match=r"diverged at step 4.*learning_rate"):
        supervise_language_model(stage(model, config, tmp_path, report=report, checkpoint_seconds=0), *kept[:2])
    assert (tmp_path / "checkpoint-2" / "progress.json").exists()


def test_a_stage_ends_by_its_minutes(base, configured, stage, kept, tmp_path):
    config = configured(sft={"epochs": 100_000, "batch": 6, "learning_rate": 1e-3, "minutes": 0.02})
    progress = supervise_language_model(
        stage(LanguageModel.of(base, None, config), config, tmp_path), *kept[:2]
    )
    assert 1 <= progress.step < 1000 and progress.seconds >= 1.2


def test_a_stage_gives_back_no_worse_weights(base, configured, stage, kept, tmp_path):
    """Practice on wrong labels: what is left is what the stage was given."""
    config = configured(grpo_rate=2e-2)
    model = LanguageModel.of(base, None, config)
    supervise_language_model(stage(model, config, tmp_path / "sft"), *kept[:2])
    before, scores = trained(model).clone(), model.scores(kept[0])
    wrong = replace(kept[2], rows=kept[1][:, -1])
    progress = reinforce_language_model(stage(model, config, tmp_path / "grpo"), lambda step: wrong)
    assert progress.curve[-1]["validation_avg_hr"] < progress.best and progress.best_step == 0
    torch.testing.assert_close(trained(model), before)
    np.testing.assert_allclose(model.scores(kept[0]), scores)


@pytest.mark.parametrize("gradient", ["exact", "sampled"])
def test_divergence_from_before_holds_the_weights_back(gradient, base, configured, stage, kept, tmp_path):
    moved = []
    for kl in (0.0, 100.0):
        config = configured(grpo={"kl": kl, "gradient": gradient, "group": 8})
        model = LanguageModel.of(_again(config), None, config)
        before = model.scores(kept[0])
        worst = stage(model, config, tmp_path / f"{kl}")
        progress = reinforce_language_model(worst, lambda step: kept[2])
        assert progress.step == 6 and np.isfinite(progress.curve[-1]["loss"])
        moved.append(np.abs(model.scores(kept[0]) - before).mean())
    assert moved[1] <= moved[0]
