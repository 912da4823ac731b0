"""People and bearer tokens: one page for administrators, one account page for everybody."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask import jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.access import accounts, auth, throttle, tokens
from webapp.access.audit import record
from webapp.access.auth import Principal, admin_required, login_required
from webapp.admin.login_pages import blueprint
from webapp.database.access_tables import ADMIN, ROLES, Account
from webapp.database.base import utcnow
from webapp.errors import Conflict, InvalidRequest, NotFound
from webapp.web.open_database import store
from webapp.web.services import services


def _me() -> Principal:
    who = auth.principal()
    if who is None:  # login_required has let the request in, so somebody is there
        raise NotFound("There is no such account.")
    return who


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise InvalidRequest("Expected a JSON object as the body.")
    return body


def _text(body: dict[str, Any], field: str) -> str:
    value = body.get(field, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"Expected {field} as text.", field=field)
    return value


def _account(account_id: int) -> Account:
    account = accounts.by_id(store(), account_id)
    if account is None:
        raise NotFound("There is no such account.", account=account_id)
    return account


def _link(account: Account) -> str:
    token = accounts.make_link(store(), account.id)
    return f"{url_for('admin.setup', _external=True)}#{token}"


@blueprint.get("/account")
@login_required
def account() -> ResponseReturnValue:
    """Change the password, log out everywhere; a member's tokens (administrators have Access)."""
    me = _me()
    return render_template(
        "admin/account.html",
        me=me,
        saved=request.args.get("saved") == "password",
        tokens=None if me.role == ADMIN else tokens.listing(store(), me.account_id),
        scopes=tokens.MEMBER_SCOPES,
        now=utcnow(),
    )


@blueprint.post("/api/account/password")
@login_required
def change_password() -> ResponseReturnValue:
    """``{"current", "password"}``; the account's other browsers are logged out."""
    me, body = _me(), _body()
    password = accounts.check_password(_text(body, "password"))
    throttle.throttle().attempt(request.remote_addr or "?", me.name, me.credential)
    if accounts.log_in(store(), me.name, _text(body, "current")) is None:
        record("account.password_refused", me.name)
        raise InvalidRequest("The present password is wrong.", field="current")
    throttle.throttle().succeeded(me.name, me.credential)
    changed = accounts.set_password(store(), me.account_id, password)
    record("account.password", changed.name)
    auth.log_in(changed)
    return jsonify({"changed": True})


@blueprint.post("/api/account/sessions/end")
@login_required
def end_own_sessions() -> ResponseReturnValue:
    """Log out of every browser, this one too."""
    me = _me()
    accounts.end_sessions(store(), me.account_id)
    record("account.sessions_ended", me.name)
    auth.log_out()
    return jsonify({"ended": True})


@blueprint.post("/api/account/tokens")
@login_required
def create_own_token() -> ResponseReturnValue:
    """As :func:`create_token`, for what a member may do."""
    return _new_token(tokens.MEMBER_SCOPES)


@blueprint.delete("/api/account/tokens/<int:token_id>")
@login_required
def revoke_own_token(token_id: int) -> ResponseReturnValue:
    """End a token of one's own now."""
    revoked = tokens.revoke(store(), token_id, _me().account_id)
    record("token.revoke", revoked.name)
    return "", 204


@blueprint.get("/access")
@admin_required
def access() -> ResponseReturnValue:
    """Who may log in, and which tokens there are."""
    return render_template(
        "admin/access.html",
        me=_me(),
        people=accounts.everyone(store()),
        tokens=tokens.listing(store()),
        scopes=tokens.SCOPES,
        roles=ROLES,
        now=utcnow(),
        invite_hours=accounts.INVITE_HOURS,
        require_login=services().settings.require_login,
    )


@blueprint.post("/api/accounts")
@admin_required
def invite() -> ResponseReturnValue:
    """``{"name", "role"}`` -> a link with which that person chooses a password."""
    body = _body()
    made = accounts.create(store(), _text(body, "name"), _text(body, "role"))
    record("account.create", made.name, {"role": made.role})
    return jsonify({"id": made.id, "name": made.name, "link": _link(made)}), 201


@blueprint.post("/api/accounts/<int:account_id>/link")
@admin_required
def new_link(account_id: int) -> ResponseReturnValue:
    """Another link for somebody who lost the password; the old password works until it is used."""
    found = _account(account_id)
    link = _link(found)
    record("account.link", found.name)
    return jsonify({"name": found.name, "link": link})


@blueprint.post("/api/accounts/<int:account_id>/sessions/end")
@admin_required
def end_sessions(account_id: int) -> ResponseReturnValue:
    """Log somebody out of every browser."""
    found = _account(account_id)
    accounts.end_sessions(store(), found.id)
    record("account.sessions_ended", found.name)
    return jsonify({"ended": True})


@blueprint.delete("/api/accounts/<int:account_id>")
@admin_required
def remove(account_id: int) -> ResponseReturnValue:
    """Delete an account with its tokens; nobody deletes their own."""
    if account_id == _me().account_id:
        raise Conflict("This is your own account; another administrator can remove it.")
    gone = accounts.remove(store(), account_id)
    record("account.remove", gone.name)
    return "", 204


@blueprint.post("/api/tokens")
@admin_required
def create_token() -> ResponseReturnValue:
    """``{"name", "scopes": [...], "days": n or null}`` -> the token, this once."""
    return _new_token(tokens.SCOPES)


def _new_token(allowed: Collection[str]) -> ResponseReturnValue:
    body = _body()
    scopes, days = body.get("scopes"), body.get("days")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise InvalidRequest("Expected scopes as a list of names.", field="scopes")
    if days is not None and (not isinstance(days, int) or isinstance(days, bool)):
        raise InvalidRequest("Expected days as a whole number, or null.", field="days")
    made, text = tokens.create(
        store(), _me().account_id, _text(body, "name"), scopes, days, allowed
    )
    record("token.create", made.name, {"scopes": ", ".join(made.scopes), "days": days})
    return jsonify({"id": made.id, "name": made.name, "token": text}), 201


@blueprint.delete("/api/tokens/<int:token_id>")
@admin_required
def revoke_token(token_id: int) -> ResponseReturnValue:
    """End a token now."""
    revoked = tokens.revoke(store(), token_id)
    record("token.revoke", revoked.name)
    return "", 204
