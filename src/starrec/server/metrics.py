"""What a server counts, for Prometheus: no label of them holds a user, an item or a key.

Where several workers serve (`workers`), their counts stand in files of one folder, and each worker says what
all of them counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
    multiprocess,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that names the folder which workers share, before any of this is imported."""


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.queue_length: Callable[[], int] = lambda: 0
        """How many requests wait in this process."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "starrec_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "starrec_request_seconds",
            "Time from a request to the end of its answer.",
            ["route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self.under_way = Gauge(
            "starrec_requests_under_way",
            "Requests being answered.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._waiting = Gauge(
            "starrec_queue_requests",
            "Requests that wait for a batch.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.batches = Histogram(
            "starrec_batch_requests",
            "Requests computed together.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "starrec_batch_seconds", "Time that a batch took.", registry=self.registry
        )
        self.refused = Counter(
            "starrec_refused", "Requests answered with 429.", ["reason"], registry=self.registry
        )
        self.events = Counter("starrec_events", "Events that were acknowledged.", registry=self.registry)
        self.rebuilds_due = Gauge(
            "starrec_rebuilds_due",
            "Deleted users whom the counts still hold.",
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.loaded = Gauge(
            "starrec_loaded_timestamp_seconds",
            "When the run that answers was loaded; 0 while none is. Of several workers, the earliest.",
            registry=self.registry,
            multiprocess_mode="livemin",
        )
        self.failed_loads = Counter(
            "starrec_failed_loads", "Runs that could not be loaded.", registry=self.registry
        )
        for reason in ("rate", "queue", "streams"):
            self.refused.labels(reason)

    def note_queue(self) -> None:
        """Set how many requests wait: what other workers say of this one is as of its last request."""
        self._waiting.set(self.queue_length())

    def text(self) -> bytes:
        """All of them as Prometheus reads them (`CONTENT_TYPE`)."""
        self.note_queue()
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self.registry)
        of_all = CollectorRegistry()
        multiprocess.MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]
        return generate_latest(of_all)
