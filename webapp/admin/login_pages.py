"""Pages of the admin area that everybody needs: log in, log out, set a password."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.access import accounts, auth, throttle
from webapp.access.audit import record
from webapp.access.auth import admin_required, public
from webapp.database.access_tables import ADMIN
from webapp.errors import InvalidRequest, MienError, NotFound, RateLimited
from webapp.languages import N_, gettext
from webapp.web.open_database import store

blueprint = Blueprint("admin", __name__, url_prefix="/admin")

# In this order in the sub-navigation; what has no view yet is left out.
NAVIGATION = (
    (N_("Status"), "admin.status"),
    (N_("Models"), "admin.models"),
    (N_("Shadow"), "admin_shadow.index"),
    (N_("History"), "admin_history.index"),
    (N_("Audit"), "admin.audit"),
    (N_("Access"), "admin.access"),
)


@blueprint.app_context_processor
def navigation() -> dict[str, object]:
    """The links of the sub-navigation that lead somewhere."""
    known = current_app.view_functions
    return {"admin_nav": [(label, end) for label, end in NAVIGATION if end in known]}


def _home(role: str) -> str:
    """Where a login leads: to the page that was wanted, or to the role's first one."""
    wanted = auth.safe_target(request.values.get("next"))
    if wanted is not None:
        return wanted
    return url_for("admin.home") if role == ADMIN else "/"


@blueprint.get("")
@admin_required
def home() -> ResponseReturnValue:
    """The first page of the navigation."""
    known = current_app.view_functions
    return redirect(url_for(next(end for _, end in NAVIGATION if end in known)))


@blueprint.get("/login")
@public
def login() -> ResponseReturnValue:
    """The form; whoever is logged in already is sent on."""
    who = auth.logged_in()
    if who is not None:
        return redirect(_home(who.role))
    return _login_page()


def _login_page(message: str = "", name: str = "", status: int = 200) -> ResponseReturnValue:
    page = render_template(
        "admin/login.html",
        message=message,
        name=name,
        next=auth.safe_target(request.values.get("next")) or "",
        ready=accounts.somebody_can_log_in(store()),
    )
    return page, status


@blueprint.post("/login")
@public
def log_in() -> ResponseReturnValue:
    """Check name and password; the answer does not tell which of them was wrong."""
    auth.check_csrf()
    name = request.form.get("name", "")
    password = request.form.get("password", "")
    try:
        throttle.attempt(name)
    except RateLimited as error:
        record("login.limited", _shown(name), actor="nobody")
        return _login_page(error.message, name, error.status)
    account = accounts.log_in(store(), name, password)
    if account is None:
        record("login.failed", _shown(name), actor="nobody")
        return _login_page(gettext("The name or the password is wrong."), name, 401)
    throttle.throttle().succeeded(name, throttle.known_device(name))
    auth.log_in(account)
    record("login", account.name, actor=account.name)
    answer = current_app.make_response(redirect(_home(account.role)))
    throttle.remember_device(answer, account.name)
    return answer


def _shown(name: str) -> str:
    """A name for the audit log. People type passwords here by mistake: unknown ones are hidden."""
    with store().session() as session:
        account = accounts.find(session, name)
    return account.name if account is not None else "an unknown name"


@blueprint.post("/logout")
@public
def log_out() -> ResponseReturnValue:
    """End this browser's session."""
    who = auth.logged_in()
    if who is not None and who.kind == "session":
        auth.check_csrf()
        record("logout", who.name)
    auth.log_out()
    return redirect(url_for("admin.login"))


@blueprint.get("/setup")
@public
def setup() -> ResponseReturnValue:
    """Choose a password. The link's token stands behind #, which browsers keep to themselves, so
    that it is in no log of a server or proxy; a script puts it into the form.
    """
    return render_template("admin/setup.html", message="")


@blueprint.post("/setup")
@public
def set_up() -> ResponseReturnValue:
    """Use a set-up link up: set the password and log in."""
    auth.check_csrf()
    try:
        throttle.attempt(None)
        password = request.form.get("password", "")
        if password != request.form.get("again", ""):
            raise InvalidRequest("The two passwords differ.", field="again")
        account = accounts.use_link(store(), request.form.get("token", ""), password)
    except (InvalidRequest, NotFound, RateLimited) as error:
        return _setup_again(error)
    auth.log_in(account)
    record("account.set_up", account.name, actor=account.name)
    return redirect(_home(account.role))


def _setup_again(error: MienError) -> ResponseReturnValue:
    token = request.form.get("token", "") if isinstance(error, InvalidRequest) else ""
    return render_template("admin/setup.html", message=error.message, token=token), error.status
