"""The steps in their order, over one run folder:

    data -> signals -> teach -> distill -> evaluate

Each step runs what it needs before it, is skipped when it was done for the same inputs (a hash of content and
settings, see `pipeline.inputs`), and can be killed at any moment: a re-run goes on where it stopped. Data flows
one way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.progress import Progress

from starrec.config import dump_toml
from starrec.data import Dataset
from starrec.evaluation import Results
from starrec.pipeline.config import RunConfig
from starrec.pipeline.evidence import Where, store_evidence
from starrec.pipeline.preparation import Prepared, prepare
from starrec.pipeline.reading import keep_dataset
from starrec.pipeline.session import Session
from starrec.pipeline.tasks import Tasks, asked_before
from starrec.pipeline.teaching import Teaching, estimate_runs, gather_runs
from starrec.runs import Run
from starrec.teacher import Estimate


class Pipeline:
    """The steps over one run folder; use as a context manager."""

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
            update_data: take in source files that changed since the run read them.
            announce: gets a line for every step.
            progress: shows bars, with estimates, for long work.

        Raises:
            RunError: the folder is in use, or is no run folder of this release.
        """
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
        """All steps; the content of results.json."""
        return self.evaluate()

    def data(self) -> Dataset:
        """Read, check and keep the interactions."""
        return self._dataset

    def signals(self) -> Prepared:
        """Split, and count the graph of the training split."""
        return self._prepared

    def store_evidence(
        self, where: Where = "threads", address: str | None = None, *, fresh: bool, grace: float
    ) -> Path:
        """Build the evidence store of the run's data, for answering; its folder (`store_evidence`)."""
        return store_evidence(self._session, self._dataset, where, address, fresh=fresh, grace=grace)

    def teach(self, wanted: Teaching | None = None) -> dict[str, object]:
        """Let the teacher reason over training tasks; facts about its runs (`gather_runs`)."""
        return gather_runs(self._session, self._prepared, self._tasks, wanted)

    def estimate_teaching(self, sample: int) -> Estimate:
        """What teaching would take, from that many tasks (`estimate_runs`)."""
        return estimate_runs(self._session, self._prepared, self._tasks, sample)

    def distill(self) -> dict[str, Any]:
        """Train the student on the kept runs, then by GRPO; facts about each stage, teaching included."""
        # Imports torch, which the steps before it do without.
        from starrec.pipeline.distillation import distill

        taught = self.teach()
        return distill(self._session, self._prepared, self._tasks, taught)

    def evaluate(self) -> Results:
        """Rank the test tasks with every system; results.json and report.html."""
        from starrec.pipeline.evaluation import evaluate

        training = self.distill()
        return evaluate(self._session, self._prepared, self._tasks, training)

    @cached_property
    def _dataset(self) -> Dataset:
        return keep_dataset(self._session, update=self._update_data)

    @cached_property
    def _prepared(self) -> Prepared:
        return prepare(self._session, self._dataset)

    @cached_property
    def _tasks(self) -> Tasks:
        return Tasks(self._prepared, self.config, asked_before(self._session.run.folder, self.config))
