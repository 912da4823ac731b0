"""Faults of clients and of workers, while a visitor looks into the camera."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import time
from urllib.parse import urlsplit

import aiohttp
import cv2
import numpy as np
import requests

from bench.support.fault_world import TIMEOUT_S, Case, Row, World, code_of, worker
from bench.support.scenes import HEIGHT, WIDTH, frames_of_a_face
from bench.support.witness import until

_FRAME = {"captured_ms": 0, "width": WIDTH, "height": HEIGHT}


def _connect(world: World) -> socket.socket:
    parts = urlsplit(world.url)
    # another address of this machine: a limit on one address is not to meet the witness
    source = ("127.0.0.2", 0) if parts.hostname == "127.0.0.1" else None
    target = (parts.hostname or "", parts.port or 0)
    return socket.create_connection(target, timeout=TIMEOUT_S, source_address=source)


def deaf_client(world: World) -> Row:
    frames = 40 if world.short else 200
    since = time.monotonic()

    async def run() -> None:
        address = world.url.replace("http", "ws") + "socket.io/?EIO=4&transport=websocket"
        async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as ws:
            await ws.send_str("40/live,")
            for seq in range(frames):
                event = json.dumps(
                    ["frame", {"seq": seq, **_FRAME}, {"_placeholder": True, "num": 0}]
                )
                await ws.send_str(f"451-/live,{seq}{event}")
                await ws.send_bytes(frames_of_a_face()[0])
            await asyncio.to_thread(world.go_on)

    asyncio.run(run())
    done = f"a client sends {frames} frames as fast as it can and reads no answer"
    return world.row("slow client", done, since)


def stalled_client(world: World) -> Row:
    since = time.monotonic()
    with _connect(world) as half:
        half.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            b"\x82\xfe\xff\xff\x00\x00\x00\x00 the rest never comes"
        )
        with _connect(world) as upload:
            upload.sendall(
                b"POST /api/v1/analyze HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n1"
            )
            world.go_on()
    done = "one client stops in the middle of a frame, another in the middle of an upload"
    return world.row("stalled client", done, since)


def half_open(world: World) -> Row:
    number = 100 if world.short else 1500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, number + 500)), hard))
    since, open_ones = time.monotonic(), []
    try:
        for index in range(number):
            try:
                one = _connect(world)
                open_ones.append(one)
                if index % 2:
                    one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            except OSError:  # closed at once, because there are too many from here
                continue
        began = time.monotonic()
        try:
            page = code_of(requests.get(world.url, timeout=20))
        except requests.RequestException as error:
            page = type(error).__name__
        took_ms = 1000 * (time.monotonic() - began)
        world.go_on()
    finally:
        for one in open_ones:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    done = f"{len(open_ones)} connections are opened and say nothing, or half a request"
    row = world.row("half-open sockets", done, since, note=f"A page: {page} after {took_ms:.0f} ms")
    return row if page == "200" else Row(**{**row.__dict__, "ok": False})


def worker_crash(world: World) -> Row:
    since = time.monotonic()
    victim = worker(world)
    victim.kill()
    until(lambda: victim not in world.server.workers(), "the end of the worker")
    until(lambda: len(world.server.workers()) == world.workers, "the new worker")
    world.go_on()
    return world.row("worker crash", "an inference worker gets SIGKILL", since, may_lose=2)


def worker_hang(world: World) -> Row:
    since = time.monotonic()
    victim = worker(world)
    victim.send_signal(signal.SIGSTOP)
    until(lambda: not victim.is_running(), "the end of the worker that hangs")
    until(lambda: len(world.server.workers()) == world.workers, "the new worker")
    world.go_on()
    done = "an inference worker gets SIGSTOP and answers nothing any more"
    return world.row("worker hang", done, since, may_lose=2)


def memory_hog(world: World) -> Row:
    """A picture that takes more memory than a worker may have."""
    world.all_ready()  # one that is only starting would be replaced by one without the limit
    since = time.monotonic()
    victims = world.server.workers()
    for victim in victims:
        used = victim.memory_info().data + (24 << 20)
        victim.rlimit(resource.RLIMIT_DATA, (used, used))
    ok, jpeg = cv2.imencode(".jpg", np.zeros((6000, 6000), np.uint8))
    answers = [_analyze(world, jpeg.tobytes()) for _ in range(len(victims))]
    for victim in victims:  # what they hold may not be raised again: new ones are not limited so
        victim.kill()
    until(
        lambda: (
            not set(world.server.workers()) & set(victims)
            and len(world.server.workers()) == world.workers
        ),
        "new workers",
    )
    world.go_on()
    codes = sorted({code_of(answer) for answer in answers})
    row = world.row(
        "memory hog",
        "pictures of 36 megapixels reach workers that may take 24 MB more; then both are replaced",
        since,
        may_lose=30,
        note=f"The pictures: {', '.join(codes)}",
    )
    expected = ok and all(answer.status_code in (413, 422, 500, 502) for answer in answers)
    return Row(**{**row.__dict__, "ok": row.ok and expected})


def _analyze(world: World, picture: bytes) -> requests.Response:
    return requests.post(f"{world.url}api/v1/analyze", data=picture, timeout=TIMEOUT_S)


def client_clock(world: World) -> Row:
    """The times that a client claims jump; the server's own clock is not stepped here."""
    since = time.monotonic()

    async def run() -> set[int | str]:
        import socketio

        client = socketio.AsyncClient(reconnection=False)
        await client.connect(world.url, namespaces=["/live"], transports=["websocket"])
        tracks: set[int | str] = set()
        frames, now_ms = frames_of_a_face(), 1.7e12
        for seq in range(12):
            now_ms += {4: -3.6e6, 8: 7.2e6}.get(seq, 66.0)
            meta = {**_FRAME, "seq": seq, "captured_ms": now_ms}
            answer = await client.call("frame", (meta, frames[seq]), namespace="/live", timeout=30)
            if "error" in answer:
                tracks.add(answer["error"]["code"])
            else:
                tracks |= {face["track"] for face in answer["faces"]} or {"not found"}
        await client.disconnect()
        return tracks

    tracks = asyncio.run(run())
    world.go_on()
    row = world.row(
        "clock of a client steps",
        "a client's clock jumps back by an hour, then on by two",
        since,
        note="Its face kept its number"
        if tracks == {1}
        else f"Its face was {sorted(map(str, tracks))}",
    )
    return Row(**{**row.__dict__, "ok": row.ok and tracks == {1}})


CASES: tuple[Case, ...] = (
    deaf_client,
    stalled_client,
    half_open,
    worker_crash,
    worker_hang,
    memory_hog,
    client_clock,
)
