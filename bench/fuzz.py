"""``python -m bench.fuzz --json -``: messages, uploads and requests that nobody expects.

10,000 in all by default, from a seed: sockets, uploads, and the REST interface by its description
(schemathesis), against the real server with real workers. No answer may be an internal error, every
error has the one shape, and in the end the same processes serve. Status 1 where that is not so.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import time
from typing import Any

import click
import requests

from bench.support.fuzz_api import TIMEOUT_S, Findings, fuzz_api, judge
from bench.support.fuzz_socket import fuzz_socket
from bench.support.mutate import damaged, files
from bench.support.output import write_report
from bench.support.scenes import frames_of_a_face
from bench.support.server import running_server
from bench.support.witness import until

SETTINGS = {
    "MIEN_WORKERS": "2",
    "MIEN_LIVE_MAX_FPS": "100000",
    "MIEN_LIVE_MAX_SESSIONS_PER_ADDRESS": "64",
    "MIEN_API_RATE_PER_MINUTE": "10000000",
}
KINDS = ("image/jpeg", "image/*", "application/octet-stream", "multipart/form-data", "text/plain")
KINDS += ("application/x-www-form-urlencoded", "application/json", "\x7f/\x7f", "")


def _post(session: requests.Session, url: str, content: bytes, dice: random.Random) -> Any:
    target = f"{url}api/v1/analyze"
    if dice.random() < 0.4:
        field = dice.choice(("image", "image", "file", ""))
        name = dice.choice(("a.jpg", "../../a", "\u00e9" * 300, 'a"; x="'))
        return session.post(target, files={field: (name, content)}, timeout=TIMEOUT_S)
    kind = dice.choice(KINDS)
    if dice.random() < 0.2:
        kind += "; boundary=" + dice.choice(("x", '"', "-" * 200))
    chunked = iter([content[:10], content[10:]]) if dice.random() < 0.2 else content
    return session.post(target, chunked, headers={"Content-Type": kind}, timeout=TIMEOUT_S)


def fuzz_uploads(url: str, number: int, seed: int) -> Findings:
    """Send ``number`` damaged files, half to be read at once and half to a survey."""
    dice, findings, good = random.Random(seed), Findings(), files()
    new = {"name": "Fuzz", "purpose": "research", "consent": True}
    with requests.Session() as session:
        made = session.post(f"{url}api/v1/surveys", json=new, timeout=TIMEOUT_S).json()["id"]
        for _ in range(number):
            name = dice.choice(sorted(good))
            content = damaged(dice, good[name])
            if dice.random() < 0.5:
                answer = _post(session, url, content, dice)
                judge(findings, "POST /api/v1/analyze", answer, f"{name}, {len(content)} bytes")
                continue
            path = dice.choice((name, f"{dice.randrange(10**6)}/{name}", "\x00/..", "x" * 3000))
            query = {"path": path, "group": dice.choice(("A", "", "\x00", "G" * 900))}
            answer = session.put(
                f"{url}api/v1/surveys/{made}/files", content, params=query, timeout=TIMEOUT_S
            )
            judge(findings, "PUT files", answer, f"{name} as {path[:40]!r}, {len(content)} bytes")
    return findings


def live_sessions(url: str) -> float:
    """How many live connections the server knows of."""
    text = requests.get(f"{url}metrics", timeout=TIMEOUT_S).text
    found = re.search(r"^mien_live_sessions (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def run(messages: int, uploads: int, examples: int, seed: int) -> dict[str, Any]:
    """Everything against one server; the report."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(SETTINGS | {"MIEN_INSTANCE_DIR": folder}) as server,
    ):
        workers = {worker.pid for worker in server.workers()}
        parts = {"sockets": fuzz_socket(server.url, messages, seed)}
        try:
            until(lambda: live_sessions(server.url) == 0, "the end of all live connections", 10)
        except TimeoutError as error:
            parts["sockets"].blame("connections stay open after their end", str(error))
        parts |= {
            "uploads": fuzz_uploads(server.url, uploads, seed),
            "interface": fuzz_api(server.url, examples, seed),
        }
        picture = requests.post(
            f"{server.url}api/v1/analyze", data=frames_of_a_face()[0], timeout=TIMEOUT_S
        )
        same = {worker.pid for worker in server.workers()} == workers
        traces = [line for line in server.output if "Traceback" in line]
    report = {name: findings.to_json() for name, findings in parts.items()}
    ok = same and not traces and picture.status_code == 200 and len(picture.json()["faces"]) == 1
    return {
        "seed": seed,
        "sent": sum(findings.requests for findings in parts.values()),
        "seconds": round(time.monotonic() - began, 1),
        "same_workers": same,
        "tracebacks": len(traces),
        "ok": ok and not any(findings.broken for findings in parts.values()),
        **report,
    }


@click.command(help=__doc__)
@click.option("--messages", default=6000, help="Socket messages.")
@click.option("--uploads", default=3000, help="Uploaded files.")
@click.option("--examples", default=50, help="Requests of each sort for each operation.")
@click.option("--seed", default=1)
@click.option("--json", "target", required=True, help="File for the report; - is standard output.")
def main(messages: int, uploads: int, examples: int, seed: int, target: str) -> None:
    report = run(messages, uploads, examples, seed)
    write_report(report, target)
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
