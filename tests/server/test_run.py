"""The real server, started as users start it, with real workers on a tiny real model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
import requests

from bench.support.server import ROOT, RunningServer, running_server
from tests.support.live import LiveClient, served
from tests.support.models import activate, make_version
from tests.support.pictures import blank_jpeg, face_frames, png_bomb
from webapp.app import create_app
from webapp.inference.client import InferenceService
from webapp.models.registry import Registry
from webapp.settings import Settings

HOSTILE: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "invalid_request"),
    ("text", lambda: b"this is no picture", "unsupported_image"),
    ("truncated", lambda: face_frames()[0][:9000], "corrupt_image"),
    ("bomb", png_bomb, "image_too_large"),
    ("5 MB", lambda: b"\xff\xd8" + bytes(5_000_000), "payload_too_large"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_version(folder, "test-1")
    make_version(folder, "test-2", seed=1)
    activate(folder, "test-1")
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[RunningServer]:
    with running_server(environment_for(models)) as running:
        yield running


def environment_for(models: Path, **more: str) -> dict[str, str]:
    """One worker, and no rate limit, because tests send as fast as they are answered."""
    return {
        "MIEN_MODELS_DIR": str(models),
        "MIEN_WORKERS": "1",
        "MIEN_LIVE_MAX_FPS": "10000",
    } | more


async def until(condition: Callable[[], bool], timeout: float = 30) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), timeout)


async def stream(client: LiveClient, answers: list[Any], enough: Callable[[], bool]) -> None:
    """Send frames one after the other until ``enough`` says so."""
    frames = face_frames()
    while not enough():
        answers.append(await client.frame(frames[len(answers) % len(frames)]))


def faces_in(answers: list[Any]) -> int:
    return sum(len(answer.get("faces", ())) for answer in answers)


def test_frames_are_read_and_the_face_keeps_its_number(server: RunningServer) -> None:
    async def run() -> None:
        async with LiveClient(server.url) as client:
            answers: list[Any] = []
            await stream(client, answers, lambda: len(answers) == 12)
        assert [answer["seq"] for answer in answers] == list(range(1, 13))
        assert [len(answer["faces"]) for answer in answers] == [1] * 12
        assert {answer["faces"][0]["track"] for answer in answers} == {1}
        assert {answer["model"] for answer in answers} == {"test-1"}
        assert set(answers[0]["timings_ms"]) == {"wait", "decode", "detect", "classify", "total"}

    asyncio.run(run())


def test_messages_are_not_compressed_though_browsers_offer_it(server: RunningServer) -> None:
    async def run() -> None:
        url = f"{server.url}socket.io/?EIO=4&transport=websocket"
        async with aiohttp.ClientSession() as http, http.ws_connect(url, compress=15) as socket:
            assert (await socket.receive(timeout=20)).data.startswith("0{")
            assert "Sec-WebSocket-Extensions" not in socket._response.headers
            assert socket.compress == 0

    asyncio.run(run())


def test_hostile_frames_get_errors_and_harm_neither_connection_nor_neighbour(
    server: RunningServer,
) -> None:
    async def run() -> None:
        (worker,) = server.workers()
        async with LiveClient(server.url) as bad, LiveClient(server.url) as good:
            neighbour: list[Any] = []
            done = False
            beside = asyncio.create_task(stream(good, neighbour, lambda: done))
            for name, picture, code in HOSTILE * 3:
                answer = await bad.frame(picture())
                assert answer["error"]["code"] == code, name
                assert set(answer["error"]) == {"code", "message", "detail"}
            assert (await bad.frame(face_frames()[0]))["faces"]
            done = True
            await beside
            assert neighbour
            assert all(answer["faces"] for answer in neighbour)
            assert bad.socket.connected
        assert [w.pid for w in server.workers()] == [worker.pid]

    asyncio.run(run())


def test_hostile_pictures_over_http_get_errors(server: RunningServer) -> None:
    for name, picture, code in HOSTILE[:4]:
        answer = requests.post(server.url + "api/v1/analyze", data=picture(), timeout=30)
        assert answer.json()["error"]["code"] == code, name
        assert answer.status_code >= 400
    body = requests.post(server.url + "api/v1/analyze", data=bytes(21_000_000), timeout=30)
    assert (body.status_code, body.json()["error"]["code"]) == (413, "payload_too_large")
    answer = requests.post(
        server.url + "api/v1/analyze", files={"image": face_frames()[0]}, timeout=30
    )
    assert len(answer.json()["faces"]) == 1


def test_a_client_that_breaks_the_protocol_loses_only_its_own_connection(
    server: RunningServer,
) -> None:
    broken = [
        "not a packet",
        "4",
        "49",
        "42/live,",
        "42/live,[]",
        "42/live,{",
        "4" + "2/live," + "[" * 100_000,
        "452-/live,1[" + json.dumps("frame") + ',{"_placeholder":true,"num":7}]',
        "45999999999999-/live,1[]",
    ]

    async def run() -> None:
        address = server.url.replace("http", "ws") + "socket.io/?EIO=4&transport=websocket"
        async with LiveClient(server.url) as good, aiohttp.ClientSession() as http:
            for text in broken:
                async with http.ws_connect(address) as raw:
                    await raw.receive()
                    await raw.send_str("40/live,")
                    await raw.send_str(text)
                    await raw.send_bytes(b"stray")
                    assert (await good.frame(face_frames()[0]))["faces"], text[:30]

    asyncio.run(run())


def test_a_slow_client_holds_up_nobody(server: RunningServer) -> None:
    """One client never reads its answers, another stops in the middle of a frame."""

    async def run() -> None:
        address = server.url.replace("http", "ws") + "socket.io/?EIO=4&transport=websocket"
        parts = urlsplit(server.url)
        half = socket.create_connection((parts.hostname, parts.port))
        half.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            b"\x82\xfe\xff\xff\x00\x00\x00\x00 the rest never comes"
        )
        async with (
            aiohttp.ClientSession() as http,
            LiveClient(server.url) as good,
            http.ws_connect(address, max_msg_size=0) as deaf,
        ):
            await deaf.send_str("40/live,")
            for i in range(200):
                meta = {"seq": i, "captured_ms": i, "width": 640, "height": 480}
                placeholder = {"_placeholder": True, "num": 0}
                await deaf.send_str(f"451-/live,{i}" + json.dumps(["frame", meta, placeholder]))
                await deaf.send_bytes(face_frames()[0])
            answers: list[Any] = []
            await stream(good, answers, lambda: len(answers) == 20)
            assert all(answer["faces"] for answer in answers)
        half.close()

    asyncio.run(run())


def test_a_killed_worker_costs_one_frame_and_comes_back(server: RunningServer) -> None:
    async def run() -> None:
        async with LiveClient(server.url) as first, LiveClient(server.url) as second:
            answers: tuple[list[Any], list[Any]] = ([], [])
            done = False
            tasks = [
                asyncio.create_task(stream(client, mine, lambda: done))
                for client, mine in zip((first, second), answers, strict=True)
            ]
            await until(lambda: min(map(faces_in, answers)) >= 5)
            (worker,) = server.workers()
            os.kill(worker.pid, signal.SIGKILL)
            await until(lambda: any(s["reason"] == "workers_lost" for s in first.named("status")))
            before = [faces_in(mine) for mine in answers]
            await until(
                lambda: all(faces_in(m) >= b + 5 for m, b in zip(answers, before, strict=True))
            )
            await until(lambda: first.named("status")[-1]["reason"] == "workers_back")
            done = True
            await asyncio.gather(*tasks)
            assert first.socket.connected
            assert second.socket.connected
            for mine in answers:
                failed = [answer["error"]["code"] for answer in mine if "error" in answer]
                assert set(failed) <= {"worker_crashed", "inference_unavailable"}
                # a dead worker is an error, never a frame without faces
                assert all(answer["faces"] for answer in mine if "faces" in answer)
            assert second.named("status")[-1]["workers"] == {"ready": 1, "total": 1}

    asyncio.run(run())
    assert requests.get(server.url + "readyz", timeout=30).status_code == 200


def test_another_model_mid_run_shows_in_results_without_an_error(models: Path) -> None:
    settings = Settings(
        async_mode="threading", models_dir=str(models), workers=1, live_max_fps=10_000
    )
    registry = Registry(models)
    inference = InferenceService(settings, registry.active().folder)
    inference.start()

    async def run(url: str) -> None:
        async with LiveClient(url) as client:
            answers: list[Any] = []
            done = False
            task = asyncio.create_task(stream(client, answers, lambda: done))
            await until(lambda: faces_in(answers) >= 5)
            await asyncio.to_thread(inference.reload, registry.get("test-2").folder)
            await until(lambda: answers[-1].get("model") == "test-2")
            await until(lambda: bool(client.named("status")))
            done = True
            await task
            used = [answer.get("model") for answer in answers]
            assert set(used) == {"test-1", "test-2"}
            assert used == sorted(used)  # no way back, and no error in between
            assert {face["track"] for answer in answers for face in answer["faces"]} == {1}
            (status,) = client.named("status")
            assert (status["reason"], status["model"]) == ("model_changed", "test-2")

    try:
        with served(create_app(settings, inference, registry)) as url:
            asyncio.run(run(url))
    finally:
        inference.stop()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eventlet", "threading"])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_stopping_answers_the_frame_in_flight(
    models: Path, mode: str, sign: signal.Signals
) -> None:
    environment = environment_for(
        models,
        MIEN_ASYNC_MODE=mode,
        MIEN_INFERENCE_TIMEOUT_MS="30000",
        MIEN_WORKER_HANG_MS="30000",
    )

    async def run(server: RunningServer) -> None:
        def busy() -> bool:
            return '{state="busy"} 1' in requests.get(server.url + "metrics", timeout=30).text

        async with LiveClient(server.url) as client:
            assert (await client.frame(face_frames()[0]))["faces"]
            flying = asyncio.create_task(client.frame(blank_jpeg(4000), width=4000, height=4000))
            while not flying.done() and not await asyncio.to_thread(busy):
                pass
            server.process.send_signal(sign)
            assert (await flying)["faces"] == []
            await until(lambda: not client.socket.connected)
            assert client.named("status")[-1]["reason"] == "stopping"

    with running_server(environment) as server:
        (worker,) = server.workers()
        asyncio.run(run(server))
        assert server.process.wait(30) == 0, "".join(server.output)
        assert not psutil.pid_exists(worker.pid)
        assert not [line for line in server.output if "Traceback" in line]
        assert len([line for line in server.output if line.startswith("Mien is ready")]) == 1


@pytest.mark.slow
def test_what_cannot_start_says_why_in_a_line(models: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for environment, words in (
            ({"MIEN_TYPO": "1"}, "MIEN_TYPO"),
            ({"MIEN_PORT": "many"}, "MIEN_PORT"),
            ({"MIEN_MODELS_DIR": str(tmp_path)}, "No model is active"),
            ({"MIEN_MODELS_DIR": str(models), "MIEN_PORT": port}, "Cannot listen"),
        ):
            done = subprocess.run(
                [sys.executable, str(ROOT / "wsgi.py")],
                env={k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
                | environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 1
            assert words in done.stderr.splitlines()[-1]
            assert "Traceback" not in done.stderr
