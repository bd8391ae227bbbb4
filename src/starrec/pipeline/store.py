"""The evidence store of a run (`starrec signals build`): the counts of all its interactions, for serving.

No step reads it: what is evaluated is counted from the training part alone (`pipeline.signals`), and a store to
which `starrec signals update` adds interactions must never reach an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from starrec.data import Dataset
from starrec.engines import Engine, open_engine
from starrec.pipeline.session import Session
from starrec.signals import Counts
from starrec.store import Log, Origin, Settings, Versions, build, built
from starrec.store.build import Bar

Where: TypeAlias = Literal["threads", "processes", "ray"]


def build_store(
    session: Session, dataset: Dataset, where: Where, address: str | None, *, fresh: bool, grace: float
) -> Path:
    """Build the run's store unless it was built from the same inputs; the folder of its current version.

    Args:
        where: what counts the neighbours.
        address: of a Ray cluster.
        fresh: build in any case, and without the interactions that updates added.
        grace: seconds for which the version before stays.

    Raises:
        RunError: another process writes, updates would be lost, or the disk is full.
        ConfigError: the engine cannot be had.
    """
    tie_seed, signals = session.config.data.tie_seed, session.config.signals
    settings = Settings(
        history_cap=signals.history_cap,
        ease_items=signals.ease_items,
        ridge=signals.ridge,
        components=signals.factors,
    )
    inputs = settings.inputs(dataset.sha256, tie_seed)
    product = session.run.product(
        "evidence", {"dataset": dataset.sha256, "tie_seed": tie_seed, **asdict(settings)}
    )
    before = session.run.current("evidence")
    session.run.use(product)
    versions = Versions(product.folder, grace)
    if not fresh and (current := built(versions, inputs)):
        updates = Origin.of(current).updates
        since = f", with {updates} update{'' if updates == 1 else 's'} since" if updates else ""
        session.announce(f"evidence: {current} (done before{since})")
        return current
    session.announce(f"evidence: counting {dataset.interactions.height:,} interactions")
    engine: Callable[[Counts], Engine[Counts]] | None = None
    if where != "threads":
        engine = partial(open_engine, engine=where, address=address)
    log = Log.of(dataset, tie_seed)
    with _bars(session) as bar:
        version = build(versions, log, inputs, settings, engine=engine, fresh=fresh, bar=bar)
    product.complete()
    session.announce(f"evidence: {version}, in {Origin.of(version).seconds:.1f} s")
    if before is not None and before.fingerprint != product.fingerprint:
        current = Versions(before.folder).current()
        if current is not None and (origin := Origin.of(current)).updates:
            session.announce(
                f"evidence: the {origin.added:,} interactions that updates added to the one before are not "
                f"in this one; add them again, or find them in {before.folder}"
            )
    return version


@contextmanager
def _bars(session: Session) -> Iterator[Bar]:
    """Bars one after the other: each ends the one before."""
    with ExitStack() as shown:

        def begin(name: str, total: int) -> Callable[[int], None]:
            shown.close()
            return shown.enter_context(session.bar(name, total))

        yield begin
