"""Every HTTP error in one of two forms: the JSON shape under /api, a page elsewhere."""

from __future__ import annotations

import errno
import logging

from flask import Flask, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from jinja2 import TemplateNotFound
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import HTTPException

from webapp.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    Gone,
    InvalidRequest,
    MienError,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    StorageFull,
    Unauthorized,
)
from webapp.languages import N_, said

_log = logging.getLogger(__name__)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MACHINE_PATHS = ("/api/", "/admin/api/", "/healthz", "/readyz", "/metrics")
_CODES: dict[int, str] = {
    cls.status: cls.code
    for cls in (
        InvalidRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Gone,
        Conflict,
        PayloadTooLarge,
        RateLimited,
    )
} | {405: "method_not_allowed", 415: "unsupported_media_type"}

# what a reader is told where the library's own words would be shown
_SAID: dict[int, str] = {
    400: N_("The browser sent something that cannot be read."),
    404: N_("Check the address for a mistake; what was here may have been deleted."),
    405: N_("Open this page by its link instead."),
}


def _wants_json() -> bool:
    return request.path == "/api" or request.path.startswith(_MACHINE_PATHS)


def _answer(status: int, code: str, message: str, body: dict[str, object]) -> ResponseReturnValue:
    message = said(message)
    if _wants_json():
        told = body["error"]
        if isinstance(told, dict):
            told["message"] = message
        return jsonify(body), status
    try:
        page = render_template("error.html", status=status, code=code, message=message)
    except TemplateNotFound:
        return Response(message, status=status, mimetype="text/plain")
    return page, status


def trouble_of(error: DBAPIError | NoConnectionFree | OSError) -> MienError:
    """What a visitor reads when a database is away or a disk is full; the log has all."""
    orig = getattr(error, "orig", error)
    if isinstance(error, OSError) or "disk is full" in str(orig):
        _log.error("There is no space left: %s", orig)
        return StorageFull(
            "There is no space left on the server. Nothing that was stored is lost; "
            "try again when its administrator has made room."
        )
    _log.error("The database does not answer: %s", orig)
    return DatabaseUnavailable(
        "The database does not answer at the moment. Nothing that was stored is lost; try again."
    )


def add_error_handlers(app: Flask) -> None:
    """Register the handlers for our own errors, HTTP errors and everything unforeseen."""

    @app.errorhandler(MienError)
    def known(error: MienError) -> ResponseReturnValue:
        return _answer(error.status, error.code, error.message, error.to_json())

    @app.errorhandler(OperationalError)
    @app.errorhandler(InterfaceError)
    @app.errorhandler(NoConnectionFree)
    def database(error: DBAPIError | NoConnectionFree) -> ResponseReturnValue:
        return known(trouble_of(error))

    @app.errorhandler(DatabaseError)
    def damaged(error: DatabaseError) -> ResponseReturnValue:
        text = str(error.orig)
        is_file = "malformed" in text or "not a database" in text
        return known(trouble_of(error)) if is_file else unforeseen(error)

    @app.errorhandler(OSError)
    def system(error: OSError) -> ResponseReturnValue:
        return known(trouble_of(error)) if error.errno in _FULL else unforeseen(error)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        status = error.code or 500
        if status < 400:  # a redirect raised by routing is no error
            return error.get_response()
        code = _CODES.get(status, "http_error" if status < 500 else "internal")
        message = error.description or error.name
        if not _wants_json() and message == type(error).description:
            message = _SAID.get(status, message)
        if status == 413 and request.max_content_length is not None:
            message = f"Expected at most {request.max_content_length} bytes. Received more."
        if status == 429:  # the library's description is the limit alone
            message = f"Too many requests from this address: at most {message}. Try again later."
        body: dict[str, object] = {"error": {"code": code, "message": message, "detail": {}}}
        answer = app.make_response(_answer(status, code, message, body))
        for name, value in error.get_headers():
            if name.lower() in ("allow", "retry-after"):
                answer.headers[name] = value
        return answer

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> ResponseReturnValue:
        _log.exception("Unhandled error at %s %s", request.method, request.path, exc_info=error)
        hidden = MienError("Something went wrong on our side. The server's log says what.")
        return _answer(500, hidden.code, hidden.message, hidden.to_json())
