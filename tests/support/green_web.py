"""Serves the application under eventlet, sends it heavy requests and prints what they cost as JSON.

``python -m tests.support.green_web DIR``: for each request its status and the longest time in ms
that the event loop was held, counted in processor time of the loop's own thread: other programs on
the machine do not lengthen it. Patching cannot be undone, so this is a process of its own.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet
eventlet.monkey_patch()

import contextlib  # noqa: E402
import http.client  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

from tests.support.archives import many_members, named_pictures  # noqa: E402
from tests.support.live import FakeInference  # noqa: E402
from webapp.app import create_app  # noqa: E402
from webapp.server.run import serve  # noqa: E402
from webapp.settings import Settings  # noqa: E402
from webapp.survey.service import surveys_of  # noqa: E402

SURVEYS = "/api/v1/surveys"


class Monitor:
    """The longest time between two turns of a greenlet that asks for one all the time."""

    def __init__(self) -> None:
        self.worst_ms = 0.0
        eventlet.spawn(self._watch)

    def _watch(self) -> None:
        while True:
            before = time.thread_time()
            eventlet.sleep(0.001)
            self.worst_ms = max(self.worst_ms, (time.thread_time() - before) * 1000)


def heavy(survey: str, patterned: str) -> dict[str, tuple[str, str, bytes]]:
    lists = b"[" + b"[]," * 6_000_000 + b"[]]"
    rows = "".join(f"Zo\u00eb/{n}.jpg;p{n}\n" for n in range(200_000)).encode("cp1252")
    files = [{"path": f"{'d/' * 40}{n}.jpg", "group": "A", "size": n} for n in range(5000)]
    return {
        "20 MB of lists": ("POST", SURVEYS, lists),
        "2 MB of lists": ("POST", f"{SURVEYS}/{survey}/files/check", lists[:1_900_000] + b"[]]"),
        "5,000 files to check": (
            "POST",
            f"{SURVEYS}/{survey}/files/check",
            json.dumps({"files": files}).encode(),
        ),
        "hostile names": ("PUT", f"{SURVEYS}/{patterned}/files?path=x.zip", named_pictures(40)),
        "a million members": ("PUT", f"{SURVEYS}/{survey}/files?path=m.zip", many_members(10**6)),
        "200 members": ("PUT", f"{SURVEYS}/{survey}/files?path=k.zip", many_members(200)),
        "a table of 4 MB": ("PUT", f"{SURVEYS}/{survey}/respondents", b"file;respondent\n" + rows),
        "a log-in form of 20 MB": ("POST", "/admin/login", b"name=a&password=" + b"x" * 20_000_000),
    }


def main(folder: str) -> dict[str, object]:
    with eventlet.listen(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = create_app(Settings(port=port, instance_dir=folder), FakeInference())
    ready = threading.Event()
    answers: dict[str, object] = {}

    def ask(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        kind = "application/json" if body[:1] in b"{[" else "application/x-www-form-urlencoded"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before the end
            connection.request(method, path, body, {"Content-Type": kind})
        try:
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def client() -> None:
        ready.wait()
        made = {"name": "x", "purpose": "product", "consent": True}
        pattern = {"respondent_rule": "pattern", "respondent_pattern": "*a*a*a{respondent}ab"}
        ids = [
            json.loads(ask("POST", SURVEYS, json.dumps(made | more).encode())[1])["id"]
            for more in ({}, pattern)
        ]
        requests = heavy(*ids)
        monitor = Monitor()
        for name, request in requests.items():
            eventlet.sleep(0.01)
            monitor.worst_ms = 0.0
            status, _ = ask(*request)
            eventlet.sleep(0.01)
            answers[name] = {"status": status, "held_ms": round(monitor.worst_ms, 1)}
        os.kill(os.getpid(), signal.SIGTERM)

    eventlet.spawn(client)
    with contextlib.suppress(SystemExit):  # how eventlet's server ends
        serve(app, port, stop=surveys_of(app).close, ready=lambda _url: ready.set())
    return answers


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # the last line: the server announces itself before
