"""Ends a connection whose peer sent what is no Engine.IO packet, at once, and lets others have
their turn between two packets of one connection.

The library reads such a packet outside of its own care: the exception ends the WebSocket, but the
connection counts as open until a ping stays unanswered, 45 s later. Until then it holds one of the
places for live connections, so that a page with a mistake could take all of them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

_log = logging.getLogger(__name__)
Handler = Callable[[Any], Any]


def _ending(handler: Handler) -> Handler:
    """``handler``, the bound method of an Engine.IO socket, that leaves none half open."""
    connection: Any = handler.__self__  # type: ignore[attr-defined]
    receive = connection.receive

    def receive_in_turn(packet: Any) -> None:
        """Thousands of small packets arrive as one piece: between two of them others go on."""
        receive(packet)
        connection.server.sleep(0)

    connection.receive = receive_in_turn

    @functools.wraps(handler)
    def handle(ws: Any) -> Any:
        try:
            return handler(ws)
        except Exception as error:  # noqa: BLE001 - whatever was sent, it ends this connection only
            _log.info("A connection ended by what is no packet: %s", type(error).__name__)
            reason = connection.server.reason.TRANSPORT_ERROR
            connection.close(wait=False, abort=True, reason=reason)
            return []

    return handle


def _end_polling(engine: Any) -> None:
    """Close polling connections at once: the library waits until somebody fetches its last word,
    and answers 500 to who goes on with a connection that has ended.
    """
    disconnect, handle_request = engine.disconnect, engine.handle_request

    def disconnect_at_once(sid: str | None = None) -> None:
        polling = engine.sockets.get(sid)
        if polling is None or polling.upgraded or polling.closed:
            disconnect(sid)
            return
        polling.close(wait=False, reason=engine.reason.SERVER_DISCONNECT)
        engine.sockets.pop(sid, None)

    def handle(environ: dict[str, Any], start_response: Any) -> Any:
        sid = parse_qs(environ.get("QUERY_STRING", "")).get("sid", [""])[0]
        known = engine.sockets.get(sid)
        if known is not None and known.closed:
            engine.sockets.pop(sid, None)
        return handle_request(environ, start_response)

    engine.disconnect, engine.handle_request = disconnect_at_once, handle


def end_connections_of(engine: Any) -> None:
    """Have the Engine.IO server ``engine`` close what a broken packet ended."""
    _end_polling(engine)
    parts = dict(engine._async)  # the library's own table, which all servers of a mode share
    open_websocket = parts["websocket"]
    if open_websocket is None:
        return

    # with threads the library bounds a message only once it is all there
    threads = engine.async_mode == "threading"
    more = {"max_message_size": int(engine.max_http_buffer_size)} if threads else {}

    def websocket(handler: Handler, server: Any) -> Any:
        return open_websocket(_ending(handler), server, **more)

    parts["websocket"] = websocket
    engine._async = parts
