"""What a folder of evidence holds: counts, sizes, quantiles and versions, as plain values."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starrec.data import date_of
from starrec.errors import RunError
from starrec.store.build import Origin
from starrec.store.lmdb_store import LmdbStore
from starrec.store.records import HEADER_BYTES, Kind, parse_key
from starrec.store.versions import Versions, readable_size

_QUANTILES: Final = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}


def inventory(folder: Path) -> dict[str, Any]:
    """`holds`, `records`, `quantiles` and `versions`; rows of each have the same names.

    Raises:
        RunError: there is no evidence, or it is damaged.
    """
    versions = Versions(folder)
    source = LmdbStore(versions.require())
    meta, model = source.meta, source.ease()
    sizes: dict[Kind, list[int]] = defaultdict(list)
    for raw_key, record in source.records():
        sizes[parse_key(raw_key)[0]].append(len(record) - HEADER_BYTES)
    lengths = {
        "items of a user": source.lengths,
        "users of an item": source.popularity,
        "neighbours of an item": np.array(sizes[Kind.NEIGHBOURS]) // 8,
    }
    holds: dict[str, Any] = {
        "users": int((source.lengths > 0).sum()),
        "items": meta.n_items,
        "items never taken": int((source.popularity == 0).sum()),
        "interactions": meta.interactions,
        "counted": int(source.lengths.sum()),
        "latest items of a user that count": meta.history_cap,
        "items of the EASE model": len(np.atleast_1d(model.items)) if (model := source.ease()) else 0,
        "order": meta.order,
    }
    if (span := source.span) is not None:
        holds["days"] = f"{date_of(span.first_day)} to {date_of(span.last_day)}"
    return {
        "holds": holds,
        "records": [
            {"records": kind.name.lower(), "count": len(found), "size": readable_size(sum(found))}
            for kind, found in sorted(sizes.items())
        ],
        "quantiles": [{"quantile": name, **_quantiles(values)} for name, values in lengths.items()],
        "versions": [_version(version, source.version) for version in versions.all()],
    }


def _quantiles(values: NDArray[Any]) -> dict[str, int]:
    if not len(values):
        return dict.fromkeys(_QUANTILES, 0)
    found = np.quantile(values, list(_QUANTILES.values()), method="inverted_cdf")
    return dict(zip(_QUANTILES, found.astype(int).tolist(), strict=True))


def _version(version: Path, current: Path) -> dict[str, Any]:
    data = version / "data.mdb"
    row = {"version": version.name, "state": "current", "size": "", "built": "", "updates": 0, "added": 0}
    row["size"] = readable_size(data.stat().st_size) if data.exists() else ""
    if version != current:
        retired = version / "retired"
        row["state"] = "half done"
        if retired.exists():
            row["state"] = f"retired {time.time() - retired.stat().st_mtime:,.0f} s ago"
    try:
        origin = Origin.of(version)
    except RunError:
        return row
    built = datetime.fromtimestamp(origin.built, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return row | {"built": built, "updates": origin.updates, "added": origin.added}
