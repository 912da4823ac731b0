"""This process as one node of several: follows the active model and tells how it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

from flask import Flask
from prometheus_client import Gauge

from webapp import __version__
from webapp.cluster.follow import ModelFollower, ModelState
from webapp.cluster.nodes import Nodes, node_name
from webapp.cluster.shared_registry import NodeRegistry
from webapp.web.message_queue import message_queue
from webapp.web.services import services_of

EXTENSION = "mien.node"
Follow = Callable[[str, Callable[[], None]], None]
_log = logging.getLogger(__name__)


class Node:
    """One of several web nodes; made with :func:`join`."""

    def __init__(self, app: Flask, registry: NodeRegistry, follow: Follow) -> None:
        self._services = services_of(app)
        settings = self._services.settings
        self.name = node_name()
        self._every_s = settings.cluster_poll_s
        queue = message_queue(settings)
        self._nodes = Nodes(queue) if queue else None
        self.redis_reachable: bool | None = None
        self.follower = ModelFollower(
            registry,
            self._services.inference,
            follow,
            self._every_s,
            queue,
            self._after,
        )
        self._gauge(
            "mien_model_in_step",
            "1 while this node serves the model that is active for all.",
            lambda: self.follower.state.in_step,
        )
        if queue:
            self._gauge(
                "mien_redis_reachable",
                "1 while Redis answered last.",
                lambda: bool(self.redis_reachable),
            )

    def _gauge(self, name: str, text: str, value: Callable[[], bool]) -> None:
        gauge = Gauge(name, text, registry=self._services.metrics.registry)
        gauge.set_function(lambda: float(value()))

    def state(self) -> dict[str, Any]:
        """What this node tells the others and whoever asks it."""
        return {
            "name": self.name,
            "software": __version__,
            "model": self.follower.state.to_json(),
            "workers": self._services.workers(),
            "redis_reachable": self.redis_reachable,
        }

    def _after(self, _state: ModelState) -> None:
        if self._nodes is not None:
            self.redis_reachable = self._nodes.announce(self.name, self.state(), self._every_s)

    def leave(self) -> None:
        """Leave the cluster: the others see it at once."""
        self.follower.stop()
        if self._nodes is not None:
            self._nodes.leave(self.name)


def join(app: Flask, registry: NodeRegistry, follow: Follow) -> Node | None:
    """Make the application a node where the settings name something to share; None elsewhere.

    ``follow`` serves a version that another node made active.
    """
    settings = services_of(app).settings
    if not settings.message_queue and not settings.models_url:
        return None
    node = Node(app, registry, follow)
    app.extensions[EXTENSION] = node
    node.follower.start()
    return node


def node_of(app: Flask) -> Node | None:
    """The node that the application is, if it is one of several."""
    return cast("Node | None", app.extensions.get(EXTENSION))
