"""The helper process of :class:`webapp.files.remote_store.RemoteStore`; never monkey-patched.

``STORE_URL`` names the store, for example ``s3://bucket/prefix`` or ``file:///mnt/share``. Requests
are JSON lines with an ``id``, answered in any order. It ends when its parent closes the socket.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fsspec

from webapp.inference.transport import connect_back

THREADS = 8


class Store:
    """The operations on one fsspec file system below one root."""

    def __init__(self, url: str) -> None:
        # listings must be fresh: other nodes write too
        options = {"use_listings_cache": False} if url.split(":")[0] == "s3" else {}
        self._fs, root = fsspec.core.url_to_fs(url, **options)
        self._root = root.rstrip("/")
        self._local = "file" in _protocols(self._fs)

    def _path(self, key: str) -> str:
        parts = key.split("/")
        if not key or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"Expected a key such as a/b/c. Received {key!r}.")
        return f"{self._root}/{key}"

    def exists(self, key: str) -> bool:
        return bool(self._fs.exists(self._path(key)))

    def put(self, source: str, key: str) -> None:
        path = self._path(key)
        if not self._local:  # object stores replace an object at once
            self._fs.put_file(source, path)
            return
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        staged = f"{path}.{os.getpid()}-{threading.get_ident()}.part"
        self._fs.put_file(source, staged)
        os.replace(staged, path)  # noqa: PTH105 - fsspec's local paths are strings

    def get(self, key: str, target: str) -> None:
        self._fs.get_file(self._path(key), target)

    def read_text(self, key: str) -> str:
        content: bytes = self._fs.cat_file(self._path(key))
        return content.decode("utf-8")

    def write_text(self, key: str, text: str) -> None:
        path = self._path(key)
        if self._local:
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, text.encode())

    def files(self, key: str) -> list[str]:
        path = self._path(key)
        return sorted(found.split(f"{path}/", 1)[1] for found in self._fs.find(path))

    def folders(self, key: str) -> list[str]:
        try:
            entries = self._fs.ls(self._path(key), detail=True)
        except FileNotFoundError:
            return []
        return [e["name"].rstrip("/").rpartition("/")[2] for e in entries if e["type"] != "file"]

    def remove_tree(self, key: str) -> None:
        path = self._path(key)
        try:
            self._fs.rm(path, recursive=True)
        except FileNotFoundError:
            return

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """``{"id", "value"}``, or ``{"id", "error", "message"}`` with the exception's name."""
        number, operation = request.pop("id"), request.pop("do")
        try:
            return {"id": number, "value": getattr(self, operation)(**request)}
        except FileNotFoundError as error:
            return {"id": number, "error": "FileNotFoundError", "message": str(error)}
        except Exception as error:  # noqa: BLE001 - every failure is the caller's to judge
            return {"id": number, "error": type(error).__name__, "message": str(error)}


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def serve(sock: socket.socket, store: Store) -> None:
    """Answer requests until the peer closes."""
    sending = threading.Lock()

    def work(request: dict[str, Any]) -> None:
        line = json.dumps(store.answer(request)).encode() + b"\n"
        with sending:
            sock.sendall(line)

    with ThreadPoolExecutor(THREADS) as pool:
        for line in sock.makefile("rb"):
            pool.submit(work, json.loads(line))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    sock = connect_back(parser.parse_args().socket)
    serve(sock, Store(os.environ["STORE_URL"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
