"""Floor 3: the evidence store: counts built offline, kept in versions, read by many processes.

On LMDB (`Versions`, `build`, `update`, `LmdbStore`), and on Redis where several servers share one
(`redis_store`, with the extra `redis`). What is read is a `CountStore` like any other.
"""

from starrec.store.build import Origin, Settings, build, built
from starrec.store.lmdb_store import LmdbStore
from starrec.store.log import Log
from starrec.store.records import FORMAT, CorruptRecord, Kind, OtherVersion
from starrec.store.stored import StoredCounts, StoreUnavailable
from starrec.store.update import Updated, update
from starrec.store.versions import GRACE_SECONDS, Versions, evidence_folder

__all__ = [
    "FORMAT",
    "GRACE_SECONDS",
    "CorruptRecord",
    "Kind",
    "LmdbStore",
    "Log",
    "Origin",
    "OtherVersion",
    "Settings",
    "StoreUnavailable",
    "StoredCounts",
    "Updated",
    "Versions",
    "build",
    "built",
    "evidence_folder",
    "update",
]
