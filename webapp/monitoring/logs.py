"""What the server writes to standard error: lines for people, or one JSON object each.

Every line of a request carries its ``request``, every line of a live connection its ``live``, both
random and worth nothing to whoever reads them. Nothing personal is logged: no address unless
``MIEN_LOG_ADDRESSES`` says so, no query, no name of a file.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from typing import Any

import structlog
from flask import Flask, Response, g, request

from webapp.settings import Settings
from webapp.web.services import services_of

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
# Whoever imports this logs through the standard library, whatever that is told to do with it.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)

log = structlog.stdlib.get_logger("mien.http")
REQUEST_ID = "X-Request-ID"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Asked every few seconds by machines, or many at a time by a page.
_QUIET = ("static", "health.")
LIVE_ID_CHARACTERS = 8


def live_id(sid: str) -> str:
    """What a live connection is called in the log: enough to tell connections apart."""
    return sid[:LIVE_ID_CHARACTERS]


def _is_ours(record: logging.LogRecord) -> bool:
    """Drops the traceback of a packet on which the library itself failed, before any of our code.

    Only a client's broken packet does that, and it would let anybody fill the log.
    """
    trace = record.exc_info[2] if record.exc_info else None
    if trace is None:
        return True
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).startswith("webapp."):
            return True
        trace = trace.tb_next
    return False


def configure(settings: Settings) -> None:
    """Send everything that is logged in this process to standard error in the chosen form."""
    if settings.log_format == "json":
        last: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=repr),
        ]
    else:
        plain = structlog.dev.plain_traceback
        last = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in ("engineio.server", "socketio.server"):
        # with a level of its own it adds no handler of its own, which would write everything twice
        library = logging.getLogger(name)
        library.setLevel(logging.ERROR)
        library.addFilter(_is_ours)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # else a page of plug-in names


def init_requests(app: Flask) -> None:
    """Give every request an identity, count it, and write one line when it is answered.

    The identity is the proxy's where one of ours set ``X-Request-ID``, and comes back in the
    answer's header, so that a visitor's report can be found in the log.
    """
    settings: Settings = services_of(app).settings
    metrics = services_of(app).metrics

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        given = request.headers.get(REQUEST_ID, "") if settings.trusted_proxies else ""
        g.request_id = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        # a thread or greenlet that serves a connection answers one request after the other
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        if "request_id" not in g:  # refused before it began
            return response
        spent_s = time.perf_counter() - g.started
        route = request.url_rule.rule if request.url_rule is not None else "none"
        endpoint = request.endpoint or ""
        metrics.requested(request.method, route, response.status_code, spent_s)
        write = log.debug if endpoint.startswith(_QUIET) else log.info
        more = {"address": request.remote_addr} if settings.log_addresses else {}
        write(
            "request",
            method=request.method if request.url_rule is not None else "other",
            route=route,
            status=response.status_code,
            ms=round(spent_s * 1000, 1),
            **more,
        )
        response.headers.setdefault(REQUEST_ID, g.request_id)
        return response
