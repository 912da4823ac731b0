"""The mood stream as its users meet it: events, JSON and Socket.IO over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import socketio
from flask import Flask

from tests.live.test_events import until
from tests.support.live import FakeInference, LiveClient, served
from tests.support.sse import EventStream
from webapp.api.schemas import SCHEMAS
from webapp.app import create_app
from webapp.mood.board import MoodBoard
from webapp.settings import Settings

FAST = {"mood_window_ms": 500, "live_max_fps": 1000}


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()


@pytest.fixture
def app(inference: FakeInference) -> Flask:
    settings = Settings(async_mode="threading", mood_max_listeners=2, mood_heartbeat_s=1, **FAST)
    return create_app(settings, inference=inference)


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    with served(app) as at:
        yield at


def board(app: Flask) -> MoodBoard:
    found: MoodBoard = app.extensions["mien.mood"]
    return found


async def frames_until(client: LiveClient, condition: Callable[[], bool]) -> None:
    """Sends frames as a camera does until a condition holds."""

    async def send() -> None:
        while not condition():
            assert "error" not in await client.frame()
            await asyncio.sleep(0.02)

    await asyncio.wait_for(send(), 30)


def shared_state(app: Flask, code: str) -> str | None:
    mood = board(app).find(code).mood
    return None if mood is None else str(mood["state"])


def test_a_stream_tells_the_settled_mood_and_closes_when_sharing_ends(
    app: Flask, url: str, inference: FakeInference
) -> None:
    async def run() -> None:
        async with LiveClient(url) as client:
            share = await client.call({"on": True}, event="share")
            assert set(share) == {"on", "code", "key", "path", "webhooks"}
            stream = await asyncio.to_thread(EventStream, url + share["path"])
            assert stream.status == 200
            assert stream.response.headers["Content-Type"].startswith("text/event-stream")
            assert stream.response.headers["Cache-Control"] == "no-store"
            await frames_until(client, lambda: shared_state(app, share["code"]) == "happy")
            event = await asyncio.to_thread(stream.next)
            assert (event.name, event.identity) == ("mood", "1")
            jsonschema.validate(event.data, SCHEMAS["Mood"])
            assert event.data["state"] == "happy"
            assert event.data["model"] == "fake-1"
            inference.faces = lambda _image: ()
            await frames_until(client, lambda: shared_state(app, share["code"]) == "nobody")
            assert (await asyncio.to_thread(stream.next)).data["state"] == "nobody"
            await asyncio.to_thread(stream.comment)  # a heartbeat, as nothing changes
            assert await client.call({"on": False}, event="share") == {"on": False}
            end = await asyncio.to_thread(stream.next)
            assert (end.name, end.data) == ("end", {"reason": "stopped"})
            assert await asyncio.to_thread(stream.next) is None
            again = await asyncio.to_thread(EventStream, url + share["path"])
            assert (again.status, again.json()["error"]["code"]) == (404, "not_found")
            assert (await client.frame())["faces"] == []
        stream.close()
        again.close()

    asyncio.run(run())


def test_a_client_that_comes_back_gets_the_latest_state_only_if_it_is_new(
    app: Flask, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.mood.board.PAUSED_AFTER_S", 1e9)  # no frames are sent meanwhile

    async def run() -> None:
        async with LiveClient(url) as client:
            share = await client.call({"on": True}, event="share")
            await frames_until(client, lambda: shared_state(app, share["code"]) == "happy")
            for header, wanted in (
                ({}, "mood"),
                ({"Last-Event-ID": "0"}, "mood"),
                ({"Last-Event-ID": "x" * 50}, "mood"),
                ({"Last-Event-ID": "1" * 5000}, "mood"),
                ({"Last-Event-ID": "1"}, None),
            ):
                stream = await asyncio.to_thread(EventStream, url + share["path"], **header)
                if wanted:
                    assert (await asyncio.to_thread(stream.next)).name == wanted
                else:
                    await asyncio.to_thread(stream.comment)  # nothing was told before it
                    assert stream.comments == 1
                stream.close()
                await until(lambda: board(app).listeners == 0)
            spelled = share["path"].lower().replace("-", "")
            stream = await asyncio.to_thread(EventStream, url + spelled)
            assert (await asyncio.to_thread(stream.next)).data["state"] == "happy"
            stream.close()

    asyncio.run(run())


def test_json_gives_the_mood_once(app: Flask, url: str) -> None:
    async def run() -> None:
        async with LiveClient(url) as client, aiohttp.ClientSession() as http:
            share = await client.call({"on": True}, event="share")
            get: Callable[[], Any] = lambda: http.get(  # noqa: E731
                url + share["path"], headers={"Accept": "application/json"}
            )
            async with get() as answer:
                assert answer.status == 404
                assert "not settled" in (await answer.json())["error"]["message"]
            await frames_until(client, lambda: shared_state(app, share["code"]) == "happy")
            async with get() as answer:
                jsonschema.validate(await answer.json(), SCHEMAS["Mood"])

    asyncio.run(run())


def test_listeners_are_limited_and_a_closed_one_makes_room(app: Flask, url: str) -> None:
    async def run() -> None:
        async with LiveClient(url) as client:
            share = await client.call({"on": True}, event="share")
            open_stream = lambda: asyncio.to_thread(EventStream, url + share["path"])  # noqa: E731
            first, second, third = await open_stream(), await open_stream(), await open_stream()
            assert [first.status, second.status, third.status] == [200, 200, 503]
            assert third.json()["error"]["code"] == "too_many_sessions"
            first.close()
            # the server notices at the next heartbeat
            await until(lambda: board(app).listeners == 1)
            fourth = await open_stream()
            assert fourth.status == 200
            for stream in (second, third, fourth):
                stream.close()

    asyncio.run(run())


def test_guessing_is_slow(inference: FakeInference) -> None:
    settings = Settings(async_mode="threading", mood_rate_per_minute=5)
    client = create_app(settings, inference=inference).test_client()
    statuses = [client.get(f"/api/v1/mood/{n}").status_code for n in range(8)]
    assert statuses == [404] * 5 + [429] * 3


def test_pages_of_other_origins_read_it_only_where_the_settings_name_them(
    inference: FakeInference,
) -> None:
    settings = Settings(async_mode="threading", allowed_origins="https://player.example")
    app = create_app(settings, inference=inference)
    share = board(app).begin("sid")
    for origin, allowed in (("https://player.example", True), ("https://evil.example", False)):
        with app.test_client().get(
            f"/api/v1/mood/{share.code}", headers={"Origin": origin}, buffered=False
        ) as answer:
            assert answer.status_code == 200
            assert answer.headers.get("Access-Control-Allow-Origin") == (
                origin if allowed else None
            )
    board(app).close()


class MoodClient:
    """One connection to /mood."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.moods: list[Any] = []
        self.ends: list[Any] = []

    async def __aenter__(self) -> MoodClient:
        self._http = aiohttp.ClientSession()
        self.socket = socketio.AsyncClient(reconnection=False, http_session=self._http)
        self.socket.on("mood", self.moods.append, namespace="/mood")
        self.socket.on("end", self.ends.append, namespace="/mood")
        try:
            await self.socket.connect(self.url, namespaces=["/mood"], transports=["websocket"])
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.disconnect()
        await self._http.close()

    async def call(self, event: str, *args: Any) -> Any:
        data = args if len(args) != 1 else args[0]
        return await self.socket.call(event, data, namespace="/mood", timeout=20)


def test_socket_io_subscribers_hear_the_mood_they_have_the_code_for(app: Flask, url: str) -> None:
    async def run() -> None:
        async with LiveClient(url) as client, MoodClient(url) as friend, MoodClient(url) as other:
            share = await client.call({"on": True}, event="share")
            for wrong in (
                {"code": "7KQ2-M9XP-4TVA"},
                {"code": 5},
                {},
                None,
                "x",
                {"code": "x" * 999},
            ):
                assert (await other.call("subscribe", wrong))["error"]["code"] in (
                    "not_found",
                    "invalid_request",
                ), wrong
            assert await friend.call("subscribe", {"code": share["code"]}) == {"mood": None}
            assert await friend.call("subscribe", {"code": share["code"]}) == {"mood": None}
            assert board(app).listeners == 1
            await friend.call("connect", {"x": 1})  # events named like the library's own
            await frames_until(client, lambda: bool(friend.moods))
            jsonschema.validate(friend.moods[0], SCHEMAS["Mood"])
            assert (await other.call("subscribe", {"code": share["code"]}))["mood"] == friend.moods[
                0
            ]
            await client.call({"on": False}, event="share")
            await until(lambda: bool(friend.ends and other.ends))
            assert friend.ends == [{"reason": "stopped"}]
            assert len(friend.moods) == 1
            for _ in range(20):
                answer = await other.call("subscribe", {"code": "nope"})
            answer = await other.call("subscribe", {"code": "nope"})
            assert answer["error"]["code"] == "rate_limited"

    asyncio.run(run())


def test_a_bad_share_request_turns_nothing_on(app: Flask, url: str) -> None:
    async def run() -> None:
        async with LiveClient(url) as client:
            for bad in (
                None,
                {},
                {"on": 1},
                {"on": "yes"},
                [],
                "on",
                {"on": True, "webhooks": 1},
                {"on": True, "code": 5},
                {"on": True, "key": []},
                {"on": True, "code": "x" * 500},
            ):
                answer = await client.call(bad, event="share")
                assert answer["error"]["code"] == "invalid_request", bad
            assert len(board(app)) == 0
            assert (await client.frame())["faces"]

    asyncio.run(run())


def test_leaving_ends_it_and_a_broken_connection_can_be_mended(app: Flask, url: str) -> None:
    async def run() -> None:
        async with LiveClient(url) as client:
            share = await client.call({"on": True}, event="share")
            # the transport goes without the goodbye of Socket.IO
            await client.socket.eio.disconnect(abort=True)
            await until(lambda: board(app).find(share["code"]).sid is None)
        async with LiveClient(url) as client:
            again = await client.call(
                {"on": True, "code": share["code"], "key": share["key"]}, event="share"
            )
            assert again["code"] == share["code"]
            thief = await client.call(
                {"on": True, "code": share["code"], "key": "x"}, event="share"
            )
            assert thief["code"] == share["code"], "its own share, whatever it asks for"
            # the page's own goodbye ends it at once, without the time that a lost connection has
            app.extensions["mien.live"].disconnected(
                client.socket.get_sid("/live"), clean_close=True
            )
            assert len(board(app)) == 0

    asyncio.run(run())


def test_the_page_is_told_who_listens(app: Flask, url: str) -> None:
    async def run() -> None:
        async with LiveClient(url) as client:
            client.socket.on("sharing", client._recorder("sharing"), namespace="/live")
            share = await client.call({"on": True}, event="share")
            stream = await asyncio.to_thread(EventStream, url + share["path"])
            await until(lambda: {"mood": None, "listeners": 1} in client.named("sharing"))
            stream.close()

    asyncio.run(run())


def test_the_documented_schema_is_the_served_one() -> None:
    text = Path("docs/mood-stream.schema.json").read_text(encoding="utf-8")
    documented = json.loads(text)
    for name in ("$schema", "$id", "title"):
        documented.pop(name)
    assert documented == json.loads(json.dumps(SCHEMAS["Mood"]))


def test_the_documented_python_client_works(
    app: Flask, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.mood.board.PAUSED_AFTER_S", 1e9)
    text = Path("docs/mood-stream.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]

    async def run() -> None:
        async with LiveClient(url) as client:
            share = await client.call({"on": True}, event="share")
            here = example.replace("http://127.0.0.1:5000", url).replace(
                "7KQ2-M9XP-4TVA", share["code"]
            )
            assert share["code"] in here
            reading = asyncio.create_task(asyncio.to_thread(exec, here, {}))
            await until(lambda: board(app).listeners == 1)
            await frames_until(client, lambda: shared_state(app, share["code"]) == "happy")
            await client.call({"on": False}, event="share")
            await asyncio.wait_for(reading, 30)

    asyncio.run(run())
    assert capsys.readouterr().out == "happy\n"


def test_on_a_server_that_wants_a_login_the_code_alone_is_not_enough(
    inference: FakeInference, tmp_path: Path
) -> None:
    settings = Settings(
        async_mode="threading", require_login=True, instance_dir=str(tmp_path), secret_key="x" * 40
    )
    app = create_app(settings, inference=inference)
    share = board(app).begin("sid")
    answer = app.test_client().get(
        f"/api/v1/mood/{share.code}", headers={"Accept": "text/event-stream"}
    )
    assert answer.status_code == 401

    async def run(url: str) -> None:
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with MoodClient(url):
                pytest.fail("a stranger was let in")

    with served(app) as url:
        asyncio.run(run(url))
