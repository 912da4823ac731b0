"""``python -m bench.loop --json -``: what heavy requests cost everybody else.

A real server with a survey of 10,000 invented faces gets one heavy request after another. Meanwhile
another process asks ``/healthz`` all the time: the slowest answer is given in ms, and beside it the
longest turn of the event loop in processor time of its own thread, which other load on the machine
does not lengthen. ``--program DIR`` measures another version of the program in its own folder.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from bench.support.output import write_report
from bench.support.server import READY
from tests.support.archives import many_members, named_pictures
from webapp import ROOT

SURVEYS = "/api/v1/surveys"
MADE = {"name": "Heavy", "purpose": "product", "consent": True, "groups": ["A"]}
LOGINS, AT_ONCE = 60, 12
FILL = """
import json, sys
import bench.survey_pages as pages
app = pages.create_app(pages.Settings(async_mode="threading", instance_dir=sys.argv[1]))
opened = pages.surveys_of(app).open()
model = pages.model_facts(pages.Registry("models").active().card)
made = pages.fill(opened, int(sys.argv[2]), 10, model)
pages.surveys_of(app).close()
print(json.dumps(made))
"""


@dataclass
class Server:
    """The server under measurement; ``held`` is the file of ``watched_server``."""

    host: str
    port: int
    held: Path
    lines: list[str]

    def ask(
        self, method: str, path: str, body: bytes = b"", source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, bytes, str]:
        """Status, body and cookie; status 0 where it closed the connection instead."""
        kind = "application/json" if body[:1] in (b"{", b"[") else "application/octet-stream"
        connection = http.client.HTTPConnection(
            self.host, self.port, timeout=300, source_address=(source, 0)
        )
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before the end
                connection.request(method, path, body or None, {"Content-Type": kind} | headers)
            answer = connection.getresponse()
            cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
            return answer.status, answer.read(), cookie
        except (ConnectionError, http.client.HTTPException):
            return 0, b"", ""
        finally:
            connection.close()

    def made(self, **more: Any) -> str:
        """A new survey's id."""
        status, body, _ = self.ask("POST", SURVEYS, json.dumps(MADE | more).encode())
        if status != 201:
            raise click.ClickException(f"No survey was made: {status} {body[:300]!r}")
        return str(json.loads(body)["id"])

    def measured(self, call: Callable[[], int]) -> dict[str, float | int]:
        """What ``call`` answered, and what it cost others."""
        time.sleep(0.5)
        with self.held.open("r+b") as stream:  # in place: the server maps it
            stream.write(struct.pack("d", 0.0))
        began, first = time.monotonic(), len(self.lines)
        status = call()
        ended = time.monotonic()
        time.sleep(1.0)  # an answer that waited comes after it
        (held_ms,) = struct.unpack("d", self.held.read_bytes())
        waits_ms = waited(self.lines[max(0, first - 1) :], began, ended)
        return {
            "status": status,
            "took_s": round(ended - began, 2),
            "worst_healthz_ms": round(max(waits_ms, default=0.0), 1),
            "asked": len(waits_ms),
            "longest_turn_ms": round(held_ms, 1),
        }


def waited(lines: Sequence[str], began: float, ended: float) -> list[float]:
    """The milliseconds of the probe's lines whose question or answer fell between two moments."""
    asked = [(float(at), float(ms)) for at, ms in (line.split() for line in lines)]
    return [ms for at, ms in asked if at + ms / 1000 >= began and at <= ended]


@contextmanager
def serving(program: Path, instance: Path) -> Iterator[Server]:
    """The server of ``program`` with its probe, until the block ends."""
    held = instance / "held"
    held.write_bytes(bytes(8))
    ours = Path(__file__).parent / "support"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
    environment |= {"MIEN_PORT": "0", "MIEN_INSTANCE_DIR": str(instance), "MIEN_WORKERS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(ours / "watched_server.py"), str(held)],
        cwd=program,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        output = []
        for line in process.stdout:
            output.append(line)
            if line.startswith(READY):
                break
        else:
            raise click.ClickException("The server did not start:\n" + "".join(output))
        url = urlsplit(output[-1].removeprefix(READY).strip())
        threading.Thread(target=process.stdout.read, daemon=True).start()
        server = Server(str(url.hostname), int(url.port or 0), held, [])
        probe = subprocess.Popen(
            [sys.executable, str(ours / "probe.py"), server.host, str(server.port)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert probe.stdout is not None
            threading.Thread(target=server.lines.extend, args=(probe.stdout,), daemon=True).start()
            yield server
        finally:
            probe.kill()
            probe.wait()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def log_in_storm(server: Server) -> int:
    """Wrong passwords from many addresses at once, as forms; the last status."""

    def attempt(number: int) -> int:
        source = f"127.0.0.{10 + number % 40}"
        _, page, cookie = server.ask("GET", "/admin/login", source=source)
        found = re.search(rb'name="csrf[_-]token" (?:value|content)="([^"]+)"', page)
        form = {"csrf_token": found[1].decode() if found else "", "name": f"nobody{number}"}
        body = urlencode(form | {"password": "wrong and long enough"}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
        return server.ask("POST", "/admin/login", body, source, **kind)[0]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(attempt, range(LOGINS)))[-1]


def heavy(server: Server, filled: str, job: int) -> dict[str, Callable[[], int]]:
    """The heavy requests, each to be called once; it gives the status."""
    survey = server.made()
    pattern = {"respondent_rule": "pattern", "respondent_pattern": "*a*a*a{respondent}ab"}
    patterned = server.made(**pattern)
    lists = b"[" + b"[]," * 6_500_000 + b"[]]"
    rows = "".join(f"folder/of/people/{n}.jpg;p{n}\n" for n in range(135_000)).encode()
    files, export = f"{SURVEYS}/{survey}/files", f"{SURVEYS}/{filled}/jobs/{job}/export"

    def call(method: str, path: str, body: bytes = b"") -> Callable[[], int]:
        return lambda: server.ask(method, path, body)[0]

    return {
        "nothing": lambda: (time.sleep(2), 0)[1],
        "20 MB of JSON lists": call("POST", SURVEYS, lists),
        "1.9 MB of JSON lists where lists are taken": call(
            "POST", f"{files}/check", lists[:1_899_999] + b"[]]"
        ),
        "4 names for a hostile pattern": call(
            "PUT", f"{SURVEYS}/{patterned}/files?path=names.zip&group=A", named_pictures(4)
        ),
        "ZIP of a million members": call("PUT", f"{files}?path=m.zip&group=A", many_members(10**6)),
        "table of respondents, 5 MB": call(
            "PUT", f"{SURVEYS}/{survey}/respondents", b"file;respondent\n" + rows
        ),
        "log-in storm": lambda: log_in_storm(server),
        "report": call("GET", f"/surveys/{filled}/report"),
        **{
            f"export {form}": call("GET", f"{export}/{form}")
            for form in ("html", "json", "xlsx", "faces.csv", "pictures.csv")
        },
        "deleting it": call("DELETE", f"{SURVEYS}/{filled}"),
    }


@click.command(help=__doc__)
@click.option("--program", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pictures", default=10_000, show_default=True, help="In the survey with a report.")
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
def main(program: Path | None, pictures: int, target: str) -> None:
    program = (program or ROOT).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [sys.executable, "-c", FILL, scratch, str(pictures)],
            cwd=program,
            env={k: v for k, v in os.environ.items() if not k.startswith("MIEN_")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise click.ClickException(f"The survey was not filled:\n{done.stderr[-2000:]}")
        filled, job = json.loads(done.stdout.splitlines()[-1])
        with serving(program, Path(scratch)) as server:
            rows = {}
            for name, call in heavy(server, filled, job).items():
                rows[name] = server.measured(call)
                click.echo(f"{name}: {rows[name]}", err=True)
    load = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    write_report({"pictures": pictures, "load_average": load, "requests": rows}, target)


if __name__ == "__main__":
    main()
