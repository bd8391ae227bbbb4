"""Floor 3: the evidence store: counts built offline, kept in versions, read by many processes.

On LMDB (`Versions`, `build`, `update`, `LmdbSource`), and on Redis where several servers share one
(`redis_store`, with the extra `redis`). What is read is a `Source` like any other.
"""

from starrec.store.build import Origin, Settings, build, built
from starrec.store.lmdb_store import LmdbSource
from starrec.store.log import Log
from starrec.store.records import FORMAT, CorruptRecord, Kind, OtherVersion
from starrec.store.source import Stored
from starrec.store.update import Updated, update
from starrec.store.versions import GRACE_SECONDS, Versions, evidence_folder

__all__ = [
    "FORMAT",
    "GRACE_SECONDS",
    "CorruptRecord",
    "Kind",
    "LmdbSource",
    "Log",
    "Origin",
    "OtherVersion",
    "Settings",
    "Stored",
    "Updated",
    "Versions",
    "build",
    "built",
    "evidence_folder",
    "update",
]
