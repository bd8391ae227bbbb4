"""The steps in their order, over one run folder:

    data -> signals -> teach -> distill -> evaluate

One module a step, named like it. Each step first runs the steps that it needs, is skipped where it was done for
the same inputs (a hash of content and settings, see `pipeline.fingerprints`), and can be killed at any moment:
the next run goes on where it stopped. Data flows one way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.progress import Progress

from starrec.config import dump_toml
from starrec.data import Dataset
from starrec.evaluation import Results
from starrec.evaluation.peers import require
from starrec.pipeline.config import RunConfig
from starrec.pipeline.data import read_or_load
from starrec.pipeline.forecast import Forecast, expected_seconds
from starrec.pipeline.memory import few_arenas
from starrec.pipeline.session import Session
from starrec.pipeline.signals import Prepared, prepare
from starrec.pipeline.store import Where, build_store
from starrec.pipeline.tasks import Tasks, asked_before, given_evaluations
from starrec.pipeline.teach import TeachOptions, estimate_runs, gather_runs
from starrec.runs import Run
from starrec.store import GRACE_SECONDS
from starrec.teacher import Estimate

if TYPE_CHECKING:
    from starrec.pipeline.refresh import Refreshed


class Pipeline:
    """The five steps over one run folder, which it locks; use as a context manager."""

    def __init__(
        self,
        run: Run,
        config: RunConfig,
        update_data: bool,
        announce: Callable[[str], None],
        progress: Progress | None,
    ) -> None:
        self.config = config
        self._update_data = update_data
        self._session = Session(run, config, announce, progress)

    @classmethod
    def open(
        cls,
        folder: Path,
        config: RunConfig,
        *,
        update_data: bool = False,
        announce: Callable[[str], None] = lambda line: None,
        progress: Progress | None = None,
    ) -> Self:
        """Open or create a run folder for this configuration.

        Args:
            update_data: read source files again that changed since the run read them.
            announce: called with a line for every step.
            progress: shows bars, with estimates, for long work.

        Raises:
            RunError: the folder is in use, or is no run folder of this release.
        """
        few_arenas()
        # Whole paths: the next call may come from another folder.
        paths = {name: path.absolute() for name, path in config.data.files.items()}
        config = config.model_copy(update={"data": config.data.model_copy(update=paths)})
        return cls(Run.open(folder, dump_toml(config)), config, update_data, announce, progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.run.close()

    def run(self) -> Results:
        """Run all steps, then count everything for serving; the content of results.json."""
        expected = expected_seconds(self.config, len(self._tasks.taught[0]), len(self._tasks.test[0]))
        forecast = Forecast(expected, self._session.announce)
        self._session = replace(self._session, begins=forecast.begin)
        results = self.evaluate()
        self.build_store(fresh=False, grace=GRACE_SECONDS)
        return results

    def data(self) -> Dataset:
        """Read, check and store the interactions."""
        return self._dataset

    def signals(self) -> Prepared:
        """Split, and count the graph of the training part."""
        return self._prepared

    def build_store(
        self, where: Where = "threads", address: str | None = None, *, fresh: bool, grace: float
    ) -> Path:
        """Build the store of the run's counts, for serving; its folder (`pipeline.store.build_store`)."""
        return build_store(self._session, self._dataset, where, address, fresh=fresh, grace=grace)

    def teach(self, options: TeachOptions | None = None) -> dict[str, object]:
        """Let the teacher reason over training tasks; a record of its runs (`pipeline.teach.gather_runs`)."""
        return gather_runs(self._session, self._prepared, self._tasks, options or TeachOptions())

    def estimate_teaching(self, sample: int) -> Estimate:
        """Estimate what is left of teaching, from so many of its tasks (`pipeline.teach.estimate_runs`)."""
        return estimate_runs(self._session, self._prepared, self._tasks, sample)

    def distill(self) -> dict[str, Any]:
        """Train the student on the kept runs, then by GRPO; a record of each stage, teaching included."""
        # Imports torch, which the steps before it do without.
        from starrec.pipeline.distill import distill

        taught = self.teach()
        return distill(self._session, self._prepared, self._tasks, taught)

    def evaluate(self) -> Results:
        """Rank the test tasks with every system; results.json and report.html."""
        require(self.config.evaluation.peers)  # before hours of teaching and training
        from starrec.pipeline.evaluate import evaluate

        training = self.distill()
        return evaluate(self._session, self._prepared, self._tasks, training)

    def refresh(self, steps: int | None = None) -> Refreshed | None:
        """Train the student on with all that the run's evidence holds (`pipeline.refresh`); None where nothing
        is new."""
        from starrec.pipeline.refresh import STEPS, refresh

        return refresh(self._session, steps=steps or STEPS)

    @cached_property
    def _dataset(self) -> Dataset:
        return read_or_load(self._session, update=self._update_data)

    @cached_property
    def _prepared(self) -> Prepared:
        return prepare(self._session, self._dataset)

    @cached_property
    def _tasks(self) -> Tasks:
        data = self._session.run.current("data")
        given = () if data is None else given_evaluations(data.folder, self._prepared, self.config)
        before = asked_before(self._session.run.folder, self.config)
        return Tasks(self._prepared, self.config, before, given)
