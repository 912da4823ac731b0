"""The /study namespace over a real socket, with a stand-in for inference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest
import socketio
from flask import Flask

from tests.studies.people import Person, Researcher, sample
from tests.support.live import JPEG, FakeInference, face, served
from webapp.domain import TURNED_AWAY, Box, FrameResult, Quality
from webapp.studies.events import StudyNamespace, sample_of

BOX = Box(100, 100, 200, 200)


class Viewer:
    """One connection of somebody who takes part."""

    def __init__(self, url: str, auth: Any) -> None:
        self.url, self.auth = url, auth
        self.events: list[tuple[str, Any]] = []
        self.refused: Any = None
        self.seq = 0
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Viewer:
        # our own session, because the client leaves its own open where it cannot connect
        self._http = aiohttp.ClientSession()
        self.socket = socketio.AsyncClient(reconnection=False, http_session=self._http)

        def keep(event: str) -> Callable[..., None]:
            return lambda payload: self.events.append((event, payload))

        for event in ("hello", "status"):
            self.socket.on(event, keep(event), namespace="/study")
        self.socket.on("connect_error", self._refuse, namespace="/study")
        self.socket.on("disconnect", lambda *_: self.ended.set(), namespace="/study")
        try:
            await self.socket.connect(
                self.url,
                auth=self.auth,
                namespaces=["/study"],
                transports=["websocket"],
                wait_timeout=20,
            )
        except BaseException:
            await self.__aexit__()
            raise
        return self

    def _refuse(self, payload: Any) -> None:
        self.refused = payload

    async def __aexit__(self, *_: object) -> None:
        await self.socket.disconnect()
        await self._http.close()

    async def frame(self, *args: Any) -> Any:
        self.seq += 1
        meta = {"seq": self.seq, "captured_ms": self.seq * 300.0, "width": 640, "height": 480}
        sent = args or (meta, JPEG)
        return await self.socket.call("frame", sent, namespace="/study", timeout=8)

    async def ask(self, event: str, *args: Any) -> Any:
        return await self.socket.call(event, args, namespace="/study", timeout=8)


@pytest.fixture
def serve(make_studies: Callable[..., Flask]) -> Iterator[Callable[..., tuple[str, Flask]]]:
    with ExitStack() as stack:

        def start(**settings: Any) -> tuple[str, Flask]:
            app = make_studies(**settings)
            return stack.enter_context(served(app)), app

        yield start


def code_of(app: Flask) -> dict[str, str]:
    client = app.test_client()
    return {"code": Person(client, Researcher(client).open(1)).begun["code"]}


def test_a_frame_is_read_and_summed_up(serve: Callable[..., tuple[str, Flask]]) -> None:
    url, app = serve(study_max_fps=7)

    async def run() -> None:
        async with Viewer(url, code_of(app)) as viewer:
            answer = await viewer.frame()
            assert answer["sample"]["face"] == "one"
            assert answer["sample"]["scores"][3] == 0.9
            assert answer["faces"][0]["label"] == "happy"
            (hello,) = [payload for name, payload in viewer.events if name == "hello"]
            assert hello["limits"]["max_fps"] == 7
            for wrong in (({}, JPEG), ("x",), ({"seq": 1}, b"")):
                refused = await viewer.frame(*wrong)
                assert refused["error"]["code"] in ("invalid_request", "rate_limited")

    asyncio.run(run())


def test_a_batch_is_acknowledged_once_it_is_written_and_goes_on_over_http(
    serve: Callable[..., tuple[str, Flask]],
) -> None:
    url, app = serve()
    client = app.test_client()
    person = Person(client, Researcher(client).open(1))
    other = Person(client, Researcher(client).open(1))
    body = {"seq": 1, "stimulus": person.order[0], "samples": [sample(0)], "model": "fake-1"}

    async def run() -> None:
        async with Viewer(url, {"code": person.begun["code"]}) as viewer:
            assert await viewer.ask("batch", body) == {"acknowledged": 1}
            assert person.ask("GET", "").json["acknowledged"] == 1
            assert await viewer.ask("batch", body) == {"acknowledged": 1}
            assert person.send(person.order[0], [sample(1000)], seq=2).status_code == 200
            assert await viewer.ask("batch", body | {"seq": 3}) == {"acknowledged": 3}
            early = await viewer.ask("batch", body | {"seq": 5})
            assert early["error"]["detail"] == {"expected": 4}
            for wrong in ((), (5,), (body, body), (body | {"samples": []},)):
                refused = await viewer.ask("batch", *wrong)
                assert refused["error"]["code"] == "invalid_request"
            refused = await viewer.ask("batch", body | {"seq": 4, "stimulus": other.order[0]})
            assert refused["error"]["code"] == "not_found"
            person.withdraw()
            refused = await viewer.ask("batch", body | {"seq": 4})
            assert refused["error"]["code"] == "unauthorized"

    asyncio.run(run())


def test_one_batch_at_a_time_and_only_so_many(serve: Callable[..., tuple[str, Flask]]) -> None:
    url, app = serve(study_requests_per_minute=6)
    client = app.test_client()
    person = Person(client, Researcher(client).open(1))
    body = {"seq": 1, "stimulus": person.order[0], "samples": [sample(0)]}

    async def run() -> None:
        async with Viewer(url, {"code": person.begun["code"]}) as viewer:
            assert await viewer.ask("batch", body) == {"acknowledged": 1}
            refused = await viewer.ask("batch", body | {"seq": 2})
            assert refused["error"]["code"] == "rate_limited"
            assert refused["error"]["detail"]["retry_after_ms"] >= 1000

    asyncio.run(run())


def test_whether_the_line_is_up_is_answered_while_a_frame_waits(
    serve: Callable[..., tuple[str, Flask]],
) -> None:
    url, app = serve()
    inference = app.extensions["mien"].inference
    assert isinstance(inference, FakeInference)

    async def run() -> None:
        async with Viewer(url, code_of(app)) as viewer:
            inference.gate.clear()
            waiting = asyncio.create_task(viewer.frame())
            await asyncio.to_thread(inference.entered.acquire, timeout=20)
            assert await viewer.ask("here", None) == {"workers": {"ready": 1, "total": 1}}
            assert not waiting.done()
            inference.gate.set()
            assert (await waiting)["sample"]["face"] == "one"
            assert inference.calls[0]["priority"] == "study"
            for _ in range(4):
                await viewer.frame()
            asked = [call["request"] for call in inference.calls]
            assert [one.scans for one in asked] == [True] + [False] * 4, "a held face is kept"
            assert "error" in await viewer.ask("away")

    asyncio.run(run())


@pytest.mark.parametrize("auth", [None, {}, {"code": 5}, {"code": "x" * 43}, {"token": "mien_a_b"}])
def test_without_a_code_nobody_connects(serve: Callable[..., tuple[str, Flask]], auth: Any) -> None:
    url, _ = serve()

    async def run() -> None:
        viewer = Viewer(url, auth)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await viewer.__aenter__()
        assert viewer.refused["data"]["error"]["code"] in ("invalid_request", "unauthorized")

    asyncio.run(run())


def test_who_has_finished_or_withdrawn_does_not_connect(
    serve: Callable[..., tuple[str, Flask]],
) -> None:
    url, app = serve()
    client = app.test_client()
    study = Researcher(client).open(1)
    left, gone, stays = (Person(client, study) for _ in range(3))
    namespace: StudyNamespace = app.extensions["mien.study.namespace"]

    async def run() -> None:
        async with (
            Viewer(url, {"code": stays.begun["code"]}) as viewer,
            Viewer(url, {"code": left.begun["code"]}) as other,
        ):
            await viewer.frame()
            left.ask("POST", "/leave")
            await asyncio.to_thread(namespace.look)
            await asyncio.wait_for(other.ended.wait(), 20)
            assert other.events[-1][1]["reason"] == "ended"
            assert (await viewer.frame())["sample"]["face"] == "one"
        gone.withdraw()
        for one, code in ((left, "conflict"), (gone, "unauthorized")):
            refused = Viewer(url, {"code": one.begun["code"]})
            with pytest.raises(socketio.exceptions.ConnectionError):
                await refused.__aenter__()
            assert refused.refused["data"]["error"]["code"] == code

    asyncio.run(run())


def test_a_second_window_takes_the_place_of_the_first(
    serve: Callable[..., tuple[str, Flask]],
) -> None:
    url, app = serve(study_max_connections=1)
    auth = code_of(app)

    async def run() -> None:
        async with Viewer(url, auth) as first, Viewer(url, auth) as second:
            await asyncio.wait_for(first.ended.wait(), 20)
            assert first.events[-1] == ("status", first.events[-1][1])
            assert first.events[-1][1]["reason"] == "replaced"
            assert (await second.frame())["sample"]["face"] == "one"
            third = Viewer(url, code_of(app))
            with pytest.raises(socketio.exceptions.ConnectionError):
                await third.__aenter__()
            assert third.refused["data"]["error"]["code"] == "too_many_sessions"

    asyncio.run(run())


def test_a_window_on_another_node_takes_the_place_and_a_withdrawal_there_ends_it(
    serve: Callable[..., tuple[str, Flask]],
) -> None:
    """Two applications over one database, as two nodes have it."""
    (url, app), (elsewhere, other) = serve(), serve()
    client = other.test_client()
    person = Person(client, Researcher(client).open(1))
    nodes: list[StudyNamespace] = [one.extensions["mien.study.namespace"] for one in (app, other)]

    async def look() -> None:
        for node in nodes:
            await asyncio.to_thread(node.look)

    async def run() -> None:
        auth = {"code": person.begun["code"]}
        async with Viewer(url, auth) as first, Viewer(elsewhere, auth) as second:
            await look()
            await asyncio.wait_for(first.ended.wait(), 20)
            assert first.events[-1][1]["reason"] == "replaced"
            assert (await second.frame())["sample"]["face"] == "one"
            async with Viewer(url, auth) as third:  # back again
                await look()
                await asyncio.wait_for(second.ended.wait(), 20)
                assert second.events[-1][1]["reason"] == "replaced"
                assert (await third.frame())["sample"]["face"] == "one"
                await asyncio.to_thread(person.withdraw)
                await look()
                await asyncio.wait_for(third.ended.wait(), 20)
                assert third.events[-1][1]["reason"] == "ended"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ((), ("none", False, False)),
        ((face(BOX, happy=0.9),), ("one", True, True)),
        ((face(BOX, happy=0.9), face(BOX, sad=0.9)), ("several", False, False)),
    ],
)
def test_what_a_sample_says(faces: Any, expected: tuple[str, bool, bool]) -> None:
    made = sample_of(FrameResult(640, 480, "v", faces, {}))
    assert (made["face"], made["quality"], made["scores"] is not None) == expected


def test_a_face_that_is_turned_away_is_told_apart() -> None:
    from dataclasses import replace

    turned = replace(face(BOX, happy=0.9), quality=Quality(False, TURNED_AWAY))
    assert sample_of(FrameResult(640, 480, "v", (turned,), {}))["face"] == "turned"


def test_frames_leave_nothing_behind(
    serve: Callable[..., tuple[str, Flask]], tmp_path: Any
) -> None:
    url, app = serve()
    auth = code_of(app)

    async def run() -> None:
        async with Viewer(url, auth) as viewer:
            await viewer.frame()

    asyncio.run(run())
    inference = app.extensions["mien"].inference
    assert isinstance(inference, FakeInference)
    assert inference.calls
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert JPEG not in kept
