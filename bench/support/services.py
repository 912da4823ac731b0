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


class PostgresServer:
    """A PostgreSQL cluster of its own; ``database()`` makes an empty database and gives its URL."""

    def __init__(self, folder: Path) -> None:
        self._programs, self._become = _programs(), _user()
        self._folder, self._data = folder, folder / "data"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._become:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-U", "mien", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [*self._become, str(self._programs / program), "-D", str(self._data), *arguments]

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        command = self._command(program, *arguments)
        subprocess.run(command, check=check, cwd=self._folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start it, also after it was stopped, and wait until it takes statements."""
        # not through runuser -c: the signal at the end must reach postgres itself
        command = self._command("postgres", "-p", str(self.port), "-h", "127.0.0.1")
        command += ["-k", str(self._folder), "-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        await_port(self.port, self._process)
        self.await_ready()

    def stop(self, how: str = "immediate") -> None:
        """End it: "immediate" as a crash does, "fast" as a service manager does."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "-m", how, check=False)
            self._process.wait()
            self._process = None

    def retire(self) -> None:
        """Begin to end, and wait for nobody: open connections go on, new ones are refused."""
        self._run("pg_ctl", "stop", "-m", "smart", "-W")

    def _connect(self) -> Any:
        return pg8000.dbapi.connect("mien", "127.0.0.1", "postgres", self.port)

    def await_ready(self) -> None:
        """Wait until it takes statements: it listens before that. Raises pg8000's error."""
        until = time.monotonic() + START_S
        while True:
            try:
                self._connect().close()
            except (pg8000.exceptions.DatabaseError, pg8000.exceptions.InterfaceError):
                if time.monotonic() > until:  # it is starting up
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
    folder = Path(tempfile.mkdtemp(prefix="mien-postgres-"))
    try:
        server = PostgresServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
