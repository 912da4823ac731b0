"""``MIEN_REQUIRE_LOGIN``: a server for a team, where nobody unknown sees or sends anything.

Without the setting this module does nothing. With it, every request and every Socket.IO
connection needs a browser session, or a bearer token whose scope fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from webapp.access import tokens
from webapp.access.auth import (
    ADMIN_PREFIX,
    SAFE_METHODS,
    access_of,
    principal,
    require,
    to_login,
    wants_page,
)
from webapp.errors import DatabaseUnavailable, Forbidden, InvalidRequest, Unauthorized
from webapp.web.open_database import database_of
from webapp.web.services import services_of

# What the login page itself needs or links, and what watches whether the server is alive.
OPEN_ENDPOINTS: Final = frozenset(
    {"static", "static_now", "health.healthz", "health.readyz", "api.document", "pages.privacy"}
)


def scope_for(method: str, path: str) -> str | None:
    """The scope that lets a bearer token in; None where only a browser session will do."""
    if path == "/api/v1/analyze":
        return "analyze"
    if path.startswith("/api/v1/mood/"):
        return "mood:read"
    if path == "/metrics":
        return "status:read"
    if path == "/api/v1/models":
        return "models:read"
    if path == "/api/v1/surveys" or path.startswith("/api/v1/surveys/"):
        return "surveys:read" if method in SAFE_METHODS else "surveys:write"
    return None


def _gate() -> ResponseReturnValue | None:
    rule = request.url_rule
    if rule is None or rule.endpoint in OPEN_ENDPOINTS:
        return None
    if access_of(current_app.view_functions[rule.endpoint]) is not None:
        return None  # says for itself who may come in
    if f"{rule.rule}/".startswith(f"{ADMIN_PREFIX}/"):
        return None  # refused by the guard of the admin area
    try:
        require(scope_for(request.method, request.path), role=None)
    except Unauthorized:
        if wants_page():
            return to_login()
        raise
    return None


def admit(app: Flask, scope: str | None, environ: dict[str, Any], auth: object) -> None:
    """Whether a Socket.IO connection may be made.

    ``environ`` is its first request, ``auth`` what the client gave along: ``{"token": text}``, or
    the header ``Authorization: Bearer``, or a browser's cookie. Raises :class:`Unauthorized` or
    :class:`Forbidden`. Asked once: a connection that is open stays open.
    """
    if not services_of(app).settings.require_login:
        return
    try:
        _admit(app, scope, environ, auth)
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(
            "Whether you may connect cannot be read now; try again."
        ) from error


def _admit(app: Flask, scope: str | None, environ: dict[str, Any], auth: object) -> None:
    given = auth.get("token") if isinstance(auth, dict) else None
    if given is not None:
        if not isinstance(given, str):
            raise InvalidRequest('Expected auth as {"token": text}.')
        _check_scope(tokens.check(database_of(app).open(), given).scopes, scope)
        return
    with app.request_context(environ):
        who = principal()
    if who is None:
        raise Unauthorized("Log in first, or give a token.")
    if who.scopes is not None:
        _check_scope(who.scopes, scope)


def _check_scope(scopes: frozenset[str], scope: str | None) -> None:
    if scope not in scopes:
        raise Forbidden(f"This token is not good for {scope}.", scope=scope)


def admission(app: Flask, scope: str | None) -> Callable[[dict[str, Any], object], None]:
    """:func:`admit` for one application and scope, as the namespaces call it."""
    return lambda environ, auth: admit(app, scope, environ, auth)


def init_gate(app: Flask) -> None:
    if services_of(app).settings.require_login:
        app.before_request(_gate)
