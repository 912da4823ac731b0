"""Starts the real server as users do, on a free port, and stops it again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from webapp import ROOT

READY = "Mien is ready: "


@dataclass
class RunningServer:
    """A server process; ``url`` ends in a slash, ``output`` grows with what it writes."""

    process: subprocess.Popen[str]
    url: str = ""
    output: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[psutil.Process]:
        """The inference workers that live now."""
        found = []
        try:
            children = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:  # the server itself has ended
            return []
        for child in children:
            try:
                if "webapp.inference.worker" in child.cmdline():
                    found.append(child)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found

    def stop(self, timeout_s: float = 20) -> int:
        """Ask the server to stop as a service manager does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@contextmanager
def running_server(
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 60,
    arguments: Sequence[str] = (),
) -> Iterator[RunningServer]:
    """Run ``python wsgi.py`` with MIEN_* variables of ``environment`` and none from outside.

    ``arguments`` are put behind it.

    Raises :class:`RuntimeError` with the server's output where it does not become ready.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "wsgi.py"), *arguments],
        cwd=ROOT,
        env=inherited | {"MIEN_PORT": "0", "PYTHONUNBUFFERED": "1"} | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = RunningServer(process)
    ready = threading.Event()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            server.output.append(line)
            if line.startswith(READY):
                server.url = line.removeprefix(READY).strip()
                ready.set()
        ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    began = time.monotonic()
    try:
        if not ready.wait(timeout_s) or not server.url:
            raise RuntimeError(
                f"The server was not ready after {time.monotonic() - began:.0f} s:\n"
                + "".join(server.output)
            )
        yield server
    finally:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        if process.stdout is not None:
            process.stdout.close()
