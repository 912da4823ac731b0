"""The ``/live`` namespace: Socket.IO events in, acknowledgements out; the hub does the rest.

Client to server
    ``frame(meta, jpeg)`` -> result or error; ``meta = {seq, captured_ms, width, height}``
    ``options({"smoothing": bool, "steadiness": name})`` -> the options now in force, or an error
    ``baseline({"action": "start" | "cancel" | "reset"})`` -> its state, or an error
    ``share({"on": bool})`` -> see ``webapp.mood.events``
Server to client
    ``hello``   ``{session, model, workers, emotions, limits}`` once after connecting
    ``status``  ``{reason, model, workers}`` when the model or the workers changed; ``reason`` is
    ``model_changed``, ``workers_lost`` or ``workers_back``. Before the server ends a connection it
    is ``idle`` or ``stopping``, with a ``message``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import Any

import socketio
from flask import Flask
from flask_socketio import SocketIO

from webapp.access.connections import GuardedNamespace
from webapp.access.gate import Admission, admission
from webapp.cluster.sockets import NodeManager
from webapp.errors import InvalidRequest, MienError
from webapp.live.bounded_packets import BoundedPacket
from webapp.live.broken_packets import end_connections_of
from webapp.live.hub import WATCH_EVERY_S, LiveHub
from webapp.web.headers import allowed_origins, origin_allowed
from webapp.web.message_queue import message_queue
from webapp.web.services import Services

NAMESPACE = "/live"
_log = logging.getLogger(__name__)

# A message above the transport's limit ends the connection before we see it, so the limit lies
# well above max_frame_bytes: frames up to this size get an error acknowledgement instead.
TRANSPORT_BYTES = 8_000_000


class LiveNamespace(GuardedNamespace):
    """Hands events to the hub.

    Registered on the Socket.IO server itself: Flask-SocketIO's wrapper would build a Flask
    request context for every frame, and would let a wrong number of arguments raise.
    """

    def __init__(self, hub_of: Callable[[LiveNamespace], LiveHub], admit: Admission) -> None:
        super().__init__(NAMESPACE)
        self._admit = admit
        self._hub_of = hub_of
        self._watching = Lock()
        self.hub: LiveHub
        # set by the mood stream, which is another part
        self.share: Callable[[str, tuple[Any, ...]], dict[str, Any]] = lambda sid, args: (
            InvalidRequest("This server shares no moods.").to_json()
        )

    def _set_server(self, server: Any) -> None:
        super()._set_server(server)
        self.hub = self._hub_of(self)

    def trigger_event(self, event: str, *args: Any) -> Any:
        sid, *rest = args
        if event == "frame":
            return self.hub.frame(sid, tuple(rest))
        if event == "baseline":
            return self.hub.baseline(sid, tuple(rest))
        if event == "options":
            return self.hub.options(sid, tuple(rest))
        if event == "share":
            return self.share(sid, tuple(rest))
        # A client may name its events like the library's own two, which are told apart by what
        # only the library can do: pass the connection's environment, or have ended it already.
        if event == "connect" and rest and rest[0] is self.server.get_environ(sid, NAMESPACE):
            return self._connect(sid, rest[0], rest[1] if len(rest) > 1 else None)
        if event == "disconnect" and not self.server.manager.is_connected(sid, NAMESPACE):
            return self.hub.disconnected(
                sid, clean_close=rest[:1] == [self.server.reason.CLIENT_DISCONNECT]
            )
        return InvalidRequest(
            "Expected the event frame, options or baseline in JSON of a few parts. Received "
            "another one."
        ).to_json()

    def _connect(self, sid: str, environ: dict[str, Any], auth: object) -> None:
        try:
            self._admit(self, sid, environ, auth)
            self.hub.connect(sid, str(environ.get("REMOTE_ADDR", "unknown")))
        except MienError as error:
            refusal = socketio.exceptions.ConnectionRefusedError(error.message, error.to_json())
            raise refusal from error
        if self._watching.acquire(blocking=False):
            self.server.start_background_task(self._watch)

    def _watch(self) -> None:
        while True:
            try:
                while len(self.hub):
                    self.server.sleep(WATCH_EVERY_S)
                    try:
                        self.hub.watch()
                    except Exception:  # noqa: BLE001  (the next look may go well)
                        _log.exception("The live connections could not be watched.")
            finally:
                self._watching.release()
            # somebody may have connected between the last look and the release
            if not len(self.hub) or not self._watching.acquire(blocking=False):
                return


def init_live(app: Flask, services: Services) -> SocketIO:
    """Bind Socket.IO and the ``/live`` namespace to an application."""
    extra = allowed_origins(services.settings)
    queue = message_queue(services.settings)
    shared = {"client_manager": NodeManager(queue)} if queue else {}
    socket = SocketIO(
        app,
        **shared,
        async_mode=services.settings.async_mode,
        cors_allowed_origins=lambda origin, environ: origin_allowed(origin, environ, extra),
        max_http_buffer_size=TRANSPORT_BYTES,
        manage_session=False,
        http_compression=False,
        serializer=BoundedPacket,
    )

    end_connections_of(socket.server.eio)

    def make_hub(namespace: LiveNamespace) -> LiveHub:
        def emit(event: str, payload: dict[str, Any], sid: str | None) -> None:
            # of this node's connections alone: other nodes have models and workers of their own
            namespace.emit(event, payload, to=sid, ignore_queue=True)

        return LiveHub(services, emit, namespace.end)

    namespace = LiveNamespace(make_hub, admission(app, "live"))
    socket.server.register_namespace(namespace)
    app.extensions["mien.live"] = namespace.hub
    app.extensions["mien.live.namespace"] = namespace
    return socket
