"""The /live namespace over a real socket, with a stand-in for inference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import socketio

from tests.support.live import JPEG, FakeInference, LiveClient, Worker, served
from webapp.app import create_app
from webapp.errors import InferenceTimeout
from webapp.settings import Settings


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()


@pytest.fixture
def serve(inference: FakeInference) -> Iterator[Callable[..., str]]:
    stack = []

    def start(**settings: Any) -> str:
        app = create_app(Settings(async_mode="threading", **settings), inference=inference)
        context = served(app)
        stack.append(context)
        return context.__enter__()

    yield start
    for context in stack:
        context.__exit__(None, None, None)


async def until(condition: Callable[[], bool], timeout: float = 20) -> None:
    """Wait for a condition without a fixed sleep's guess."""

    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), timeout)


def test_hello_says_what_the_page_needs(serve: Callable[..., str]) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            await until(lambda: bool(client.named("hello")))
            (hello,) = client.named("hello")
            assert hello["model"] == "fake-1"
            assert hello["limits"] == {
                "max_frame_bytes": 1000,
                "max_fps": 40,
                "idle_timeout_s": 300,
            }
            assert hello["emotions"][0] == "angry"
            assert hello["workers"] == {"ready": 1, "total": 1}
            assert hello["session"] == client.socket.get_sid("/live")

    asyncio.run(run(serve(max_frame_bytes=1000)))


def test_a_frame_is_acknowledged_in_the_contracts_shape(serve: Callable[..., str]) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            result = await client.frame()
        assert set(result) == {"seq", "frame", "model", "faces", "timings_ms", "baseline"}
        assert result["seq"] == 1
        assert result["frame"] == {"width": 640, "height": 480}
        (read,) = result["faces"]
        assert set(read) == {
            "track",
            "box",
            "detection",
            "label",
            "confidence",
            "scores",
            "raw",
            "valence",
            "quality",
            "roll_degrees",
        }
        assert read["track"] == 1

    asyncio.run(run(serve()))


BAD: list[tuple[str, tuple[Any, ...], str]] = [
    ("no arguments", (), "invalid_request"),
    ("bytes only", (JPEG,), "invalid_request"),
    ("text for bytes", ({"seq": 1, "captured_ms": 1, "width": 1, "height": 1}, "jpeg"),
     "invalid_request"),
    ("meta is a list", ([1, 2], JPEG), "invalid_request"),
    ("meta is nothing", (None, JPEG), "invalid_request"),
    ("three arguments", ({}, JPEG, JPEG), "invalid_request"),
    ("NaN time", ({"seq": 1, "captured_ms": float("nan"), "width": 1, "height": 1}, JPEG),
     "invalid_request"),
    ("negative seq", ({"seq": -1, "captured_ms": 1, "width": 1, "height": 1}, JPEG),
     "invalid_request"),
    ("huge seq", ({"seq": 10**40, "captured_ms": 1, "width": 1, "height": 1}, JPEG),
     "invalid_request"),
    ("bool width", ({"seq": 1, "captured_ms": 1, "width": True, "height": 1}, JPEG),
     "invalid_request"),
    ("no bytes", ({"seq": 1, "captured_ms": 1, "width": 1, "height": 1}, b""), "invalid_request"),
    ("5 MB", ({"seq": 1, "captured_ms": 1, "width": 1, "height": 1}, b"x" * 5_000_000),
     "payload_too_large"),
]  # fmt: skip


def test_each_bad_frame_gets_an_error_and_costs_nothing_else(
    serve: Callable[..., str], inference: FakeInference
) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as bad, LiveClient(url) as good:
            for name, args, code in BAD:
                answer = await bad.call(*args)
                assert set(answer) == {"error"}, name
                assert set(answer["error"]) == {"code", "message", "detail"}, name
                assert answer["error"]["code"] == code, name
                assert (await good.frame())["faces"], name
            assert (await bad.frame())["faces"]
            assert len(inference.calls) == len(BAD) + 1

    asyncio.run(run(serve()))


def test_an_unknown_event_gets_an_error(serve: Callable[..., str]) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            for event in ("frames", "connect", "disconnect", "trigger_event"):
                answer = await client.call({"x": 1}, event=event)
                assert answer["error"]["code"] == "invalid_request", event
            assert (await client.frame())["faces"]

    asyncio.run(run(serve()))


def test_an_inference_error_is_an_error_and_never_no_face(
    serve: Callable[..., str], inference: FakeInference
) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            inference.error = InferenceTimeout("No answer in time.")
            assert (await client.frame()) == {
                "error": {
                    "code": "inference_timeout",
                    "message": "No answer in time.",
                    "detail": {},
                }
            }
            inference.error = None
            assert (await client.frame())["faces"]

    asyncio.run(run(serve()))


def test_an_unforeseen_error_costs_one_frame_and_tells_no_internals(
    serve: Callable[..., str], inference: FakeInference, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(_image: bytes) -> Any:
        raise ZeroDivisionError("secret")

    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            usual, inference.faces = inference.faces, explode
            answer = await client.frame()
            inference.faces = usual
            assert answer["error"]["code"] == "internal"
            assert "secret" not in str(answer)
            assert (await client.frame())["faces"]

    asyncio.run(run(serve()))
    assert "ZeroDivisionError" in caplog.text


def test_a_second_frame_in_flight_is_refused(
    serve: Callable[..., str], inference: FakeInference
) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            inference.gate.clear()
            first = asyncio.create_task(client.frame())
            assert await asyncio.to_thread(inference.entered.acquire, timeout=10)
            assert (await client.frame())["error"]["code"] == "frame_in_flight"
            inference.gate.set()
            assert (await first)["faces"]

    asyncio.run(run(serve()))


def test_limits_on_connections_in_all_and_from_one_address(serve: Callable[..., str]) -> None:
    async def refused(url: str) -> Any:
        client = LiveClient(url)
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with client:
                pass
        return client.refused

    async def when_free(url: str) -> Any:
        for _ in range(100):
            try:
                async with LiveClient(url) as client:
                    return await client.frame()
            except socketio.exceptions.ConnectionError:
                await asyncio.sleep(0.05)
        raise AssertionError("The place never became free.")

    async def run(url: str) -> None:
        async with LiveClient(url) as first:
            async with LiveClient(url):
                refusal = await refused(url)
                assert refusal["data"]["error"]["code"] == "too_many_sessions"
                assert (await first.frame())["faces"]
            # the place that became free is given again, as soon as the server has seen the goodbye
            assert (await when_free(url))["faces"]

    asyncio.run(run(serve(live_max_sessions=2)))
    asyncio.run(run(serve(live_max_sessions_per_address=2)))


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_a_page_of_another_origin_may_not_connect(serve: Callable[..., str], origin: str) -> None:
    async def run(url: str) -> None:
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with LiveClient(url, headers={"Origin": origin}):
                pass
        async with LiveClient(url, headers={"Origin": url}) as ours:
            assert (await ours.frame())["faces"]
        async with LiveClient(url, headers={"Origin": "https://partner.example"}) as partner:
            assert (await partner.frame())["faces"]

    asyncio.run(run(serve(allowed_origins="https://partner.example/, https://other.example")))


def test_status_tells_of_workers_and_models(
    serve: Callable[..., str], inference: FakeInference
) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:

            def reasons() -> list[str]:
                return [status["reason"] for status in client.named("status")]

            inference.workers = [Worker("starting")]
            await until(lambda: reasons() == ["workers_lost"])
            inference.workers = [Worker("ready")]
            await until(lambda: reasons() == ["workers_lost", "workers_back"])
            inference.version = "fake-2"
            await until(lambda: reasons()[2:] == ["model_changed"])
            assert client.named("status")[-1] == {
                "reason": "model_changed",
                "model": "fake-2",
                "workers": {"ready": 1, "total": 1},
            }

    asyncio.run(run(serve()))


def test_an_idle_connection_is_told_and_closed(serve: Callable[..., str]) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            await until(lambda: not client.socket.connected)
            (status,) = client.named("status")
            assert (status["reason"], status["message"]) == ("idle", "No frame for 1 s.")

    asyncio.run(run(serve(live_idle_timeout_s=1)))


def test_options_change_what_is_named_and_refuse_nonsense(serve: Callable[..., str]) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            off = {"smoothing": False, "steadiness": "balanced"}
            assert await client.call({"smoothing": False}, event="options") == off
            assert await client.call({}, event="options") == off
            calm = await client.call({"steadiness": "calm"}, event="options")
            assert calm == {"smoothing": False, "steadiness": "calm"}
            for nonsense in (
                {"smoothing": 1},
                {"other": True},
                {"steadiness": "asleep"},
                {"steadiness": ["calm"]},
                5,
                None,
                [True],
            ):
                answer = await client.call(nonsense, event="options")
                assert answer["error"]["code"] == "invalid_request", nonsense
            assert await client.call({}, event="options") == calm

    asyncio.run(run(serve()))


@pytest.mark.slow
def test_the_transport_may_fall_back_to_polling(serve: Callable[..., str]) -> None:
    async def run(url: str) -> None:
        async with LiveClient(url, transports=["polling"]) as client:
            assert (await client.frame())["faces"]

    asyncio.run(run(serve()))
