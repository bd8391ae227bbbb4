"""What a server counts, for Prometheus: no label of them holds a user, an item or a key."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.under_way = Gauge("starrec_requests_under_way", "Requests being answered.", registry=self.registry)
        self.waiting = Gauge(
            "starrec_queue_requests", "Requests that wait for a batch.", registry=self.registry
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
            "starrec_rebuilds_due", "Deleted users whom the counts still hold.", registry=self.registry
        )
        self.loaded = Gauge(
            "starrec_loaded_timestamp_seconds",
            "When the run that answers was loaded; 0 while none is.",
            registry=self.registry,
        )
        self.failed_loads = Counter(
            "starrec_failed_loads", "Runs that could not be loaded.", registry=self.registry
        )
        for reason in ("rate", "queue", "streams"):
            self.refused.labels(reason)

    def text(self) -> bytes:
        """All of them as Prometheus reads them (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)
