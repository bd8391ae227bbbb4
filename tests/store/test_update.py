"""An update gives, byte for byte, what a full rebuild over everything would."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from starrec.data import build as make_dataset
from starrec.store import LmdbStore, Log, Settings, Versions, build, pairs, update

N_ITEMS = 10
DAY = 86_400
SETTINGS = Settings(history_cap=4, kept=3, ease_items=6, ridge=2.0)
"""Small enough that caps and cuts are reached all the time."""

rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, N_ITEMS - 1), st.integers(0, 9)), min_size=1, max_size=12
)


def interactions(drawn, order, resolution=1):
    def moment(time):
        if order == "position":
            return time
        # In ticks finer than a second, every other time lies within the second of the one before.
        return time * (DAY // 2) if resolution == 1 else time // 2 * (DAY // 2) * resolution + time % 2

    return pl.DataFrame(
        [(f"u{user}", f"i{item}", moment(time)) for user, item, time in drawn],
        schema=["user_id", "item_id", "time"],
        orient="row",
    )


def catalogue(n_items):
    return pl.DataFrame(
        {
            "item_id": [f"i{item}" for item in range(n_items)],
            "title": [f"Item {item}" for item in range(n_items)],
        }
    )


def start(folder, drawn, order, n_items=N_ITEMS, **how):
    rows = interactions(drawn, order, how.get("resolution", 1))
    dataset = make_dataset("some", order, rows, catalogue(n_items), **how)
    versions = Versions(folder)
    build(versions, Log.of(dataset, 5), "x", SETTINGS)
    return versions


def renumbered(everything, order, user_ids, items, **how):
    """The log of a dataset of everything, but with the given numbers of users and items."""
    dataset = make_dataset("all", order, everything, items, **how)
    log = Log.of(dataset, 5)
    users = [dataset.user_ids.index(user) for user in user_ids]
    place = {item: index for index, item in enumerate(items["item_id"].to_list())}
    histories = [log.of_user(user) for user in users]
    taken = np.concatenate([history.items for history in histories])
    known = dataset.item_ids
    return Log(
        order,
        5,
        user_ids,
        log.catalogue,
        np.cumsum([0, *(len(history.items) for history in histories)], dtype=np.int64),
        np.array([place[known[item]] for item in taken.tolist()], dtype=np.int32),
        np.concatenate([history.times for history in histories]),
        **how,
    )


def contents(version):
    return [(key, bytes(record)) for key, record in LmdbStore(version).records()]


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    order=st.sampled_from(["clock", "position"]),
    first=rows,
    batches=st.lists(rows, min_size=1, max_size=3),
    late_items=st.integers(0, 2),
    many=st.sampled_from([None, None, 0]),
    repeats=st.sampled_from(["first", "last"]),
    resolution=st.sampled_from([1, 1000]),
)
# The cap drops the only interaction of the first day.
@example(
    order="clock",
    first=[(0, 0, 0), (0, 1, 2), (0, 2, 4), (0, 3, 6)],
    batches=[[(0, 4, 8)]],
    late_items=0,
    many=None,
    repeats="first",
    resolution=1,
)
def test_updates_equal_a_rebuild(order, first, batches, late_items, many, repeats, resolution):
    how = {"repeats": repeats, "resolution": resolution if order == "clock" else 1}
    # Items that come with the first batch: nobody took them before.
    known = N_ITEMS - late_items
    first = [(user, item % known, time) for user, item, time in first]
    with tempfile.TemporaryDirectory() as box:
        versions = start(Path(box) / "evidence", first, order, known, **how)
        for number, batch in enumerate(batches):
            with pytest.MonkeyPatch.context() as patch:
                if many is not None:
                    # As if too much had changed to look at each pair.
                    patch.setattr(pairs, "_MANY", many)
                new_items = catalogue(N_ITEMS) if number == 0 else None
                update(versions, interactions(batch, order, how["resolution"]), new_items)
        source = LmdbStore.open(versions.folder)
        log = renumbered(
            interactions([*first, *(row for batch in batches for row in batch)], order, how["resolution"]),
            order,
            source.user_ids,
            catalogue(N_ITEMS),
            **how,
        )
        anew = Versions(Path(box) / "anew")
        build(anew, log, "x", SETTINGS)
        assert contents(versions.require()) == contents(anew.require())


def test_a_stray_day_costs_an_entry(tmp_path):
    """Days are stored sparsely: a day 5 million years away takes 12 bytes, not a column of days up to it."""
    versions = start(tmp_path / "evidence", [(0, 0, 0), (1, 0, 2)], "clock")
    stray = pl.DataFrame({"user_id": ["u1"], "item_id": ["i3"], "time": [2_000_000_000 * DAY]})
    update(versions, stray)
    source = LmdbStore.open(versions.folder)
    assert source.daily.days.tolist() == [0, 1, 2_000_000_000] and source.daily.counts.tolist() == [1, 1, 1]
    assert (source.span.first_day, source.span.last_day) == (0, 2_000_000_000)
    assert source.bytes_on_disk < 1 << 20
