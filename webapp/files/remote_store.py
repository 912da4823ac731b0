"""Our side of the helper process that talks to a shared store (S3, or any fsspec URL).

fsspec's network file systems run an asyncio loop of their own, which a monkey-patched web process
cannot; so a helper does it (``webapp.files.remote_store_helper``), as workers do the inference.
Contents go through local files, only names go through the socket. The helper is started when it is
first needed and again after it ended.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from webapp import ROOT
from webapp.errors import StorageUnavailable
from webapp.inference.transport import Endpoint

_log = logging.getLogger(__name__)
START_S = 30.0
ANSWER_S = 600.0
STOP_S = 5.0


class _Call:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: dict[str, Any] = {"error": "OSError", "message": "the helper ended"}


class _Helper:
    """One helper process with its connection."""

    def __init__(self, url: str) -> None:
        endpoint = Endpoint()
        command = [sys.executable, "-m", "webapp.files.remote_store_helper"]
        try:
            self._process = subprocess.Popen(
                [*command, "--socket", endpoint.argument],
                # the URL may hold a secret, so it goes where other users cannot read it
                env=os.environ | endpoint.environment | {"STORE_URL": url},
                cwd=ROOT,
                pass_fds=endpoint.inherited,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            self._socket = endpoint.connect(START_S, lambda: self._process.poll() is None)
        finally:
            endpoint.close()
        self._sending = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._numbers = itertools.count()
        self.alive = True
        threading.Thread(target=self._read, name="store-helper", daemon=True).start()

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        number, call = next(self._numbers), _Call()
        self._calls[number] = call
        line = json.dumps(request | {"id": number}).encode() + b"\n"
        try:
            with self._sending:
                self._socket.sendall(line)
            if not self.alive or not call.done.wait(ANSWER_S):
                call.answer = {"error": "OSError", "message": "the store did not answer"}
        except OSError as error:
            call.answer = {"error": "OSError", "message": str(error)}
        finally:
            self._calls.pop(number, None)
        return call.answer

    def _read(self) -> None:
        pending = b""
        try:
            while block := self._socket.recv(1 << 16):
                *lines, pending = (pending + block).split(b"\n")
                for line in lines:
                    answer = json.loads(line)
                    call = self._calls.get(answer["id"])
                    if call is not None:
                        call.answer = answer
                        call.done.set()
        except OSError as error:
            _log.debug("The connection to the store's helper ended: %s", error)
        finally:
            self.alive = False
            for call in list(self._calls.values()):
                call.done.set()
            self._socket.close()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


class RemoteStore:
    """Files below ``url`` by their key (``a/b/c``). Safe to use from many threads.

    Every method raises :class:`StorageUnavailable` where the store cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._helper: _Helper | None = None

    def close(self) -> None:
        """End the helper; a later call starts it again."""
        with self._lock:
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()

    def exists(self, key: str) -> bool:
        return bool(self._ask("exists", key=key))

    def put(self, source: Path, key: str) -> None:
        """Copy a local file to ``key``; readers see the old content or the new one."""
        self._ask("put", source=str(source.resolve()), key=key)

    def get(self, key: str, target: Path) -> None:
        """Copy ``key`` to a local file. Raises FileNotFoundError."""
        self._ask("get", key=key, target=str(target.resolve()))

    def read_text(self, key: str) -> str:
        """A small text. Raises FileNotFoundError."""
        return str(self._ask("read_text", key=key))

    def write_text(self, key: str, text: str) -> None:
        self._ask("write_text", key=key, text=text)

    def files(self, key: str) -> list[str]:
        """Keys of all files below ``key``, relative to it."""
        return list(self._ask("files", key=key))

    def folders(self, key: str) -> list[str]:
        """Names of what looks like a folder right below ``key``."""
        return list(self._ask("folders", key=key))

    def remove_tree(self, key: str) -> None:
        self._ask("remove_tree", key=key)

    def _ask(self, operation: str, **arguments: str) -> Any:
        try:
            with self._lock:
                if self._helper is None or not self._helper.alive:
                    self._helper = _Helper(self.url)
                helper = self._helper
            answer = helper.call({"do": operation, **arguments})
        except OSError as error:
            raise StorageUnavailable(f"The store's helper cannot be started: {error}") from error
        kind = answer.get("error")
        if kind == "FileNotFoundError":
            raise FileNotFoundError(arguments.get("key"))
        if kind is not None:
            raise StorageUnavailable(f"The shared store cannot be used: {answer.get('message')}")
        return answer.get("value")
