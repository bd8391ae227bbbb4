"""The evidence store of a run: all of its interactions counted, for answering.

No step reads it. What is evaluated is counted from the training part alone (`pipeline.preparation`), and a
store that `starrec signals update` adds to must never come near that.
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
from starrec.signals import Counts, SignalsConfig
from starrec.store import Log, Origin, Settings, Versions, build, built
from starrec.store.build import Bar

Where: TypeAlias = Literal["threads", "processes", "ray"]


def store_settings(config: SignalsConfig) -> Settings:
    """What the store counts, as configured."""
    return Settings(history_cap=config.history_cap, ease_items=config.ease_items, ridge=config.ridge)


def store_evidence(
    session: Session, dataset: Dataset, where: Where, address: str | None, *, fresh: bool, grace: float
) -> Path:
    """Build the run's evidence, unless it was built of the same inputs; the folder of its current version.

    Args:
        where: neighbours are counted.
        address: of a Ray cluster.
        fresh: build all the same, and without what updates added.
        grace: seconds that the version before stays.

    Raises:
        RunError: another process writes, updates would be lost, or the disk is full.
        ConfigError: the engine cannot be had.
    """
    tie_seed, settings = session.config.data.tie_seed, store_settings(session.config.signals)
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
    with bars(session) as bar:
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
def bars(session: Session) -> Iterator[Bar]:
    """Bars one after the other: the next one ends the one before."""
    with ExitStack() as shown:

        def begin(name: str, total: int) -> Callable[[int], None]:
            shown.close()
            return shown.enter_context(session.bar(name, total))

        yield begin
