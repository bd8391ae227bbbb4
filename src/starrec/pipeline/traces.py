"""Think mode of a pretrained language model in `distill`: its two stages on traces (`[student.lm.traces]`).

SFT on the kept runs comes before the stages of fast mode, GRPO over the model's own traces after them, on the
same weights. A stage that is done leaves its weights and its record in the product's folder, and is not done
again when a killed run goes on; one that was killed starts over.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starrec.errors import RunError
from starrec.pipeline.practice import Practice
from starrec.pipeline.session import Session
from starrec.runs import Product, write_atomic
from starrec.trajectories import Trajectory

if TYPE_CHECKING:
    from starrec.student import LanguageStar

PARTS: Final = 1000
"""Of a stage, as its bar counts: it ends by time or by steps."""
SUPERVISED: Final = "traces_sft"
REINFORCED: Final = "traces_grpo"
_WEIGHTS: Final = "weights.safetensors"
_RECORD: Final = "stage.json"


@dataclass(frozen=True, eq=False)
class TraceStages:
    """The stages on traces of one student."""

    session: Session
    product: Product
    star: LanguageStar
    """Trained in place."""

    def supervise(self, kept: Sequence[Trajectory], runs: int) -> dict[str, Any]:
        """SFT on the kept runs: its record, the curve among it.

        Args:
            runs: of the teacher, of which these were kept.

        Raises:
            StarrecError: as `supervise_trajectories`.
        """
        # Imports trl, which is needed here alone.
        from starrec.student.lm.trajectory_sft import make_lessons, supervise_trajectories

        student = self.session.config.student

        def train(folder: Path, report: Callable[[float], None]) -> dict[str, Any]:
            model = self.star.model
            lessons = make_lessons(self.star.chat, kept, model.belongs.context)
            config = student.lm.traces.sft
            done = supervise_trajectories(
                model.lm, self.star.chat, lessons, config, folder, seed=student.seed, report=report
            )
            return {
                "tasks": len(kept),
                "runs": runs,
                "kept": done.samples,
                "labels_seen": len(kept),
                "seconds": done.seconds,
                "too_long": done.too_long,
                "cut": done.cut,
                "tokens": lessons.tokens,
                "tokens_learned": lessons.learned,
                "curve": [{"step": step, "loss": loss} for step, loss in enumerate(done.losses, start=1)],
            }

        return self._once(SUPERVISED, "SFT on traces", train)

    def reinforce(self, practice: Practice) -> dict[str, Any]:
        """GRPO over traces of training tasks: its record, counts of rollouts and the curve among it.

        Args:
            practice: gives the tasks of a step.

        Raises:
            StarrecError: as `reinforce_trajectories`.
        """
        from starrec.student.lm.environment import Scene
        from starrec.student.lm.trajectory_grpo import reinforce_trajectories, target_labels

        student = self.session.config.student
        config, star = student.lm.traces.grpo, self.star

        def train(folder: Path, report: Callable[[float], None]) -> dict[str, Any]:
            tasks, targets = {}, {}
            for step in range(config.steps):
                attempted = practice.attempted(step, config.tasks)
                for task, column in zip(attempted.tasks, attempted.targets, strict=True):
                    tasks[task.task_id] = task
                    targets[task.task_id] = int(task.candidates[column])
            scene = Scene(star.chat, star.world, tasks, star.fast_order_tool)
            labels = target_labels(scene, targets)
            done = reinforce_trajectories(
                star.model.lm, scene, labels, config, folder, seed=student.seed, report=report
            )
            points = zip(done.rewards, done.equal_groups, strict=True)
            counts = asdict(done.counts)
            return {
                "tasks": len(tasks),
                "runs": counts.pop("rollouts"),
                "kept": len(tasks),
                "labels_seen": len(tasks),
                "seconds": done.seconds,
                "weights_moved": done.moved,
                **counts,
                "curve": [
                    {"step": step, "reward": reward, "equal_groups": equal}
                    for step, (reward, equal) in enumerate(points, start=1)
                ],
            }

        return self._once(REINFORCED, "GRPO of traces", train)

    def clear(self) -> None:
        """Remove what the stages left for a run that goes on."""
        for name in (SUPERVISED, REINFORCED):
            for left in (f"{name}.done", f"{name}.trainer"):
                shutil.rmtree(self.product.path(left), ignore_errors=True)

    def _once(
        self, name: str, title: str, train: Callable[[Path, Callable[[float], None]], dict[str, Any]]
    ) -> dict[str, Any]:
        """What a stage recorded, the model with the weights that it gave; trained unless that was done before.

        Args:
            name: of the stage's files.
            title: of its bar.
            train: takes the trainer's folder and what is called with how much is over.
        """
        from safetensors.torch import load_file, save_file
        from transformers import logging as transformers_logging

        lm, done = self.star.model.lm, self.product.path(f"{name}.done")
        fingerprint = f"{self.product.fingerprint}/{name}/{self.star.model.belongs.digest}"
        found = _record(done)
        if found is not None and found["fingerprint"] == fingerprint:
            lm.load_state_dict(load_file(done / _WEIGHTS), strict=False)
            self.session.announce(f"distill: {title} done before")
            record: dict[str, Any] = found["record"]
            return record
        transformers_logging.set_verbosity(logging.ERROR)
        with self.session.bar(title, PARTS) as advance:
            record = train(self.product.path(f"{name}.trainer"), advancing(advance))
        lm.eval()
        self.session.announce(f"distill: {title} {_summary(record)}")

        def write(folder: Path) -> None:
            trained = {key: weight for key, weight in lm.named_parameters() if weight.requires_grad}
            save_file(
                {key: weight.detach().cpu().contiguous() for key, weight in trained.items()}, folder / _WEIGHTS
            )
            write_atomic(folder / _RECORD, json.dumps({"fingerprint": fingerprint, "record": record}))

        self.product.publish(done.name, write)
        return record


def advancing(advance: Callable[[int], None]) -> Callable[[float], None]:
    """A report that advances a bar of `PARTS` to what is done of a stage, 0 to 1, also after resuming in the
    middle."""
    shown = 0

    def report(done: float) -> None:
        nonlocal shown
        now = int(PARTS * min(1.0, done))
        advance(now - shown)
        shown = now

    return report


def _record(done: Path) -> dict[str, Any] | None:
    """What a stage that is done left; None where there is none.

    Raises:
        RunError: it cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((done / _RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(f"The stage in {done} is corrupt ({error}). Delete that folder.") from error
    return found


def _summary(record: dict[str, Any]) -> str:
    """A stage's record as a line of the log: seconds, counts, and the curve's first and last point."""
    counts = [f"{name.replace('_', ' ')} {value:,}" for name, value in record.items() if isinstance(value, int)]
    first, last = record["curve"][0], record["curve"][-1]
    ways = [
        f"{name.replace('_', ' ')} {first[name]:.3f} to {last[name]:.3f}" for name in first if name != "step"
    ]
    return f"{record['seconds']:.0f} s: {', '.join([*counts, *ways])}"
