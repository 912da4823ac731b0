"""Who asks, and whether they may: browser sessions, bearer tokens, CSRF, and the guard.

Every view below ``/admin`` carries :func:`admin_required` or :func:`public`; one that carries
neither is refused, so that a forgotten decorator opens nothing.

    @blueprint.post("/admin/api/models/<version>/activate")
    @admin_required(scope="models:write")
    def activate(version: str) -> ResponseReturnValue: ...

lets in an administrator's browser session (with the CSRF token, for anything but reading) or a
bearer token with that scope. Without a scope no token will do.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast, overload
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user
from flask_login import login_user as flask_login_user
from flask_login import logout_user as flask_logout_user
from flask_wtf.csrf import CSRFProtect, validate_csrf
from sqlalchemy.exc import SQLAlchemyError
from wtforms.validators import ValidationError

from webapp.access import accounts, sessions, tokens
from webapp.database.access_tables import ADMIN, Account
from webapp.errors import DatabaseUnavailable, Forbidden, MienError, Unauthorized
from webapp.web.headers import allowed_origins, origin_allowed
from webapp.web.open_database import store
from webapp.web.services import services, services_of

CSRF_HEADER = "X-CSRFToken"
CSRF_FIELD = "csrf_token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
ADMIN_PREFIX = "/admin"
MAX_TARGET = 2000
_MARK = "mien_access"
_log = logging.getLogger(__name__)
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever sent the present request: a browser session or a bearer token.

    ``scopes`` is None for a session, which may do whatever its ``role`` may. ``credential`` is the
    hash of the session's key, or the token's id.
    """

    kind: Literal["session", "token"]
    account_id: int
    name: str
    role: str
    label: str
    scopes: frozenset[str] | None = None
    credential: str = ""

    def may(self, scope: str | None) -> bool:
        """Whether this principal may do what ``scope`` names; None is for sessions alone."""
        return self.scopes is None or (scope is not None and scope in self.scopes)


class SessionUser(UserMixin):  # type: ignore[misc]
    """flask-login's view of a session; its id is the session's key."""

    def __init__(self, account: Account, key: str) -> None:
        self.account_id = account.id
        self.name = account.name
        self.role = account.role
        self.key = key

    def get_id(self) -> str:
        return self.key


def lifetime() -> sessions.Lifetime:
    return sessions.Lifetime.of(services().settings)


def load_user(key: str) -> SessionUser | None:
    """The account of a session cookie, or None where the session has ended."""
    try:
        account = sessions.find(store(), key, lifetime())
    except (MienError, SQLAlchemyError):
        _log.exception("The account of a session cannot be read.")
        g.mien_account_unread = True
        return None
    return None if account is None else SessionUser(account, key)


def principal() -> Principal | None:
    """Who asks, or None. Raises :class:`Unauthorized` for a bearer token that is not valid, and
    :class:`DatabaseUnavailable` where the account of a session cannot be read.

    A request with a token is judged by the token alone; its cookies count for nothing.
    """
    if "mien_principal" not in g:
        g.mien_principal = _principal()
    return cast("Principal | None", g.mien_principal)


def _principal() -> Principal | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return principal_of(tokens.check(store(), text))
    if current_user and current_user.is_authenticated:
        user = cast(SessionUser, current_user)
        key_hash = accounts.hash_of(user.key)
        return Principal(
            "session", user.account_id, user.name, user.role, user.name, credential=key_hash
        )
    if g.get("mien_account_unread"):  # "log in first" would be wrong, and of no use
        raise DatabaseUnavailable("Who you are cannot be read at the moment; try again.")
    return None


def principal_of(holder: tokens.TokenHolder) -> Principal:
    """A token acts for its account."""
    account = holder.account
    label = f"{account.name} (token {holder.name})"
    return Principal(
        "token", account.id, account.name, account.role, label, holder.scopes, str(holder.token_id)
    )


def logged_in() -> Principal | None:
    """As :func:`principal`, for templates: an invalid token is nobody, and nothing is raised."""
    try:
        return principal()
    except (MienError, SQLAlchemyError):
        return None


def log_in(account: Account) -> None:
    """Begin a browser session; the one that the cookie held before ends."""
    _end_session()
    key = sessions.begin(store(), account, lifetime())
    session.clear()
    session.permanent = True
    flask_login_user(SessionUser(account, key))
    g.pop("mien_principal", None)


def log_out() -> None:
    """End this browser's session, for every copy of its cookie."""
    _end_session()
    flask_logout_user()
    session.clear()
    g.pop("mien_principal", None)


def _end_session() -> None:
    key = session.get("_user_id")
    if isinstance(key, str):
        sessions.end(store(), accounts.hash_of(key))


def check_csrf() -> None:
    """Refuse a request that another site may have made with this browser's cookie.

    The token comes in the header ``X-CSRFToken``, or as the field of a plain form. A multipart
    body is never parsed for it: that would store an upload before knowing who sends it.
    Raises :class:`Forbidden`.
    """
    extra = allowed_origins(services().settings)
    if not origin_allowed(request.headers.get("Origin"), request.environ, extra):
        raise Forbidden("This request came from a page of another site.")
    given = request.headers.get(CSRF_HEADER)
    if given is None and request.mimetype == "application/x-www-form-urlencoded":
        given = request.form.get(CSRF_FIELD)
    try:
        validate_csrf(given)
    except ValidationError as error:
        raise Forbidden(
            "The request lacks this page's security token, or the page is older than your "
            "login. Reload the page and try again.",
            reason=str(error),
        ) from error


def require(scope: str | None, role: str | None) -> Principal:
    """The principal, if it may do this. Raises :class:`Unauthorized` or :class:`Forbidden`."""
    who = principal()
    if who is None:
        raise Unauthorized("Log in first, or send a token in the header Authorization: Bearer.")
    if who.kind == "token" and scope is None:
        raise Forbidden("This can be done in a logged-in browser only, not with a token.")
    if not who.may(scope):
        raise Forbidden(f"This token is not good for {scope}.", scope=scope)
    if role is not None and who.role != role:
        raise Forbidden("This is for administrators.")
    if who.kind == "session" and request.method not in SAFE_METHODS:
        check_csrf()
    return who


def wants_page() -> bool:
    """Whether a browser asks for a page, which is sent to the login instead of refused."""
    path = request.path
    machine = path.startswith(("/api/", "/admin/api/", "/socket.io")) or path == "/metrics"
    return request.method in ("GET", "HEAD") and not machine


def guarded(view: Callable[..., Any], scope: str | None, role: str | None) -> Callable[..., Any]:
    """``view`` behind :func:`require`; a browser without a login is sent there."""

    @functools.wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            require(scope, role)
        except Unauthorized:
            if wants_page():
                return to_login()
            raise
        return current_app.ensure_sync(view)(*args, **kwargs)

    setattr(wrapper, _MARK, scope or "session")
    return wrapper


@overload
def admin_required(view: View) -> View: ...
@overload
def admin_required(*, scope: str | None = None) -> Callable[[View], View]: ...
def admin_required(view: Any = None, *, scope: str | None = None) -> Any:
    """Let administrators in; with ``scope`` their bearer tokens of that scope too."""
    if view is not None:
        return guarded(view, None, ADMIN)
    if scope is not None and scope not in tokens.SCOPES:
        raise ValueError(f"Expected one of {', '.join(tokens.SCOPES)}. Received {scope!r}.")
    return lambda wrapped: guarded(wrapped, scope, ADMIN)


def login_required(view: View) -> View:
    """Let everybody in who is logged in to a browser, whatever their role."""
    return cast(View, guarded(view, None, None))


def public(view: View) -> View:
    """Mark a view that needs no login: the login itself, a page that somebody was sent."""
    setattr(view, _MARK, "public")
    return view


def access_of(view: Callable[..., Any]) -> str | None:
    """``public``, ``session``, a scope, or None for a view that says nothing."""
    return cast("str | None", getattr(view, _MARK, None))


def to_login() -> ResponseReturnValue:
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("admin.login", next=target))


def safe_target(target: str | None) -> str | None:
    """``target`` if it is a path of ours; otherwise None, so that a login leads nowhere else."""
    if not target or len(target) > MAX_TARGET or not target.isprintable():
        return None  # a line feed would end the header
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc and "\\" not in target else None


def _refuse_unmarked() -> None:
    """Fail closed: an admin view without a decorator is a mistake, and nobody gets in."""
    rule = request.url_rule
    if rule is None or not f"{rule.rule}/".startswith(f"{ADMIN_PREFIX}/"):
        return
    view = current_app.view_functions[rule.endpoint]
    if access_of(view) is None:
        _log.error("%s has neither admin_required nor public; it is refused.", rule.endpoint)
        raise Forbidden("This page is not open to anyone.")


def init_auth(app: Flask) -> None:
    """Bind sessions, CSRF tokens and the guard to an application."""
    app.config.update(
        SESSION_COOKIE_NAME="mien_session",
        PERMANENT_SESSION_LIFETIME=services_of(app).settings.session_hours * 3600,
        WTF_CSRF_CHECK_DEFAULT=False,  # require() checks, where a session is what lets in
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        WTF_CSRF_HEADERS=[CSRF_HEADER],
    )
    CSRFProtect(app)
    manager = LoginManager(app)
    manager.session_protection = None  # a laptop changes its network; the database ends sessions
    manager.user_loader(load_user)
    app.before_request(_refuse_unmarked)
    app.context_processor(lambda: {"who": logged_in()})

    @app.after_request
    def never_stored(response: Any) -> Any:
        if request.path.startswith(ADMIN_PREFIX):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response
