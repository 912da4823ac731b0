"""Sessions end on the server: copied cookies, open connections, lifetimes, other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
import socketio
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from tests.support.admin import PASSWORD, Browser
from tests.support.live import served
from webapp.access import accounts, connections, passwords, sessions, tokens
from webapp.access.connections import connections_of
from webapp.database.access_tables import LoginSession
from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.mood.stream import EventListener
from webapp.survey.service import surveys_of
from webapp.web.open_database import database_of


@pytest.fixture
def closed(make_app: Callable[..., Flask], people: dict[str, int]) -> Flask:
    return make_app(require_login=True, secret_key="k" * 40)


def copy_of(browser: Browser, app: Flask) -> Browser:
    """Another browser with the same cookie, as somebody who copied it has."""
    cookie = browser.client.get_cookie("mien_session")
    assert cookie is not None
    other = Browser(app, "10.0.0.66")
    other.client.set_cookie("mien_session", cookie.value)
    return other


@asynccontextmanager
async def client_of(
    url: str, namespace: str, headers: dict[str, str]
) -> AsyncIterator[socketio.AsyncClient]:
    async with aiohttp.ClientSession() as http:
        client = socketio.AsyncClient(reconnection=False, http_session=http)
        try:
            await client.connect(
                url, headers, namespaces=[namespace], transports=["websocket"], wait_timeout=30
            )
            yield client
        finally:
            await client.disconnect()


def log_out(app: Flask, store: Store, browser: Browser, mira: int) -> None:
    token = browser.token("/admin/account")
    assert browser.client.post("/admin/logout", data={"csrf_token": token}).status_code == 302


def change_password(app: Flask, store: Store, browser: Browser, mira: int) -> None:
    accounts.set_password(store, mira, "another long password")


def end_everywhere(app: Flask, store: Store, browser: Browser, mira: int) -> None:
    accounts.end_sessions(store, mira)


def remove_account(app: Flask, store: Store, browser: Browser, mira: int) -> None:
    accounts.remove(store, mira)


def log_in_again(app: Flask, store: Store, browser: Browser, mira: int) -> None:
    """In the same browser: the cookie that was copied before is of no use."""
    assert browser.log_in("mira").status_code == 302


ENDS = [log_out, change_password, end_everywhere, remove_account]


@pytest.mark.parametrize("end", [*ENDS, log_in_again])
def test_a_copied_cookie_ends_with_its_session(
    closed: Flask, people: dict[str, int], end: Callable[..., None]
) -> None:
    mira = Browser(closed)
    mira.log_in("mira")
    copied = copy_of(mira, closed)
    assert copied.get("/admin/account").status_code == 200
    if end is log_in_again:  # the login page sends on whoever is logged in
        mira.client.get("/admin/login")
        token = mira.token("/admin/account")
        form = {"csrf_token": token, "name": "mira", "password": PASSWORD}
        assert mira.client.post("/admin/login", data=form).status_code == 302
    else:
        end(closed, database_of(closed).open(), mira, people["mira"])
    assert copied.get("/admin/account").status_code == 302
    assert copied.get("/surveys").status_code == 302
    assert copied.client.get("/api/v1/surveys").status_code == 401


@pytest.mark.parametrize(
    "end", [log_out, *(pytest.param(end, marks=pytest.mark.slow) for end in ENDS[1:])]
)
def test_open_connections_end_with_their_session(
    closed: Flask, people: dict[str, int], end: Callable[..., None]
) -> None:
    """In every namespace, also when another process has ended it: only the database is asked."""
    mira = Browser(closed)
    mira.log_in("mira")
    cookie = mira.client.get_cookie("mien_session")
    assert cookie is not None
    other = Store(database_of(closed).open().url)
    manager = closed.extensions["socketio"].server.manager
    namespaces = ["/live", "/surveys", "/mood"]

    async def connected(url: str) -> None:
        async with AsyncExitStack() as stack:
            clients = []
            for namespace in namespaces:
                headers = {"Cookie": f"mien_session={cookie.value}"}
                clients.append(await stack.enter_async_context(client_of(url, namespace, headers)))
            connections_of(closed).look()
            assert len(connections_of(closed)) == 3
            await asyncio.to_thread(end, closed, other, mira, people["mira"])
            connections_of(closed).look()
            for client in clients:
                await client.wait()  # until the server has ended it
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with client_of(url, "/live", headers):
                    pass

    with served(closed) as url:
        asyncio.run(asyncio.wait_for(connected(url), 60))
    connections_of(closed).look()
    assert len(connections_of(closed)) == 0
    assert [list(manager.get_participants(name, None)) for name in namespaces] == [[], [], []]
    other.close()
    surveys_of(closed).close()


def test_open_connections_end_with_their_token_within_seconds(
    closed: Flask, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks here: the server looks by itself, every two seconds."""
    monkeypatch.setattr(connections, "LOOK_EVERY_S", 0.05)
    store = database_of(closed).open()
    token, text = tokens.create(store, people["admin"], "t", ["live"], None)

    async def connected(url: str) -> None:
        async with client_of(url, "/live", {"Authorization": f"Bearer {text}"}) as client:
            await asyncio.to_thread(tokens.revoke, store, token.id)
            await client.wait()

    with served(closed) as url:
        asyncio.run(asyncio.wait_for(connected(url), 60))


def test_a_mood_stream_ends_with_its_login() -> None:
    class Share:
        ended, number, mood = None, 0, None

    listener = EventListener()
    events = listener.events(Share(), -1, 0.01)  # type: ignore[arg-type]
    assert next(events).startswith("retry")
    assert next(events) == ": heartbeat\n\n"
    listener.log_out()
    assert list(events) == ['event: end\ndata: {"reason": "logged_out"}\n\n']


def test_a_database_that_is_away_ends_no_connection(
    closed: Flask, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    closes: list[bool] = []
    store = database_of(closed).open()
    key = sessions.begin(store, accounts.by_id(store, people["mira"]), lifetime())
    who = connections.Principal(
        "session", people["mira"], "mira", "member", "mira", credential=accounts.hash_of(key)
    )
    opened = connections_of(closed)
    opened._looking.acquire()  # nobody else looks
    opened.add(connections.Open(who, lambda: True, lambda: closes.append(True)))

    def away(*_args: object) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "living", away)
        with pytest.raises(OperationalError):
            opened.look()
    opened.look()
    assert closes == []
    sessions.end(store, accounts.hash_of(key))
    opened.look()
    assert closes == [True]


def lifetime(idle: float = 12, longest: float = 168) -> sessions.Lifetime:
    return sessions.Lifetime(timedelta(hours=idle), timedelta(hours=longest))


def age(store: Store, **hours: float) -> None:
    with store.session() as session:
        values = {name: utcnow() - timedelta(hours=value) for name, value in hours.items()}
        session.execute(update(LoginSession).values(**values))


@pytest.mark.parametrize(
    ("hours", "there"),
    [
        ({"created_at": 167, "last_seen_at": 11}, True),
        ({"created_at": 20, "last_seen_at": 13}, False),  # unused for too long
        ({"created_at": 169, "last_seen_at": 0}, False),  # used all the time
        ({"created_at": -5, "last_seen_at": -5}, True),  # from before the clock was set back
    ],
)
def test_a_session_lasts_so_long_unused_and_so_long_at_all(
    store: Store, people: dict[str, int], hours: dict[str, float], there: bool
) -> None:
    key = sessions.begin(store, accounts.by_id(store, people["mira"]), lifetime())
    age(store, **hours)
    assert (sessions.find(store, key, lifetime()) is not None) == there
    assert bool(sessions.living(store, {accounts.hash_of(key)}, lifetime())) == there
    sessions.begin(store, accounts.by_id(store, people["admin"]), lifetime())
    with store.session() as session:  # those that have ended are not kept
        count = session.scalar(select(func.count()).select_from(LoginSession))
    assert count == 1 + there


def test_the_settings_decide(
    make_app: Callable[..., Flask], people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "password_fits", lambda given, _stored: given == PASSWORD)
    app = make_app(session_hours=1, session_max_hours=2)
    store = database_of(app).open()
    for hours, status in (({"last_seen_at": 1.1}, 302), ({"created_at": 2.1}, 302), ({}, 200)):
        browser = Browser(app)
        browser.log_in("mira")
        if hours:
            age(store, **hours)
        assert browser.get("/admin/account").status_code == status


def test_using_a_session_is_noted_once_a_minute_and_never_needed(
    store: Store, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sessions.begin(store, accounts.by_id(store, people["mira"]), lifetime())

    def seen() -> timedelta:
        with store.session() as session:
            return utcnow() - session.scalars(select(LoginSession.last_seen_at)).one()

    age(store, last_seen_at=0.01)
    assert sessions.find(store, key, lifetime()) is not None
    assert seen() > timedelta(seconds=30)
    age(store, last_seen_at=1)
    assert sessions.find(store, key, lifetime()) is not None
    assert seen() < timedelta(minutes=30)
    age(store, last_seen_at=1)

    def full(*_args: object, **_more: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "update", full)
        assert sessions.find(store, key, lifetime()) is not None


def test_a_login_that_was_overtaken_by_a_new_password_is_none(
    store: Store, people: dict[str, int]
) -> None:
    account = accounts.by_id(store, people["mira"])  # read while the old password was verified
    accounts.set_password(store, people["mira"], "another long password")
    key = sessions.begin(store, account, lifetime())
    assert sessions.find(store, key, lifetime()) is None


def test_keys_are_stored_as_hashes(store: Store, people: dict[str, int]) -> None:
    key = sessions.begin(store, accounts.by_id(store, people["mira"]), lifetime())
    with store.session() as session:
        row = session.scalars(select(LoginSession)).one()
    assert key not in vars(row).values()
    assert row.key_hash == accounts.hash_of(key)


def test_over_https_cookies_are_bound_to_this_host(app: Flask, people: dict[str, int]) -> None:
    """``__Host-``: no other host of the domain, and nobody on the way, plants one."""
    client = app.test_client()
    base = "https://mien.localhost"
    page = client.get("/admin/login", base_url=base)
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    form = {"csrf_token": token, "name": "mira", "password": PASSWORD}
    headers = {"Origin": base, "Referer": f"{base}/admin/login"}
    landed = client.post("/admin/login", base_url=base, data=form, headers=headers)
    assert landed.status_code == 302
    set_cookies = landed.headers.getlist("Set-Cookie")
    assert {one.split("=")[0] for one in set_cookies} == {
        "__Host-mien_session",
        "__Host-mien_device",
    }
    for one in set_cookies:
        words = [word.strip().lower() for word in one.split(";")]
        assert {"secure", "httponly", "path=/"} <= set(words)
        assert not any(word.startswith("domain") for word in words)
    assert client.get("/admin/account", base_url=base).status_code == 200
    planted = app.test_client()  # a cookie of the plain name counts for nothing there
    cookie = client.get_cookie("__Host-mien_session", domain="mien.localhost")
    assert cookie is not None
    planted.set_cookie("mien_session", cookie.value, domain="mien.localhost")
    assert planted.get("/admin/account", base_url=base).status_code == 302


def test_strangers_at_many_addresses_lock_no_known_browser_out(
    app: Flask, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "password_fits", lambda given, _stored: given == PASSWORD)
    known = Browser(app)
    assert known.log_in().status_code == 302
    log_out(app, database_of(app).open(), known, 0)
    answers = [
        Browser(app, f"10.9.{n}.1").log_in(password=f"wrong {n} wrong").status_code
        for n in range(22)
    ]
    assert answers[:20] == [401] * 20
    assert answers[20:] == [429] * 2  # strangers have used the account's attempts up
    assert known.log_in().status_code == 302
    known.client.delete_cookie("mien_device")  # a session of its own is known, too
    changed = known.send(
        "POST", "/admin/api/account/password", {"current": PASSWORD, "password": PASSWORD}
    )
    assert changed.status_code == 200
