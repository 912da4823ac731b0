"""The mood stream under eventlet, as it is served: events at once, nobody held up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import LiveClient
from tests.support.sse import EventStream, Receiver, receiver

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def there() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture(scope="module")
def url(there: Receiver) -> Iterator[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.green_mood"],
        cwd=ROOT,
        env=clean | {"MIEN_MOOD_WEBHOOKS": there.url, "MIEN_MOOD_WEBHOOK_SECRET": "text"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = next(line for line in process.stdout if "http://" in line)
        yield said[said.index("http://") :].strip().rstrip("/")
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(15)


def test_streams_are_told_at_once_and_hold_up_nobody(url: str, there: Receiver) -> None:
    async def run() -> None:
        async with LiveClient(url) as client:
            share = await client.call({"on": True, "webhooks": True}, event="share")
            assert share["webhooks"] == ["127.0.0.1"]
            streams = [await asyncio.to_thread(EventStream, url + share["path"]) for _ in range(4)]
            first = [asyncio.create_task(asyncio.to_thread(stream.next)) for stream in streams]
            while not all(task.done() for task in first):
                assert (await client.frame())["faces"]
                await asyncio.sleep(0.02)
            assert [task.result().data["state"] for task in first] == ["happy"] * 4  # type: ignore[union-attr]
            # streams are open and silent; others are answered meanwhile
            health = await asyncio.to_thread(urllib.request.urlopen, url + "/healthz", timeout=20)
            assert health.status == 200
            health.close()
            await asyncio.to_thread(streams[0].comment)
            assert await client.call({"on": False}, event="share") == {"on": False}
            for stream in streams:
                while (event := await asyncio.to_thread(stream.next)) and event.name == "mood":
                    assert event.data["state"] == "paused"  # a slow machine sent no frame for 3 s
                assert event is not None and event.name == "end"
                assert await asyncio.to_thread(stream.next) is None
                stream.close()

    asyncio.run(run())
    while [got.json["type"] for got in there.wait(1)][-1] != "mood.end":
        there.wait(len(there.got) + 1)
    assert there.got[0].json["data"]["state"] == "happy"
