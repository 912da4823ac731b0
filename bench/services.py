"""Private Redis and PostgreSQL servers on free ports in temporary folders, for tests and benches.

Each raises :class:`Missing` where its program is not installed, with a reason as tests skip with.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pg8000.dbapi
import pg8000.exceptions

START_S = 60.0


class Missing(Exception):
    """A program that is needed is not installed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until somebody listens. Raises RuntimeError."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and (process is None or process.poll() is None):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"Nobody listens on port {port}.")


class RedisServer:
    """A Redis that keeps nothing on disk: killed, it has forgotten everything."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise Missing("needs redis: redis-server is not installed")
        self.port = free_port()
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1"]
        self._command += ["--save", "", "--appendonly", "no"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir()
        )
        await_port(self.port, self._process)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def private_redis() -> Iterator[RedisServer]:
    """A running Redis. Raises :class:`Missing`."""
    server = RedisServer()
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL; ``database()`` makes an empty database and gives its URL."""

    port: int

    def _connect(self) -> Any:
        return pg8000.dbapi.connect("mien", "127.0.0.1", "postgres", self.port)

    def await_ready(self) -> None:
        """Wait until it takes statements: it listens before that. Raises pg8000's error."""
        until = time.monotonic() + START_S
        while True:
            try:
                self._connect().close()
            except pg8000.exceptions.DatabaseError:  # it is starting up
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"mien_{secrets.token_hex(4)}"
        connection = self._connect()
        try:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
        finally:
            connection.close()
        return f"postgresql://mien@127.0.0.1:{self.port}/{name}"


def _programs() -> Path:
    """The folder of initdb and postgres: on the path, or the newest where Debian puts them."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3])
    )
    if not folders:
        raise Missing("needs postgresql: initdb is not installed")
    return folders[-1].parent


def _user() -> tuple[str, ...]:
    """PostgreSQL refuses root; the command that becomes somebody else, or nothing."""
    if os.geteuid() != 0:
        return ()
    program = shutil.which("runuser")
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        program = None
    if program is None:
        raise Missing("needs postgresql: it refuses root, and there is no user postgres to become")
    return (program, "-u", "postgres", "--")


@contextmanager
def private_postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL with a fresh cluster. Raises :class:`Missing`."""
    programs, become = _programs(), _user()
    folder = Path(tempfile.mkdtemp(prefix="mien-postgres-"))
    try:
        if become:
            shutil.chown(folder, "postgres")
        data, port = folder / "data", free_port()
        command = [*become, str(programs / "initdb"), "-D", str(data), "-U", "mien"]
        command += ["-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        # not through runuser -c: the signal at the end must reach postgres itself
        command = [*become, str(programs / "postgres"), "-D", str(data), "-p", str(port)]
        command += ["-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            await_port(port, process)
            server = PostgresServer(port)
            server.await_ready()
            yield server
        finally:
            stop = [*become, str(programs / "pg_ctl"), "-D", str(data), "stop", "-m", "immediate"]
            subprocess.run(stop, check=False, cwd=folder, stdout=subprocess.DEVNULL)
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
