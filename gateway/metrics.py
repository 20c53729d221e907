"""What the gateway counts. Each metric is declared once, with what it tells."""

import time
from typing import Final, Literal

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from projections.errors import ReadModelUnavailable
from projections.rankings_query import LiveRankings
from write_side.hours import end_of


class MetricDefinition(msgspec.Struct, frozen=True):
    """A metric: its name, its kind, what it tells, and by what it is split."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    tells: str
    labels: tuple[str, ...] = ()


REQUEST_SECONDS: Final = MetricDefinition(
    "topsellers_request_seconds",
    "histogram",
    "Time from a request's arrival to the end of its answer; how many there were by route.",
    ("route", "status"),
)
CACHE_LOOKUPS: Final = MetricDefinition(
    "topsellers_answer_cache_lookups_total",
    "counter",
    "Requests answered from finished bytes (hit), made anew (miss), or made by another (joined).",
    ("result",),
)
CACHED_ANSWERS: Final = MetricDefinition(
    "topsellers_answer_cache_answers", "gauge", "Finished answers in memory."
)
CACHED_BYTES: Final = MetricDefinition(
    "topsellers_answer_cache_bytes", "gauge", "Bytes of finished answers in memory."
)
OPEN_STREAMS: Final = MetricDefinition(
    "topsellers_open_streams", "gauge", "Streams of lists that clients watch now."
)
RANKINGS_READABLE: Final = MetricDefinition(
    "topsellers_rankings_readable", "gauge", "1 while all rankings can be read, else 0."
)
RANKINGS_VERSION: Final = MetricDefinition(
    "topsellers_rankings_version",
    "gauge",
    "The version that all partitions have reached, -1 before the first.",
)
RANKINGS_AGE_SECONDS: Final = MetricDefinition(
    "topsellers_rankings_age_seconds",
    "gauge",
    "Time since the end of the newest hour that all partitions show; grows while none is shown.",
)
DEFINITIONS: Final = (
    REQUEST_SECONDS,
    CACHE_LOOKUPS,
    CACHED_ANSWERS,
    CACHED_BYTES,
    OPEN_STREAMS,
    RANKINGS_READABLE,
    RANKINGS_VERSION,
    RANKINGS_AGE_SECONDS,
)

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class GatewayMetrics:
    """The metrics of one gateway process, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register every metric in `registry`."""
        self._registry = registry
        self._requests = Histogram(
            REQUEST_SECONDS.name,
            REQUEST_SECONDS.tells,
            REQUEST_SECONDS.labels,
            buckets=_BUCKETS,
            registry=registry,
        )
        lookups = Counter(
            CACHE_LOOKUPS.name, CACHE_LOOKUPS.tells, CACHE_LOOKUPS.labels, registry=registry
        )
        self.cache_hits = lookups.labels("hit")
        self.cache_misses = lookups.labels("miss")
        self.cache_joins = lookups.labels("joined")
        self.cached_answers = self._gauge(CACHED_ANSWERS)
        self.cached_bytes = self._gauge(CACHED_BYTES)
        self.open_streams = self._gauge(OPEN_STREAMS)
        self._readable = self._gauge(RANKINGS_READABLE)
        self._version = self._gauge(RANKINGS_VERSION)
        self._age = self._gauge(RANKINGS_AGE_SECONDS)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request by its route's template."""
        self._requests.labels(route, status).observe(seconds)

    def exposed(self, rankings: LiveRankings) -> tuple[bytes, str]:
        """Return all metrics as Prometheus reads them, with their media type."""
        try:
            view = rankings.view()
            version, hour = view.version(), view.as_of_hour()
        except ReadModelUnavailable:
            self._readable.set(0)
        else:
            self._readable.set(1)
            self._version.set(version)
            if hour is not None:
                self._age.set(time.time() - end_of(hour).timestamp())
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _gauge(self, definition: MetricDefinition) -> Gauge:
        return Gauge(definition.name, definition.tells, registry=self._registry)
