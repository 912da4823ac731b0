"""Prometheus metrics of one application; the registry is its own so that tests do not share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from webapp import __version__
from webapp.monitoring.recent import Recent

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)


class _Workers(Collector):
    """Asks the workers when Prometheus asks us, so that no figure is ever stale."""

    def __init__(self, inference: Any) -> None:
        self._inference = inference

    def collect(self) -> Iterable[Metric]:
        info = InfoMetricFamily("mien_build", "The program and the model that serve.")
        info.add_metric((), {"version": __version__, "model": self._inference.version})
        yield info
        states = GaugeMetricFamily("mien_workers", "Inference workers by state.", labels=["state"])
        memory = GaugeMetricFamily(
            "mien_worker_resident_bytes", "Resident memory of a worker.", labels=["worker"]
        )
        restarts = CounterMetricFamily(
            "mien_worker_restarts", "Unplanned starts of a worker.", labels=["worker"]
        )
        counts: dict[str, int] = {"ready": 0}
        queue = 0
        for place, worker in enumerate(self._inference.status()):
            state = str(getattr(worker, "state", "unknown"))
            counts[state] = counts.get(state, 0) + 1
            memory.add_metric([str(place)], getattr(worker, "rss_mb", 0.0) * 2**20)
            restarts.add_metric([str(place)], getattr(worker, "restarts", 0))
            queue = getattr(worker, "queue", 0)
        for state, count in counts.items():
            states.add_metric([state], count)
        yield from (states, memory, restarts)
        yield GaugeMetricFamily("mien_queue_length", "Pictures that wait for a worker.", queue)


class Metrics:
    """The counters, gauges and histograms; ``render()`` is the body of /metrics."""

    def __init__(self, inference: Any) -> None:
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
        self.recent = Recent()
        self.requests = Histogram(
            "mien_http_seconds",
            "Seconds from an HTTP request to its answer; routes as they are written in the code.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.webhooks = Counter(
            "mien_mood_webhooks",
            "Webhook messages by outcome: delivered, failed, dropped or withdrawn.",
            ["outcome"],
            registry=self.registry,
        )
        self.registry.register(_Workers(inference))
        ProcessCollector(registry=self.registry)

    def watch_moods(self, shares: Callable[[], int], listeners: Callable[[], int]) -> None:
        """Ask for the number of shared moods and of their listeners whenever somebody looks."""
        shared = Gauge("mien_mood_shares", "Moods shared now.", registry=self.registry)
        shared.set_function(shares)
        heard = Gauge(
            "mien_mood_listeners", "Listeners to shared moods now.", registry=self.registry
        )
        heard.set_function(listeners)

    def requested(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request; without a route nobody's inventions become labels."""
        self.requests.labels(method if route != "none" else "other", route, status).observe(seconds)

    def answered(self, source: str, seconds: float) -> None:
        """Count one picture that was analysed; ``source`` is "live" or "api"."""
        self.frames.labels(source).inc()
        self.seconds.labels(source).observe(seconds)
        self.recent.answered(source, seconds)

    def failed(self, source: str, code: str) -> None:
        """Count one picture that was answered with the error ``code``."""
        self.errors.labels(source, code).inc()
        self.recent.failed(source, code)

    def render(self) -> bytes:
        return generate_latest(self.registry)
