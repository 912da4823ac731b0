"""Runs the application in the chosen async mode and stops it without losing a frame."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler

from webapp.errors import SettingsError
from webapp.live.handshakes import Handshakes
from webapp.live.hub import LiveHub
from webapp.server.connections import (
    PIECE,
    UNREAD_BYTES,
    Connection,
    ConnectionLimiter,
    PacedBody,
)
from webapp.server.refusals import OneShape
from webapp.server.tls import Tls, lan_addresses
from webapp.settings import Settings
from webapp.web.services import services_of
from webapp.web.turns import use_threads

_log = logging.getLogger(__name__)
GRACE_S = 2.0  # for connections that do not close by themselves when the server stops
BACKLOG = 512  # connections that the system holds until we accept them
STALL_S = 60.0  # a request whose peer neither sends nor takes anything for this long is dropped
KEEP_ALIVE_S = 75.0  # so is a connection without a request; Socket.IO watches its own
STREAMS = "/api/v1/mood/"  # answers whose every part must leave at once
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


PLAIN_ON_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks HTTPS. Open the same address with https:// in front.\n"
)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (not a bind)


def url_of(host: str, port: int, scheme: str = "http") -> str:
    """The address to open in a browser on this machine."""
    shown = _EVERYWHERE.get(host, host)
    return f"{scheme}://{f'[{shown}]' if ':' in shown and shown[0] != '[' else shown}:{port}/"


def choose_port(settings: Settings) -> int:
    """The port to listen on; a free one for the setting 0.

    Raises :class:`SettingsError` where nobody can listen there. Asked before anything slow starts.
    """
    host: str = settings.host
    port = settings.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. "
            "Set MIEN_PORT to a free port (0 picks one) or MIEN_HOST to an address of ours.",
            host=host,
            port=port,
        ) from error


def _announce(
    settings: Settings,
    port: int,
    tls: Tls | None,
    sleep: Callable[[float], None],
    ready: Callable[[str], None] | None,
) -> None:
    """Print the line with the URL once the server really accepts connections; set ``ready``.

    Over TLS with a certificate of ours, also how others reach it and what their browser will show.
    """
    scheme = "https" if tls else "http"
    target = _EVERYWHERE.get(settings.host, settings.host)
    for _ in range(1000):
        try:
            socket.create_connection((target, port), timeout=1).close()
        except OSError:
            sleep(0.01)
            continue
        break
    else:
        return
    if tls is not None and tls.own:
        if settings.host in _EVERYWHERE:
            for address in lan_addresses():
                print(f"In your network: {url_of(address, port, scheme)}")
        print(f"Certificate SHA-256: {tls.fingerprint}")
        print("The browser will warn, because nobody but this machine signed the certificate.")
    url = url_of(settings.host, port, scheme)
    print(f"Mien is ready: {url}", flush=True)
    if ready is not None:
        ready(url)


@dataclass(frozen=True, slots=True)
class _Run:
    """What each of the servers below is given."""

    app: Flask
    host: str
    port: int
    tls: Tls | None
    drain: Callable[[], None]


def serve(
    app: Flask,
    port: int,
    *,
    stop: Callable[[], None],
    tls: Tls | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and call ``stop``.

    ``ready`` is called with our URL once connections are accepted.
    """
    settings = services_of(app).settings
    sio = app.extensions["socketio"]
    hub: LiveHub = app.extensions["mien.live"]
    sio.start_background_task(_announce, settings, port, tls, sio.sleep, ready)
    sio.start_background_task(Handshakes(sio.server).watch)

    def drain() -> None:
        hub.drain(sio.sleep, timeout_s=settings.inference_timeout_ms / 1000 + 0.5)

    run = _eventlet if settings.async_mode == "eventlet" else _threading
    try:
        run(_Run(app, settings.host, port, tls, drain))
    finally:
        stop()


def _eventlet(run: _Run) -> None:
    import eventlet
    import eventlet.tpool
    import eventlet.wsgi
    from eventlet.green import ssl as green_ssl
    from greenlet import getcurrent

    use_threads(eventlet.tpool.execute)
    door = ConnectionLimiter(services_of(run.app).settings)

    class Protocol(OneShape, eventlet.wsgi.HttpProtocol):  # type: ignore[misc]
        """eventlet's protocol with small packets sent at once and tracebacks kept in the log."""

        place: Connection

        def __init__(self, conn_state: list[Any], server: Any) -> None:
            def end(also_answers: bool) -> None:
                how = socket.SHUT_RD if also_answers else socket.SHUT_RDWR
                _shut(conn_state[1].fileno(), how)

            with door.acquire(str(conn_state[0][0]), end) as place:
                if place is not None:  # otherwise the server closes it
                    self.place = place
                    super().__init__(conn_state, server)

        def setup(self) -> None:
            try:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:  # the peer is gone already; reading will say so
                _log.debug("TCP_NODELAY could not be set.")
            self.server.debug = False
            super().setup()

        def get_environ(self) -> dict[str, Any]:
            environ: dict[str, Any] = super().get_environ()
            if str(environ.get("PATH_INFO", "")).startswith(STREAMS):
                # otherwise events wait here until there are 4 KB of them
                environ["eventlet.minimum_write_chunk_size"] = 0
            body = environ["eventlet.input"]
            body.rfile = PacedBody(body.rfile, self.place, door.clock, eventlet.sleep)
            body.discard = lambda: self.pass_over(body)
            self.place.works()
            return environ

        def pass_over(self, body: Any) -> None:
            """The part of a body that nobody read; a long one ends its connection instead."""
            for _ in range(0, UNREAD_BYTES, PIECE):
                if not body.read(PIECE):
                    return
            self.close_connection = True

        def parse_request(self) -> bool:
            try:
                whole: bool = super().parse_request()
            except (eventlet.wsgi.HeaderLineTooLong, eventlet.wsgi.HeadersTooLarge):
                self.send_error(431, "The headers are too long.")
                return False
            if self.place.ended:  # in the middle of its headers
                self.close_connection = True
                return False
            return whole

        def _read_request_line(self) -> bytes:
            try:
                line: bytes = super()._read_request_line()
            except ssl.SSLError as error:  # the handshake happens here: whoever fails it is gone
                if error.reason == "HTTP_REQUEST":
                    _answer_in_plain(self.connection.fileno())
                return b""
            except ValueError:  # the TLS socket was closed under us because the server stops
                return b""
            if line and len(line) >= self.server.url_length_limit:
                self.send_error(414, "The address is too long.")
                return b""
            return line

        def handle_one_request(self) -> None:
            self.place.waits(door.clock())
            eventlet.sleep()  # others' turn, where requests are there already, one after the other
            try:
                super().handle_one_request()
                if self.place.ended:
                    self.close_connection = True
            except ssl.SSLError as error:
                _log.debug("A TLS connection broke: %s", error.reason)
                self.close_connection = True

        def finish(self) -> None:
            with suppress(ssl.SSLError, ValueError):  # no peer is left
                super().finish()

    main = getcurrent()
    # A signal handler may run in the middle of any greenlet and does not wake the event loop, so
    # it only writes a byte; a greenlet that waits for the byte does the work.
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)

    def wait_for_signal() -> None:
        while reader.recv(1)[0] not in STOP_SIGNALS:
            pass
        run.drain()
        eventlet.spawn_after(GRACE_S, main.throw, SystemExit)  # a peer that never closes
        main.throw(SystemExit)

    def end_overdue() -> None:
        while True:
            eventlet.sleep(1)
            door.end_overdue()

    eventlet.spawn(wait_for_signal)
    eventlet.spawn(end_overdue)
    family, _, _, _, address = socket.getaddrinfo(run.host, run.port, type=socket.SOCK_STREAM)[0]
    listener = eventlet.listen(address, family, backlog=BACKLOG)
    if run.tls is not None:
        listener = green_ssl.GreenSSLSocket(
            listener, server_side=True, do_handshake_on_connect=False, _context=run.tls.context()
        )
    try:
        eventlet.wsgi.server(
            listener,
            run.app,
            log_output=False,
            log=_QuietLog(),
            protocol=Protocol,
            socket_timeout=STALL_S,
            keepalive=KEEP_ALIVE_S,
            max_size=door.most,
        )
    finally:
        signal.set_wakeup_fd(-1)


def _shut(descriptor: int, how: int) -> None:
    """Shut a connection that another greenlet reads; below TLS, which that greenlet is in."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as plain:
        plain.shutdown(how)


def _answer_in_plain(descriptor: int) -> None:
    """Answer a client that spoke HTTP to a TLS port; the TLS layer has read the request already."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as plain:
        plain.send(PLAIN_ON_TLS)


class _QuietLog:
    """Receives what eventlet's server says; only what goes wrong is passed on."""

    def info(self, message: str, *_args: Any) -> None:
        level = logging.ERROR if "Traceback" in message else logging.DEBUG
        _log.log(level, "%s", message)

    def error(self, message: str, *_args: Any) -> None:
        _log.error("%s", message)

    def debug(self, message: str, *_args: Any) -> None:
        _log.debug("%s", message)


def _raise_exit(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _threading(run: _Run) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, _raise_exit)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)

    class Handler(OneShape, WSGIRequestHandler):
        """Werkzeug's handler with our words for what is no HTTP."""

    cli = sys.modules.get("flask.cli")
    if cli is not None:  # its banner would repeat our own line
        cli.show_server_banner = lambda *_: None  # type: ignore[attr-defined]
    try:
        run.app.extensions["socketio"].run(
            run.app,
            host=run.host,
            port=run.port,
            use_reloader=False,
            allow_unsafe_werkzeug=True,
            request_handler=Handler,
            ssl_context=run.tls.context() if run.tls else None,
        )
    except SystemExit:
        _log.debug("Stopping.")
    finally:
        run.drain()
