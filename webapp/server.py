"""Runs the application in the chosen async mode and stops it without losing a frame."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from flask import Flask

from webapp.errors import SettingsError
from webapp.live.hub import LiveHub
from webapp.services import services_of
from webapp.settings import Settings

_log = logging.getLogger(__name__)
GRACE_S = 2.0  # for connections that do not close by themselves when the server stops
STALL_S = 60.0  # a request whose peer neither sends nor takes anything for this long is dropped
KEEP_ALIVE_S = 75.0  # so is a connection without a request; Socket.IO watches its own
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def url_of(host: str, port: int) -> str:
    """The address to open in a browser on this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  (not a bind)
    return f"http://{f'[{shown}]' if ':' in shown and shown[0] != '[' else shown}:{port}/"


def choose_port(settings: Settings) -> int:
    """The port to listen on; a free one for the setting 0.

    Raises :class:`SettingsError` where nobody can listen there. Asked before anything slow starts.
    """
    host: str = settings.host
    port = int(settings.port)
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


def _announce(url: str, host: str, port: int, sleep: Callable[[float], None]) -> None:
    """Print the one line with the URL once the server really accepts connections."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (not a bind)
    for _ in range(1000):
        try:
            socket.create_connection((target, port), timeout=1).close()
        except OSError:
            sleep(0.01)
            continue
        print(f"Mien is ready: {url}", flush=True)
        return


def serve(app: Flask, port: int, *, stop: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in flight and call ``stop``."""
    settings = services_of(app).settings
    sio = app.extensions["socketio"]
    hub: LiveHub = app.extensions["mien.live"]
    sio.start_background_task(
        _announce, url_of(settings.host, port), settings.host, port, sio.sleep
    )

    def drain() -> None:
        hub.drain(sio.sleep, timeout_s=settings.inference_timeout_ms / 1000 + 0.5)

    runners: dict[str, Callable[..., None]] = {"eventlet": _eventlet, "gevent": _gevent}
    try:
        runners.get(settings.async_mode, _threading)(app, settings.host, port, drain)
    finally:
        stop()


def _eventlet(app: Flask, host: str, port: int, drain: Callable[[], None]) -> None:
    import eventlet
    import eventlet.wsgi
    from greenlet import getcurrent

    class Protocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]
        """eventlet's protocol with small packets sent at once and tracebacks kept in the log."""

        def setup(self) -> None:
            try:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:  # the peer is gone already; reading will say so
                _log.debug("TCP_NODELAY could not be set.")
            self.server.debug = False
            super().setup()

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
        drain()
        eventlet.spawn_after(GRACE_S, main.throw, SystemExit)  # a peer that never closes
        main.throw(SystemExit)

    eventlet.spawn(wait_for_signal)
    try:
        app.extensions["socketio"].run(
            app,
            host=host,
            port=port,
            use_reloader=False,
            log_output=False,
            log=_QuietLog(),
            protocol=Protocol,
            socket_timeout=STALL_S,
            keepalive=KEEP_ALIVE_S,
        )
    finally:
        signal.set_wakeup_fd(-1)


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


def _threading(app: Flask, host: str, port: int, drain: Callable[[], None]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, _raise_exit)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    cli = sys.modules.get("flask.cli")
    if cli is not None:  # its banner would repeat our own line
        cli.show_server_banner = lambda *_: None  # type: ignore[attr-defined]
    try:
        app.extensions["socketio"].run(
            app, host=host, port=port, use_reloader=False, allow_unsafe_werkzeug=True
        )
    except SystemExit:
        _log.debug("Stopping.")
    finally:
        drain()


def _gevent(app: Flask, host: str, port: int, drain: Callable[[], None]) -> None:
    import gevent

    def finish() -> None:
        drain()
        app.extensions["socketio"].wsgi_server.stop()

    for number in STOP_SIGNALS:
        gevent.signal_handler(number, gevent.spawn, finish)
    app.extensions["socketio"].run(app, host=host, port=port, use_reloader=False)
