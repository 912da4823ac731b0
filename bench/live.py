"""Load on the live path: many cameras against the real server, figures as JSON.

``python -m bench.live --clients 8 --fps 15 --seconds 30 --json -`` starts the server in a process
of its own unless ``--url`` names one. Every client behaves as the page does: one frame in flight,
and of the frames that fall due meanwhile only the newest is sent. Frame-to-result is counted from
the moment a frame fell due, so waiting for the one before is part of it.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import platform
import sys
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import psutil
import socketio

from bench.support.output import write_report
from bench.support.scenes import HEIGHT, WIDTH, camera_jpegs
from bench.support.server import RunningServer, running_server

WARM_UP_S = 2.0
ACK_TIMEOUT_S = 20.0


@dataclass
class Tally:
    """What all clients saw during the measured time."""

    latencies_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    due: int = 0
    dropped: int = 0
    faces: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    models: set[str] = field(default_factory=set)


@dataclass
class Window:
    """The measured time on the monotonic clock, in seconds."""

    begin: float
    end: float

    def holds(self, moment: float) -> bool:
        return self.begin <= moment < self.end


async def camera(
    url: str, frames: list[bytes], fps: float, offset_s: float, window: Window, tally: Tally
) -> None:
    """One client until the window ends."""
    client = socketio.AsyncClient(reconnection=False)
    await client.connect(url, namespaces=["/live"], transports=["websocket"])
    newest: tuple[int, float] | None = None
    arrived = asyncio.Event()

    async def tick() -> None:
        nonlocal newest
        start, index = time.monotonic() + offset_s, 0
        while (due := start + index / fps) < window.end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if window.holds(due):
                tally.due += 1
                tally.dropped += newest is not None
            newest = (index, due)
            index += 1
            arrived.set()

    async def send() -> None:
        nonlocal newest
        while True:
            await arrived.wait()
            arrived.clear()
            if newest is None:
                continue
            (index, due), newest = newest, None
            meta = {
                "seq": index,
                "captured_ms": due * 1000,
                "width": WIDTH,
                "height": HEIGHT,
            }
            try:
                answer = await client.call(
                    "frame",
                    (meta, frames[index % len(frames)]),
                    namespace="/live",
                    timeout=ACK_TIMEOUT_S,
                )
            except socketio.exceptions.TimeoutError:
                answer = {"error": {"code": "no_acknowledgement"}}
            now = time.monotonic()
            if window.holds(now):
                _count(tally, answer, (now - due) * 1000)

    sender = asyncio.create_task(send())
    ticker = asyncio.create_task(tick())
    done, _ = await asyncio.wait({sender, ticker}, return_when=asyncio.FIRST_COMPLETED)
    for task in (sender, ticker):
        task.cancel()
    await asyncio.gather(sender, ticker, return_exceptions=True)
    await client.disconnect()
    for task in done:
        task.result()  # a client that broke must not look like one that had nothing to do


def _count(tally: Tally, answer: dict[str, Any], latency_ms: float) -> None:
    if "error" in answer:
        tally.errors[answer["error"]["code"]] += 1
        return
    tally.latencies_ms.append(latency_ms)
    for stage, spent_ms in answer["timings_ms"].items():
        tally.stages_ms[stage].append(spent_ms)
    tally.faces += len(answer["faces"])
    tally.models.add(answer["model"])


def percentile(values: list[float], share: float) -> float | None:
    """The smallest value that ``share`` of all values do not exceed (nearest rank)."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)


class Usage:
    """Processor time and memory of processes over the measured time."""

    def __init__(self, named: dict[str, psutil.Process]) -> None:
        self._named = named
        self._before = {name: sum(p.cpu_times()[:2]) for name, p in named.items()}
        self._began = time.monotonic()

    def report(self) -> list[dict[str, Any]]:
        elapsed = time.monotonic() - self._began
        rows = []
        for name, process in self._named.items():
            spent = sum(process.cpu_times()[:2]) - self._before[name]
            rows.append(
                {
                    "process": name,
                    "cpu_percent": round(100 * spent / elapsed, 1),
                    "rss_mb": round(process.memory_info().rss / 2**20, 1),
                }
            )
        return rows


def processes(server: RunningServer | None) -> dict[str, psutil.Process]:
    """The processes to watch by name; only our own where the server was not started here."""
    named = {"clients": psutil.Process()}
    if server is not None:
        named["web"] = psutil.Process(server.pid)
        named |= {f"worker {i}": worker for i, worker in enumerate(server.workers())}
    return named


async def measure(
    url: str,
    server: RunningServer | None,
    clients: int,
    fps: float,
    seconds: float,
    warm_up_s: float = WARM_UP_S,
) -> dict[str, Any]:
    """Run all clients and put the figures together."""
    loop = camera_jpegs(1, 60)
    scenes = [loop[k:] + loop[:k] for k in (7 * i % len(loop) for i in range(clients))]
    begin = time.monotonic() + warm_up_s
    window, tally = Window(begin, begin + seconds), Tally()
    cameras = [
        asyncio.create_task(camera(url, scenes[i], fps, i / clients / fps, window, tally))
        for i in range(clients)
    ]
    await asyncio.sleep(max(0.0, window.begin - time.monotonic()))
    usage = Usage(processes(server))
    await asyncio.sleep(max(0.0, window.end - time.monotonic()))
    used = usage.report()
    await asyncio.gather(*cameras)
    results = len(tally.latencies_ms)
    return {
        "clients": clients,
        "fps": fps,
        "seconds": seconds,
        "results": results,
        "results_per_s": round(results / seconds, 1),
        "frame_to_result_ms": {
            "p50": percentile(tally.latencies_ms, 0.50),
            "p95": percentile(tally.latencies_ms, 0.95),
            "p99": percentile(tally.latencies_ms, 0.99),
            "max": percentile(tally.latencies_ms, 1.0),
        },
        # as the server reports them; "wait" is the queue and the way to the worker and back
        "stages_ms": {
            stage: {"mean": round(sum(v) / len(v), 2), "p95": percentile(v, 0.95)}
            for stage, v in sorted(tally.stages_ms.items())
        },
        "due": tally.due,
        "dropped": tally.dropped,
        "errors": dict(tally.errors),
        "faces_per_result": round(tally.faces / results, 3) if results else None,
        "models": sorted(tally.models),
        "processes": used,
        "cpu_ms_per_result": (
            round(sum(row["cpu_percent"] for row in used) / 100 * seconds * 1000 / results, 2)
            if results
            else None
        ),
        "frame_bytes": round(sum(map(len, scenes[0])) / len(scenes[0])),
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "load_1min": round(psutil.getloadavg()[0], 2),
            "python": platform.python_version(),
        },
    }


def main(argv: list[str] | None = None) -> int:
    """Run the program; the exit status is 1 where there was no result or any error."""
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--fps", type=float, default=15, help="frames a second of each client")
    parser.add_argument("--seconds", type=float, default=30, help="measured time after warm-up")
    parser.add_argument("--url", help="a server that runs already; without, one is started")
    parser.add_argument("--json", required=True, help="file to write; - is standard output")
    args = parser.parse_args(argv)
    if args.clients < 1 or args.fps <= 0 or args.seconds <= 0:
        parser.error("expected at least one client, and fps and seconds above 0")
    with ExitStack() as stack:
        server = None
        if args.url is None:
            # settings of this shell hold; only the limits that would refuse the load are raised
            environment = {k: v for k, v in os.environ.items() if k.startswith("MIEN_")} | {
                "MIEN_PORT": "0",
                "MIEN_LIVE_MAX_SESSIONS": str(max(64, args.clients)),
                "MIEN_LIVE_MAX_SESSIONS_PER_ADDRESS": str(max(16, args.clients)),
                "MIEN_LIVE_MAX_FPS": str(max(40, math.ceil(2 * args.fps))),
            }
            server = stack.enter_context(running_server(environment))
        url = args.url or (server.url if server else "")
        report = asyncio.run(measure(url, server, args.clients, args.fps, args.seconds))
    write_report(report, args.json)
    return 0 if report["results"] and not report["errors"] else 1


if __name__ == "__main__":
    sys.exit(main())
