"""What Prometheus reads at /metrics. Every label has a bounded number of values, whatever clients send."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from lenet.models.stored import StoredCheckpoint
from lenet.serving.drift import BOUNDS, IMAGES, expect_images, expect_readings
from lenet.serving.served import Served
from lenet.uncertainty.reading_rejection import find_group

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS"))
OTHER = "other"
"""The label of a route or a method that the server does not have."""
METRICS_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "lenet_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "lenet_request_seconds", "Time from the headers to the end of the answer.", ("route",),
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._waiting = Gauge("lenet_waiting", "Images or pictures in a lane.", ("lane",), registry=registry)
        self._replaced = Gauge(
            "lenet_replaced_workers", "Processes that died or were killed while they read.", registry=registry
        )
        self._images = Counter("lenet_images", "Single images classified.", registry=registry)
        self._readings = Counter(
            "lenet_readings",
            "Pictures, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._model = Gauge("lenet_model", "1 for the model served.", ("name", "version"), registry=registry)
        self._reloads = Counter(
            "lenet_reloads", "Reloads of the checkpoint: swapped or refused.", ("outcome",), registry=registry
        )
        self._confidence = _ConfidenceHistogram()
        registry.register(self._confidence)
        self._expected = Gauge(
            "lenet_expected_confidence",
            "The share of pictures held out of training with a confidence up to `le`, from the card.",
            ("digits", "le"), registry=registry,
        )  # fmt: skip
        for outcome in ("swapped", "refused"):
            self._reloads.labels(outcome)  # from 0 on, so that a first one is an increase
        for outcome in ("accepted", "rejected", "unreadable"):
            self._readings.labels(outcome)

    def watch_lane(self, lane: str, count: Callable[[], float]) -> None:
        """Report the number of images or pictures in a lane whenever the metrics are read."""
        self._waiting.labels(lane).set_function(count)

    def watch_workers(self, count: Callable[[], float]) -> None:
        """Report the number of workers that were replaced."""
        self._replaced.set_function(count)

    def count_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count an answer; `route` is the template of its address, None where there is none."""
        route = route or OTHER
        self._requests.labels(method if method in METHODS else OTHER, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_readings(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count rows of pictures, as `lenet predict --json` prints them."""
        for row in rows:
            if "error" in row:
                self._readings.labels("unreadable").inc()
                continue
            self._readings.labels("rejected" if row["rejected"] else "accepted").inc()
            if not row["rejected"]:
                self._confidence.add(find_group(len(row["digits"])), [row["confidence"]])

    def count_images(self, probabilities: NDArray[np.float32]) -> None:
        """Count single images by their probabilities (N, classes)."""
        self._images.inc(len(probabilities))
        self._confidence.add(IMAGES, probabilities.max(axis=1))

    def show_served(self, served: Served) -> None:
        """Show what is served, in place of what was before, and what the cards expect of it."""
        self._model.clear()
        self._model.labels(served.name, served.version).set(1)
        self._expected.clear()
        reader = served.reader[0]
        card = reader.card if isinstance(reader, StoredCheckpoint) else served.checkpoint.card
        expected = expect_images(served.checkpoint.card) | expect_readings(card)
        for group, shares in expected.items():
            for bound, share in zip(BOUNDS, shares, strict=True):
                self._expected.labels(group, str(bound)).set(share)

    def count_reload(self, outcome: str) -> None:
        """Count a reload: swapped or refused."""
        self._reloads.labels(outcome).inc()

    def render(self) -> bytes:
        """All metrics as text, of the type METRICS_TYPE."""
        return generate_latest(self.registry)


class _ConfidenceHistogram(Collector):
    """A histogram that takes the confidences of many images at a time; the library's takes one."""

    def __init__(self) -> None:
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}

    def add(self, group: str, values: ArrayLike) -> None:
        buckets = np.bincount(np.searchsorted(BOUNDS, values), minlength=len(BOUNDS) + 1)
        self._counts[group] = self._counts.get(group, 0) + buckets
        self._sums[group] = self._sums.get(group, 0.0) + float(np.sum(values))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(
            "lenet_confidence",
            "Confidence of accepted readings by their number of digits, and of single images.",
            labels=("digits",),
        )
        for group, counts in self._counts.items():
            below = zip((*map(str, BOUNDS), "+Inf"), np.cumsum(counts).tolist(), strict=True)
            family.add_metric((group,), list(below), self._sums[group])
        yield family
