"""Runs the inference service monkey-patched by eventlet and prints what happened as JSON.

``python -m tests.support.green_service DIR``: DIR holds the version folders ``first`` and
``second`` and is used for flag files. Patching cannot be undone, so this is a process of its own.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    import eventlet
eventlet.monkey_patch()

import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import psutil  # noqa: E402

from tests.support.scripted_pipeline import FACTORY  # noqa: E402
from webapp.errors import InferenceTimeout, WorkerCrashed  # noqa: E402
from webapp.inference.client import InferenceService  # noqa: E402
from webapp.settings import Settings  # noqa: E402

BEATS = 20


def main(folder: Path) -> dict[str, object]:
    seen: dict[str, object] = {}
    service = InferenceService(
        Settings(
            workers=1,
            worker_sandbox="off",  # the scripted pipeline writes files
            worker_start_timeout_ms=60_000,
            inference_timeout_ms=60_000,
        ),
        folder / "first",
        pipeline=FACTORY,
    )
    service.start()
    flag, begun = folder / "flag", folder / "begun"

    def heart() -> None:
        # The picture is held until this greenlet has run BEATS times after the worker took it:
        # if analyze() blocked the process, it would never end.
        while not begun.exists():
            eventlet.sleep(0.001)
        for _ in range(BEATS):
            eventlet.sleep(0.001)
        flag.touch()

    beating = eventlet.spawn(heart)
    seen["held"] = service.analyze(f"wait {flag} {begun}".encode()).model
    beating.wait()

    many = [eventlet.spawn(service.analyze, b"read " + b"x" * 100_000) for _ in range(50)]
    seen["many"] = sum(len(each.wait().faces) for each in many)

    begun.unlink()
    flag.unlink()
    held = eventlet.spawn(service.analyze, f"wait {flag} {begun}".encode())
    while not begun.exists():
        eventlet.sleep(0.001)
    behind = eventlet.spawn(service.analyze, b"read")
    eventlet.sleep(0)
    pid = service.status()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    try:
        held.wait()
    except WorkerCrashed as error:
        seen["killed"] = error.code
    seen["behind"] = len(behind.wait().faces)

    service.reload(folder / "second")
    seen["reloaded"] = service.analyze(b"read").model

    begun.unlink()
    given_up = eventlet.spawn(service.analyze, f"wait {flag} {begun}".encode(), timeout_ms=100)
    try:
        given_up.wait()
    except InferenceTimeout as error:
        seen["late"] = error.code
    flag.touch()
    seen["after"] = len(service.analyze(b"read").faces)
    service.stop()
    seen["left"] = len(psutil.Process().children())
    return seen


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
