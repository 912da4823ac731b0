"""Server processes for the browser tests: the real one, and the double for error states."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0


class ServerProcess:
    """A server in a process of its own, on one port that stays the same over restarts."""

    def __init__(self, command: list[str], log: Path, environ: dict[str, str]) -> None:
        self._command = command
        self._log = log
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def log_folder(self) -> Path:
        """Where its log lies, and its instance folder where no setting says otherwise."""
        return self._log.parent

    @property
    def models_dir(self) -> Path:
        """The folder of versions that it serves."""
        return Path(self._environ["MIEN_MODELS_DIR"])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it has said where it listens. Raises RuntimeError with its log."""
        with self._log.open("ab") as log:
            offset = self._log.stat().st_size
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environ, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            said = self._log.read_bytes()[offset:].decode(errors="replace")
            if found := re.search(r"http://\S+", said):
                self.url = found.group()
                return
            threading.Event().wait(0.05)
        text = self._log.read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"The server did not start:\n{text[-3000:]}")

    def kill(self) -> None:
        """End it at once, without a goodbye to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def get_json(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return json.load(response)

    def post_json(self, path: str, payload: object) -> Any:
        request = urllib.request.Request(
            self.url + path, json.dumps(payload).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(**settings: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
    return clean | settings


def real_server(models_dir: Path, log: Path, **settings: str) -> ServerProcess:
    """``wsgi.py`` with real workers on the active version of ``models_dir``."""
    environ = _environment(
        MIEN_PORT=str(_free_port()),
        MIEN_MODELS_DIR=str(models_dir),
        MIEN_WORKERS="1",
        **{"MIEN_INSTANCE_DIR": str(log.parent / "instance"), **settings},
    )
    return ServerProcess([sys.executable, "wsgi.py"], log, environ)


def double_server(log: Path) -> ServerProcess:
    """The double of ``tests/support/live_double.py``."""
    command = [sys.executable, "-m", "tests.support.live_double"]
    return ServerProcess([*command, "--port", str(_free_port())], log, _environment())
