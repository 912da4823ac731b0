"""People, tokens, and a server that asks everybody to log in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import socketio
from flask import Flask
from sqlalchemy import select, update
from werkzeug.routing.converters import NumberConverter

from tests.access.test_guard import everything
from tests.support.admin import PASSWORD, Browser
from tests.support.live import LiveClient, served
from webapp.access import accounts, tokens
from webapp.access.gate import scope_for
from webapp.database.access_tables import ApiToken, AuditEntry
from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.errors import Conflict, Unauthorized
from webapp.web.open_database import database_of
from webapp.web.strict_input import MAX_ID

JPEG = {"data": b"jpeg", "content_type": "image/jpeg"}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_a_person_is_invited_chooses_a_password_and_is_removed(
    app: Flask, store: Store, admin: Browser
) -> None:
    made = admin.send("POST", "/admin/api/accounts", {"name": "Nia@example.org", "role": "member"})
    assert made.status_code == 201
    assert made.json is not None
    assert made.json["name"] == "nia@example.org"
    path, _, token = made.json["link"].partition("#")
    assert path.endswith("/admin/setup")
    again = admin.send("POST", "/admin/api/accounts", {"name": "nia@EXAMPLE.org", "role": "admin"})
    assert again.status_code == 409
    nia = Browser(app, "10.0.0.7")
    form = {"csrf_token": nia.token("/admin/setup"), "token": token}
    done = nia.client.post("/admin/setup", data=form | {"password": PASSWORD, "again": PASSWORD})
    assert (done.status_code, done.location) == (302, "/")
    assert nia.get("/admin/access").status_code == 403
    assert nia.get("/admin/account").status_code == 200
    assert admin.send("DELETE", f"/admin/api/accounts/{made.json['id']}").status_code == 204
    assert nia.get("/admin/account").status_code == 302
    with store.session() as session:
        kept = [(e.actor, e.action) for e in session.scalars(select(AuditEntry))]
    assert kept[-3:] == [
        ("admin", "account.create"),
        ("nia@example.org", "account.set_up"),
        ("admin", "account.remove"),
    ]
    assert "account.create" in admin.get("/admin/audit?area=account").text
    assert "account.create" not in admin.get("/admin/audit?area=login").text


@pytest.mark.parametrize("before", [MAX_ID + 1, 10**30, -(10**30), "9" * 5000, "x", ""])
def test_the_audit_log_from_an_entry_that_cannot_be(admin: Browser, before: object) -> None:
    assert admin.get(f"/admin/audit?before={before}").status_code == 200


def test_nobody_removes_themselves_or_the_last_administrator(
    store: Store, people: dict[str, int], admin: Browser
) -> None:
    own = admin.send("DELETE", f"/admin/api/accounts/{people['admin']}")
    assert own.status_code == 409
    invited = accounts.create(store, "second")  # has no password, so cannot take over
    with pytest.raises(Exception, match="last administrator"):
        accounts.remove(store, people["admin"])
    accounts.remove(store, people["mira"])
    accounts.set_password(store, invited.id, PASSWORD)
    accounts.remove(store, people["admin"])


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "role": "member"},
        {"name": "with space", "role": "member"},
        {"name": "x" * 61, "role": "member"},
        {"name": "nia", "role": "owner"},
        {"name": ["nia"], "role": "member"},
        ["nia"],
    ],
)
def test_bad_invitations_are_refused(admin: Browser, body: object) -> None:
    assert admin.send("POST", "/admin/api/accounts", body).status_code == 400


def test_an_administrator_logs_somebody_else_out(
    app: Flask, people: dict[str, int], admin: Browser
) -> None:
    mira = Browser(app, "10.0.0.7")
    mira.log_in("mira")
    path = f"/admin/api/accounts/{people['mira']}/sessions/end"
    assert admin.send("POST", path).status_code == 200
    assert mira.get("/admin/account").status_code == 302
    assert admin.get("/admin/account").status_code == 200
    assert admin.send("POST", "/admin/api/accounts/999/sessions/end").status_code == 404


def test_a_token_is_shown_once_and_stored_as_a_hash(store: Store, admin: Browser) -> None:
    body = {"name": "import", "scopes": ["analyze", "live"], "days": 30}
    made = admin.send("POST", "/admin/api/tokens", body)
    assert made.status_code == 201
    assert made.json is not None
    text = made.json["token"]
    secret = text.split("_", 2)[2]
    assert len(secret) >= 40
    with store.session() as session:
        (row,) = session.scalars(select(ApiToken))
    assert row.secret_hash == accounts.hash_of(secret)
    assert secret not in str(vars(row))
    assert secret not in admin.get("/admin/access").text
    assert secret not in admin.get("/admin/audit").text
    assert tokens.check(store, text).scopes == {"analyze", "live"}
    with store.session() as session:
        first = session.scalars(select(ApiToken.last_used_at)).one()
    assert first is not None


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": "analyze"},
        {"days": 0},
        {"days": 99999},
        {"days": "30"},
        {"days": True},
    ],
)
def test_bad_tokens_are_refused(admin: Browser, change: dict[str, object]) -> None:
    body = {"name": "import", "scopes": ["analyze"], "days": 30} | change
    assert admin.send("POST", "/admin/api/tokens", body).status_code == 400


def test_revoked_ended_and_made_up_tokens_are_all_refused_alike(
    store: Store, people: dict[str, int], admin: Browser
) -> None:
    made, text = tokens.create(store, people["admin"], "a", ["analyze"], 1)
    _, other = tokens.create(store, people["mira"], "b", ["analyze"], 1)
    tokens.check(store, text)
    said = set()

    def refused(given: str) -> None:
        with pytest.raises(Unauthorized) as error:
            tokens.check(store, given)
        said.add(error.value.message)

    key = text.split("_")[1]
    for made_up in ("", "mien", "mien_", f"mien_{key}_", f"mien_{key}_x", "mien_0_0", "x" * 5000):
        refused(made_up)
    refused(f"mien_{key}_{other.split('_', 2)[2]}")  # a secret fits its own key only
    assert admin.send("DELETE", f"/admin/api/tokens/{made.id}").status_code == 204
    refused(text)
    with store.session() as session:
        session.execute(update(ApiToken).values(expires_at=utcnow() - timedelta(seconds=1)))
    refused(other)
    assert len(said) == 1
    assert admin.send("DELETE", "/admin/api/tokens/999").status_code == 404


def test_members_make_tokens_for_what_they_may_and_see_their_own_alone(
    app: Flask, store: Store, people: dict[str, int], admin: Browser
) -> None:
    path = "/admin/api/account/tokens"
    mira = Browser(app)
    mira.log_in("mira")
    assert "Tokens for programs" in mira.get("/admin/account").text
    assert "Tokens for programs" not in admin.get("/admin/account").text
    for scope in set(tokens.SCOPES) - set(tokens.MEMBER_SCOPES):
        assert mira.send("POST", path, {"name": "n", "scopes": [scope]}).status_code == 400
    made = mira.send("POST", path, {"name": "night", "scopes": ["surveys:read"], "days": 1}).json
    assert made is not None
    holder = tokens.check(store, made["token"])
    assert (holder.account.name, holder.account.role) == ("mira", "member")
    theirs, text = tokens.create(store, people["admin"], "secret-name", ["live"], None)
    page = mira.get("/admin/account").text
    assert "night" in page
    assert "secret-name" not in page
    assert mira.send("DELETE", f"{path}/{theirs.id}").status_code == 404
    assert tokens.check(store, text)
    # a token makes no tokens
    headers = bearer(made["token"])
    body = {"name": "n", "scopes": ["surveys:read"]}
    assert app.test_client().post(path, json=body, headers=headers).status_code == 403
    assert mira.send("DELETE", f"{path}/{made['id']}").status_code == 204
    with pytest.raises(Unauthorized):
        tokens.check(store, made["token"])


def test_an_account_has_so_many_tokens(
    store: Store, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MAX_OWN", 2)
    made = [tokens.create(store, people["mira"], "t", ["live"], None) for _ in range(2)]
    with pytest.raises(Conflict, match="revoke some"):
        tokens.create(store, people["mira"], "t", ["live"], None)
    tokens.revoke(store, made[0][0].id)
    assert tokens.create(store, people["mira"], "t", ["live"], None)


def test_a_removed_persons_tokens_end(store: Store, people: dict[str, int]) -> None:
    _, text = tokens.create(store, people["mira"], "b", ["analyze"], None)
    accounts.remove(store, people["mira"])
    with pytest.raises(Unauthorized):
        tokens.check(store, text)


# -- MIEN_REQUIRE_LOGIN


@pytest.fixture
def closed(make_app: Callable[..., Flask], people: dict[str, int]) -> Flask:
    return make_app(require_login=True, secret_key="k" * 40)


def test_without_the_setting_everybody_uses_live_and_surveys(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/").status_code == 200
    assert client.get("/surveys").status_code == 200
    assert client.post("/api/v1/analyze", **JPEG).status_code == 200
    body = {"name": "S", "purpose": "product", "consent": True}
    assert client.post("/api/v1/surveys", json=body).status_code == 201


OPEN = {
    "/admin/login",
    "/admin/setup",
    "/healthz",
    "/readyz",
    "/api/v1/openapi.json",
    "/privacy",
    "/withdraw",
}


def test_a_closed_server_shows_strangers_nothing(closed: Flask) -> None:
    client = closed.test_client()
    adapter = closed.url_map.bind("localhost")
    for rule in closed.url_map.iter_rules():
        if rule.arguments or "GET" not in (rule.methods or ()):
            continue
        path = adapter.build(rule.endpoint)
        answer = client.get(path)
        if path in OPEN:
            assert answer.status_code == 200, path
        elif path.startswith(("/api/", "/admin/api/")) or path == "/metrics":
            assert answer.status_code == 401, path
        else:
            assert answer.status_code == 302, path
            assert "/admin/login" in answer.location
    with client.get("/static/css/base.css") as style:
        assert style.status_code == 200
    assert client.post("/api/v1/analyze", **JPEG).status_code == 401
    assert client.post("/api/v1/surveys", json={}).status_code == 401
    assert client.get("/surveys/unknown").status_code == 302


def test_a_member_uses_a_closed_server_with_csrf(closed: Flask) -> None:
    mira = Browser(closed)
    mira.log_in("mira")
    assert mira.get("/").status_code == 200
    assert mira.get("/surveys").status_code == 200
    assert 'name="csrf-token"' in mira.get("/surveys/new").text
    body = {"name": "S", "purpose": "product", "consent": True}
    assert mira.client.post("/api/v1/surveys", json=body).status_code == 403
    assert mira.send("POST", "/api/v1/surveys", body).status_code == 201
    assert mira.get("/metrics").status_code == 403  # for administrators


def test_no_route_of_a_closed_server_changes_anything_without_login_and_token(
    closed: Flask, tmp_path: Path
) -> None:
    """Every route there is, of every part of the program."""
    store = database_of(closed).open()
    mira, stranger = Browser(closed), Browser(closed)
    mira.log_in("mira")
    before = everything(store, tmp_path)
    adapter = closed.url_map.bind("localhost")
    tried = 0
    for rule in closed.url_map.iter_rules():
        values = {
            name: 1 if isinstance(rule._converters[name], NumberConverter) else "some-1"
            for name in rule.arguments
        }
        for method in {"POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set()):
            path = adapter.build(rule.endpoint, values, method=method)
            if path.startswith(("/api/v1/participations", "/api/v1/withdrawals")):
                # not for accounts: a link or a code is the right, and none is given here
                answer = mira.client.open(path, method=method, json={})
                assert answer.status_code in {400, 401, 404}, f"{method} {path}"
                continue
            known = mira.client.open(path, method=method, json={})
            assert known.status_code == 403, f"{method} {path}: {known.status_code}"
            unknown = stranger.client.open(path, method=method, json={})
            # the forms of the login refuse for want of the CSRF token; the log-out has nobody
            allowed = {401, 403} | ({302} if path == "/admin/logout" else set())
            assert unknown.status_code in allowed, f"{method} {path}: {unknown.status_code}"
            tried += 1
    assert tried > 25
    assert everything(store, tmp_path) == before


def test_the_documentation_names_every_scope() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "admin.md").read_text(encoding="utf-8")
    assert [scope for scope in tokens.SCOPES if f"`{scope}`" not in text] == []


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/api/v1/analyze", "analyze"),
        ("GET", "/api/v1/models", "models:read"),
        ("GET", "/api/v1/surveys", "surveys:read"),
        ("GET", "/api/v1/surveys/x/files", "surveys:read"),
        ("PUT", "/api/v1/surveys/x/files", "surveys:write"),
        ("GET", "/api/v1/studies/x/report", "studies:read"),
        ("DELETE", "/api/v1/studies/x/link", "studies:write"),
        ("GET", "/metrics", "status:read"),
        ("GET", "/", None),
        ("GET", "/api/v1/something-new", None),
    ],
)
def test_every_path_asks_for_its_scope(method: str, path: str, scope: str | None) -> None:
    assert scope_for(method, path) == scope


def test_tokens_on_a_closed_server(closed: Flask, people: dict[str, int]) -> None:
    store = database_of(closed).open()
    _, reader = tokens.create(store, people["admin"], "r", ["surveys:read"], None)
    _, analyst = tokens.create(store, people["admin"], "a", ["analyze"], None)
    client = closed.test_client()
    assert client.get("/api/v1/surveys", headers=bearer(reader)).status_code == 200
    assert client.post("/api/v1/surveys", json={}, headers=bearer(reader)).status_code == 403
    assert client.post("/api/v1/analyze", headers=bearer(analyst), **JPEG).status_code == 200
    assert client.get("/api/v1/surveys", headers=bearer(analyst)).status_code == 403
    assert client.get("/", headers=bearer(analyst)).status_code == 403
    assert client.get("/metrics", headers=bearer("mien_x_y")).status_code == 401


def test_live_connections_of_a_closed_server(closed: Flask, people: dict[str, int]) -> None:
    store = database_of(closed).open()
    _, good = tokens.create(store, people["admin"], "l", ["live"], None)
    _, wrong = tokens.create(store, people["admin"], "a", ["analyze"], None)
    mira = Browser(closed)
    mira.log_in("mira")
    cookie = mira.client.get_cookie("mien_session")
    assert cookie is not None

    async def tell(url: str, **connect: object) -> str:
        client = LiveClient(url, **connect)
        try:
            async with client:
                return str((await client.frame())["model"])
        except socketio.exceptions.ConnectionError:
            return str(client.refused["data"]["error"]["code"] if client.refused else "refused")

    async def ask(url: str) -> list[str]:
        return [
            await tell(url),
            await tell(url, auth={"token": good}),
            await tell(url, headers=bearer(good)),
            await tell(url, headers={"Cookie": f"mien_session={cookie.value}"}),
            await tell(url, auth={"token": wrong}),
            await tell(url, auth={"token": "made up"}),
            await tell(url, auth={"token": 7}),
        ]

    with served(closed) as url:
        assert asyncio.run(ask(url)) == [
            "unauthorized", "fake-1", "fake-1", "fake-1", "forbidden", "unauthorized",
            "invalid_request",
        ]  # fmt: skip
