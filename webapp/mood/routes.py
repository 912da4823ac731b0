"""Adds the mood stream to an application."""

from __future__ import annotations

from typing import Any

from flask import Flask

from webapp.access.gate import admission
from webapp.mood.board import MoodBoard
from webapp.mood.events import LiveMood, MoodNamespace
from webapp.mood.stream import EXTENSION, blueprint
from webapp.mood.webhooks import Webhooks
from webapp.web.services import services_of


def init_mood(app: Flask) -> None:
    """After ``init_live``: the board, its HTTP stream, its namespaces and its webhooks.

    Raises :class:`~webapp.errors.SettingsError` for webhooks that cannot be used.
    """
    services = services_of(app)
    socket = app.extensions["socketio"]
    board = MoodBoard(services.settings)
    webhooks = Webhooks(
        services.settings,
        start=socket.start_background_task,
        sleep=socket.sleep,
        count=lambda outcome: services.metrics.webhooks.labels(outcome).inc(),
    )
    board.everywhere.append(webhooks)
    services.metrics.watch_moods(lambda: len(board), lambda: board.listeners)
    live: Any = app.extensions["mien.live.namespace"]

    def emit(event: str, payload: dict[str, Any], sid: str) -> None:
        live.emit(event, payload, to=sid)

    mood = LiveMood(board, emit, socket.start_background_task, socket.sleep, webhooks.hosts)
    live.hub.observers.append(mood)
    live.share = mood.request
    socket.server.register_namespace(MoodNamespace(board, admission(app, "mood:read")))
    app.extensions[EXTENSION] = board
    app.extensions["mien.mood.hosts"] = webhooks.hosts
    app.register_blueprint(blueprint)
