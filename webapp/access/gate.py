"""``MIEN_REQUIRE_LOGIN``: a server for a team, where nobody unknown sees or sends anything.

Without the setting this module does nothing. With it, every request and every Socket.IO
connection needs a browser session, or a bearer token whose scope fits; people who take part in a
study need its link, and then a code of their own.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from webapp.access import tokens
from webapp.access.auth import (
    ADMIN_PREFIX,
    SAFE_METHODS,
    Principal,
    access_of,
    principal,
    principal_of,
    require,
    to_login,
    wants_page,
)
from webapp.access.connections import GuardedNamespace, Open, connections_of, init_connections
from webapp.database.access_tables import ADMIN
from webapp.errors import DatabaseUnavailable, Forbidden, InvalidRequest, Unauthorized
from webapp.web.open_database import database_of
from webapp.web.services import services_of

# What the login page itself needs or links, and what watches whether the server is alive.
OPEN_ENDPOINTS: Final = frozenset(
    {
        "static",
        "static_now",
        "words",
        "language",
        "health.healthz",
        "health.readyz",
        "api.document",
        "pages.privacy",
    }
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
    if path == "/api/v1/studies" or path.startswith("/api/v1/studies/"):
        return "studies:read" if method in SAFE_METHODS else "studies:write"
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
        role = ADMIN if request.path == "/metrics" else None
        require(scope_for(request.method, request.path), role)
    except Unauthorized:
        if wants_page():
            return to_login()
        raise
    return None


def admit(app: Flask, scope: str | None, environ: dict[str, Any], auth: object) -> Principal | None:
    """Who makes a Socket.IO connection, if they may; None where no login is required.

    ``environ`` is its first request, ``auth`` what the client gave along: ``{"token": text}``, or
    the header ``Authorization: Bearer``, or a browser's cookie. Raises :class:`Unauthorized` or
    :class:`Forbidden`.
    """
    if not services_of(app).settings.require_login:
        return None
    try:
        who = _who(app, environ, auth)
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(
            "Whether you may connect cannot be read now; try again."
        ) from error
    if who.scopes is not None and scope not in who.scopes:
        raise Forbidden(f"This token is not good for {scope}.", scope=scope)
    return who


def _who(app: Flask, environ: dict[str, Any], auth: object) -> Principal:
    given = auth.get("token") if isinstance(auth, dict) else None
    if given is not None:
        if not isinstance(given, str):
            raise InvalidRequest('Expected auth as {"token": text}.')
        return principal_of(tokens.check(database_of(app).open(), given))
    with app.request_context(environ):
        who = principal()
    if who is None:
        raise Unauthorized("Log in first, or give a token.")
    return who


class Admission(Protocol):
    """Lets the first request of a connection in, or raises :class:`MienError`; says whose it is,
    None where no login is required.
    """

    def __call__(
        self, namespace: GuardedNamespace, sid: str, environ: dict[str, Any], auth: object
    ) -> Principal | None: ...


def admission(app: Flask, scope: str | None) -> Admission:
    """:func:`admit` for one application and scope; the connection ends with its credential."""

    def let_in(
        namespace: GuardedNamespace, sid: str, environ: dict[str, Any], auth: object
    ) -> Principal | None:
        who = admit(app, scope, environ, auth)
        if who is not None:
            connections_of(app).add(
                Open(
                    who,
                    lambda: bool(namespace.server.manager.is_connected(sid, namespace.namespace)),
                    lambda: namespace.end(sid),
                    lambda: namespace.recheck(sid),
                )
            )
        return who

    return let_in


def init_gate(app: Flask) -> None:
    init_connections(app)
    if services_of(app).settings.require_login:
        app.before_request(_gate)
