"""Prometheus metrics of one application; the registry is its own so that tests do not share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)


class _WorkerStates(Collector):
    """Counts workers by state when Prometheus asks, so that the figure is never stale."""

    def __init__(self, states: Callable[[], Iterable[str]]) -> None:
        self._states = states

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("mien_workers", "Inference workers by state.", labels=["state"])
        counts: dict[str, int] = {"ready": 0}
        for state in self._states():
            counts[state] = counts.get(state, 0) + 1
        for state, count in counts.items():
            family.add_metric([state], count)
        yield family


class Metrics:
    """The counters, gauges and histograms; ``render()`` is the body of /metrics."""

    def __init__(self, worker_states: Callable[[], Iterable[str]]) -> None:
        self.registry = CollectorRegistry()
        self.frames = Counter(
            "mien_frames", "Pictures analysed without error.", ["source"], registry=self.registry
        )
        self.errors = Counter(
            "mien_errors",
            "Pictures answered with an error, by code.",
            ["source", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "mien_frame_seconds",
            "Seconds from a picture's arrival to its answer.",
            ["source"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.sessions = Gauge(
            "mien_live_sessions", "Live connections open now.", registry=self.registry
        )
        self.registry.register(_WorkerStates(worker_states))

    def answered(self, source: str, seconds: float) -> None:
        """Count one picture that was analysed; ``source`` is "live" or "api"."""
        self.frames.labels(source).inc()
        self.seconds.labels(source).observe(seconds)

    def failed(self, source: str, code: str) -> None:
        """Count one picture that was answered with the error ``code``."""
        self.errors.labels(source, code).inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)
