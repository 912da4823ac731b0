"""``python -m webapp.sandbox``: what a confined process can still do on this machine, tried out.

Prints a table and ends with status 1 where something got through that the filter should stop.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from webapp.sandbox import AUTO, MODES, confine, keep_private


def _thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def _prlimit(pid: int) -> None:
    import resource

    now = resource.prlimit(pid, resource.RLIMIT_CORE)
    resource.prlimit(pid, resource.RLIMIT_CORE, now)


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def attempts(folder: Path, port: int) -> dict[str, Callable[[], object]]:
    """What is tried, by what it is called."""
    return {
        "open a TCP connection": lambda: _connect(port),
        "make a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
        "create a file": lambda: (folder / "new").write_text("x"),
        "append to a file": lambda: (folder / "old").open("a").close(),
        "delete a file": lambda: (folder / "old").unlink(),
        "start a program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "fork": _fork,
        "signal another process": lambda: os.kill(os.getppid(), 0),
        "limit its parent": lambda: _prlimit(os.getppid()),
        "slow its parent": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
        "idle its parent": lambda: os.sched_setscheduler(
            os.getppid(), os.SCHED_IDLE, os.sched_param(0)
        ),
        "take another scheduler": lambda: os.sched_setscheduler(
            0, os.SCHED_BATCH, os.sched_param(0)
        ),
        "slow its group": lambda: os.setpriority(os.PRIO_PGRP, 0, 19),
        "pin its parent": lambda: os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0)),
        "read its parent's environment": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        "open its parent's memory": lambda: Path(f"/proc/{os.getppid()}/mem").open("rb").close(),
        "become root": lambda: os.setuid(0),
        "read a file": lambda: (folder / "old").read_text(),
        "start a thread": _thread,
    }


NEEDED = ("read a file", "start a thread")
# Root stays root without a user to become; nothing else on the list is left to the filter alone.
UNFILTERED = ("become root",)


def try_all(mode: str, user: str, folder: Path, port: int) -> dict[str, str]:
    """Confine this process, try everything, and say for each ``done`` or the error's name."""
    (folder / "old").write_text("x")
    folder.chmod(0o777)
    (folder / "old").chmod(0o666)
    tried = attempts(folder, port)
    held = {"confinement": str(confine(mode, user=user))}
    for name in sorted(tried, key=lambda name: name == "delete a file"):
        try:
            tried[name]()
        except (OSError, RuntimeError) as error:
            held[name] = type(error).__name__
        else:
            held[name] = "done"
    return held


def report(mode: str = AUTO, user: str = "") -> dict[str, str]:
    """The same, done by a child process, so that this one stays free."""
    keep_private()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-m", "webapp.sandbox", "--mode", mode, "--user", user]
        command += ["--child", folder, "--port", str(server.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    held: dict[str, str] = json.loads(done.stdout)
    return held


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m webapp.sandbox", description=__doc__)
    parser.add_argument("--mode", choices=MODES, default=AUTO)
    parser.add_argument("--user", default="", help="become this user where we are root")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child is not None:
        print(json.dumps(try_all(options.mode, options.user, options.child, options.port)))
        return 0
    held = report(options.mode, options.user)
    confinement = held.pop("confinement")
    if options.json:
        print(json.dumps(held, indent=2))
    else:
        print(f"{platform.system()} {platform.release()} {platform.machine()}: {confinement}\n")
        for name, outcome in held.items():
            print(f"{name:30} {outcome}")
    loose = [
        name
        for name, outcome in held.items()
        if (outcome == "done") != (name in NEEDED) and name not in UNFILTERED
    ]
    return 1 if loose else 0


if __name__ == "__main__":
    sys.exit(main())
