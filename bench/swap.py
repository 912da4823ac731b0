"""Swaps under load: live cameras while the model changes back and forth, figures as JSON.

``python -m bench.swap --clients 8 --fps 15 --swaps 20 --json -`` starts the real server on two
versions whose answers tell them apart, swaps through the admin interface as the page does, and
counts errors, lost connections, the longest gap between two results of one client, and results
whose scores come from another version than they name. ``--kill 20`` then ends the server with
kill -9 at random moments of uploads and swaps, starts it again each time, and checks that a whole,
verified version serves and that nothing unfinished is left.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import socketio

from bench.live import percentile
from bench.support.output import write_report
from bench.support.scenes import HEIGHT, WIDTH, camera_jpegs
from bench.support.server import ROOT, RunningServer, running_server
from bench.support.swap_models import VERSIONS
from webapp.access import accounts, tokens
from webapp.database.store import Store, database_url
from webapp.errors import MienError
from webapp.models.registry import Registry
from webapp.models.verify import check_files

ACK_TIMEOUT_S = 20.0
SETTLE_S = 1.0
FIRST, SECOND = VERSIONS


@dataclass
class Seen:
    """What all clients saw."""

    results: int = 0
    faces: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    mismatched: int = 0
    unknown: int = 0
    gaps_ms: list[float] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)


def count(seen: Seen, answer: dict[str, Any]) -> None:
    """One acknowledgement; both the shown and the raw scores must be of the version it names."""
    if "error" in answer:
        seen.errors[answer["error"]["code"]] += 1
        return
    seen.results += 1
    seen.models[answer["model"]] += 1
    expected = VERSIONS.get(answer["model"])
    if expected is None:
        seen.unknown += 1
        return
    for face in answer["faces"]:
        seen.faces += 1
        for scores in (face["scores"], face["raw"]):
            if max(scores, key=scores.__getitem__) != expected or scores[expected] < 0.8:
                seen.mismatched += 1


async def camera(
    url: str, frames: list[bytes], fps: float, offset_s: float, stop: asyncio.Event, seen: Seen
) -> None:
    """One client as the page is: one frame in flight, the newest next."""
    client = socketio.AsyncClient(reconnection=False)
    lost = asyncio.Event()
    ours = False

    @client.on("disconnect", namespace="/live")  # type: ignore[untyped-decorator]
    async def _gone(*_: Any) -> None:
        if not ours:
            seen.lost += 1
        lost.set()

    @client.on("status", namespace="/live")  # type: ignore[untyped-decorator]
    async def _status(status: dict[str, Any]) -> None:
        seen.told[status["reason"]] += 1

    await client.connect(url, namespaces=["/live"], transports=["websocket"])
    await asyncio.sleep(offset_s)
    start, index, last = time.monotonic(), 0, None
    while not stop.is_set() and not lost.is_set():
        due = start + index / fps
        now = time.monotonic()
        if now < due:
            await asyncio.sleep(due - now)
        else:
            index = int((now - start) * fps)  # frames that fell due meanwhile are never sent
        meta = {"seq": index, "captured_ms": due * 1000, "width": WIDTH, "height": HEIGHT}
        try:
            answer = await client.call(
                "frame", (meta, frames[index % len(frames)]), "/live", timeout=ACK_TIMEOUT_S
            )
        except (socketio.exceptions.SocketIOError, asyncio.TimeoutError):
            answer = {"error": {"code": "no_acknowledgement"}}
        now = time.monotonic()
        count(seen, answer)
        if last is not None and "error" not in answer:
            seen.gaps_ms.append((now - last) * 1000)
        last = now
        index += 1
    ours = True
    await client.disconnect()


class Admin:
    """The admin interface with a bearer token."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token

    def call(self, method: str, path: str, body: bytes = b"", timeout_s: float = 120) -> Any:
        request = urllib.request.Request(
            f"{self._url}/admin/api{path}",
            data=body if method != "GET" else None,
            method=method,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/octet-stream" if body else "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)


def make_token(instance: Path) -> str:
    store = Store(database_url(instance))
    store.migrate()
    try:
        account = accounts.create(store, "bench", "admin")
        scopes = ["models:read", "models:write"]
        return tokens.create(store, account.id, "bench", scopes, None)[1]
    finally:
        store.close()


async def under_load(
    server: RunningServer, token: str, clients: int, fps: float, swaps: int, pause_s: float
) -> dict[str, Any]:
    """Swap back and forth under ``clients`` cameras; the gaps without swaps come first."""
    loop = camera_jpegs(1, 60)
    scenes = [loop[k:] + loop[:k] for k in (7 * i % len(loop) for i in range(clients))]
    seen, calm, stop = Seen(), Seen(), asyncio.Event()
    admin = Admin(server.url, token)

    async def run(into: Seen, until: asyncio.Event) -> None:
        await asyncio.gather(
            *(
                camera(server.url, scenes[i], fps, i / clients / fps, until, into)
                for i in range(clients)
            )
        )

    quiet = asyncio.Event()
    first = asyncio.create_task(run(calm, quiet))
    await asyncio.sleep(5.0)
    quiet.set()
    await first
    cameras = asyncio.create_task(run(seen, stop))
    await asyncio.sleep(SETTLE_S)
    took, failed = [], Counter[str]()
    for number in range(swaps):
        version = SECOND if number % 2 == 0 else FIRST
        began = time.monotonic()
        try:
            await asyncio.to_thread(admin.call, "POST", f"/models/{version}/activate")
            took.append((time.monotonic() - began) * 1000)
        except urllib.error.HTTPError as error:
            failed[str(error.code)] += 1
        await asyncio.sleep(pause_s)
    stop.set()
    await cameras
    return {
        "clients": clients,
        "fps": fps,
        "swaps": swaps,
        "swaps_failed": dict(failed),
        "swap_ms": {"p50": percentile(took, 0.5), "max": percentile(took, 1.0)},
        "results": seen.results,
        "faces": seen.faces,
        "errors": dict(seen.errors),
        "connections_lost": seen.lost,
        "results_of_another_version": seen.mismatched,
        "results_of_an_unknown_version": seen.unknown,
        "gap_ms": {
            "p50": percentile(seen.gaps_ms, 0.5),
            "p99": percentile(seen.gaps_ms, 0.99),
            "longest": percentile(seen.gaps_ms, 1.0),
            "longest_without_swaps": percentile(calm.gaps_ms, 1.0),
            "above_300": sum(gap > 300 for gap in seen.gaps_ms),
        },
        "results_by_version": dict(seen.models),
        "told": dict(seen.told),
        "load_1min": round(psutil.getloadavg()[0], 2),
        "cores": os.cpu_count(),
    }


def version_zip(folder: Path, name: str) -> bytes:
    """A version folder as a ZIP whose card bears another name."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            if path.name == "card.json":
                card = json.loads(content)
                card["version"] = name
                content = json.dumps(card).encode()
            target.writestr(f"{name}/{path.name}", content)
    return buffer.getvalue()


def kills(
    environment: dict[str, str], models: Path, token: str, times: int, within_s: float
) -> dict[str, Any]:
    """kill -9 at random moments of an upload and of swaps; what every start found."""
    chance = random.Random(20261123)
    body = {name: version_zip(models / name, f"{name}-copy") for name in VERSIONS}
    found: Counter[str] = Counter()
    problems: list[str] = []
    moments: list[float] = []
    for number in range(times):
        with running_server(environment) as server:
            registry = Registry(models)
            active = registry.active_name()
            health = json.load(urllib.request.urlopen(f"{server.url}readyz", timeout=30))
            try:
                registry.verify(str(active))
            except MienError as error:
                problems.append(f"start {number}: {error}")
            if health["model"] != active or not health["ok"]:
                problems.append(f"start {number}: serves {health['model']}, ACTIVE says {active}")
            left = [p.name for p in models.iterdir() if p.name.startswith((".upload", ".making"))]
            if left:
                problems.append(f"start {number}: {left} left")
            for version in registry.versions():
                try:
                    check_files(version.folder, version.card)
                except MienError as error:
                    problems.append(f"start {number}: {version.version}: {error}")
            found[str(active)] += 1
            admin = Admin(server.url, token)
            uploading = number % 2 == 0

            def work(
                admin: Admin = admin, uploading: bool = uploading, number: int = number
            ) -> None:
                """Goes on until the server is gone."""
                for turn in itertools.count():
                    for name in VERSIONS:
                        try:
                            if uploading:
                                copy = f"{name}-{number}-{turn}"
                                path = f"/models/uploads?name={copy}&filename=copy.zip"
                                admin.call("POST", path, body[name])
                            else:
                                admin.call("POST", f"/models/{name}/activate")
                        except urllib.error.HTTPError:
                            time.sleep(0.05)
                        except OSError:
                            return

            worker = threading.Thread(target=work, daemon=True)
            worker.start()
            moment = chance.uniform(0.05, within_s)
            moments.append(round(moment, 2))
            time.sleep(moment)
            server.process.kill()
            server.process.wait()
            worker.join(60)
    with running_server(environment):
        left = [p.name for p in models.iterdir() if p.name.startswith((".upload", ".making"))]
        if left:
            problems.append(f"at the end: {left} left")
    return {
        "kills": times,
        "moments_s": moments,
        "problems": problems,
        "started_on": dict(found),
        "versions_at_the_end": [v.version for v in Registry(models).versions()],
    }


def build_models(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "bench.support.swap_models", str(folder)],
        cwd=ROOT,
        check=True,
        env=os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.swap", description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two swaps")
    parser.add_argument("--kill", type=int, default=0, help="times of kill -9 after the swaps")
    parser.add_argument(
        "--kill-within", type=float, default=10, help="seconds after its start that it lives"
    )
    parser.add_argument("--models", type=Path, help="what bench.support.swap_models wrote before")
    parser.add_argument("--json", required=True, help="file to write; - is standard output")
    args = parser.parse_args(argv)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="mien-swap-") as scratch:
        models, instance = Path(scratch) / "models", Path(scratch) / "instance"
        if args.models:
            shutil.copytree(args.models, models)
        else:
            build_models(models)
        Registry(models).point_to(FIRST)
        token = make_token(instance)
        environment = {k: v for k, v in os.environ.items() if k.startswith("MIEN_")} | {
            "MIEN_PORT": "0",
            "MIEN_MODELS_DIR": str(models),
            "MIEN_INSTANCE_DIR": str(instance),
            "MIEN_LOG_LEVEL": "WARNING",
        }
        if args.swaps:
            with running_server(environment) as server:
                report = asyncio.run(
                    under_load(server, token, args.clients, args.fps, args.swaps, args.pause)
                )
                report["server_said"] = [
                    line.strip() for line in server.output if "ERROR" in line or "WARN" in line
                ][:10]
        if args.kill:
            report["crashes"] = kills(environment, models, token, args.kill, args.kill_within)
    write_report(report, args.json)
    bad = (
        report.get("errors")
        or report.get("connections_lost")
        or report.get("results_of_another_version")
        or report.get("swaps_failed")
        or report.get("crashes", {}).get("problems")
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
