"""One worker process as the web process sees it: start it, talk to it, end it."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from webapp.errors import InferenceUnavailable, MienError, WorkerCrashed, error_from_json
from webapp.inference.protocol import (
    Analyze,
    Channel,
    ConnectionClosed,
    Done,
    Failure,
    Pong,
    ProtocolError,
    Ready,
    Request,
    Result,
    Stop,
)
from webapp.inference.transport import Endpoint
from webapp.sandbox import bare_environment

log = logging.getLogger("mien.inference")

STOP_GRACE_S = 1.0
ABORT_GRACE_S = 0.3
RLIMIT_FLOOR_MB = 1024

Answer = Result | Done | Pong | MienError


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """How workers are started; ``pipeline`` and ``transport`` differ from the default in tests."""

    max_pixels: int
    memory_mb: int
    start_timeout_s: float
    hang_s: float
    pipeline: str
    transport: str | None = None
    log_level: str = "INFO"
    log_format: str = "console"
    sandbox: str = "auto"
    user: str = ""
    background: bool = False
    detector_model: str = ""

    def command(self, endpoint: Endpoint, folder: Path) -> list[str]:
        # the supervisor replaces a worker at memory_mb; this stops one picture that takes far more
        rlimit_mb = max(2 * self.memory_mb, RLIMIT_FLOOR_MB) if self.memory_mb else 0
        return [
            sys.executable,
            *("-m", "webapp.inference.worker"),
            *("--socket", endpoint.argument),
            *("--version-folder", str(folder.absolute())),
            *("--pipeline", self.pipeline),
            *("--max-pixels", str(self.max_pixels)),
            *("--rlimit-mb", str(rlimit_mb)),
            *("--log-level", self.log_level),
            *("--log-format", self.log_format),
            *("--sandbox", self.sandbox),
            *("--user", self.user),
            *(["--background"] if self.background else []),
            *(["--detector-model", self.detector_model] if self.detector_model else []),
        ]


def worker_environment(endpoint: Endpoint) -> dict[str, str]:
    """The worker's environment: :func:`bare_environment` and what it needs to connect."""
    return bare_environment() | endpoint.environment


class Call:
    """A request on its way; ``answer`` is there once ``wait`` returned True."""

    __slots__ = ("_done", "_then", "answer", "number", "sent")

    def __init__(self, number: int, then: Callable[[Answer], None] | None) -> None:
        self.number = number
        self.answer: Answer | None = None
        self.sent = False
        self._then = then
        self._done = threading.Event()

    def resolve(self, answer: Answer) -> None:
        self.answer = answer
        if self._then is not None:
            self._then(answer)
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        return self._done.wait(timeout_s)

    def result(self, timeout_s: float) -> Result | Done | Pong:
        """The answer. Raises the worker's error, or :class:`InferenceUnavailable` when late."""
        if not self.wait(timeout_s):
            raise InferenceUnavailable(f"A worker did not answer within {timeout_s:.1f} s.")
        if isinstance(self.answer, MienError):
            raise self.answer
        assert self.answer is not None  # noqa: S101 - resolve() sets it before the event
        return self.answer


class WorkerProcess:
    """A started worker. ``on_death`` is called once, from the thread that reads its answers.

    ``generation`` says for which active version it was started or to which it was swapped.
    """

    def __init__(
        self, spec: WorkerSpec, folder: Path, generation: int, on_death: Callable[[], None]
    ) -> None:
        self.generation = generation
        self.version = ""
        self.started = time.monotonic()
        self.start_error: MienError | None = None
        self.base_rss_mb = 0.0
        self._on_death = on_death
        self._ids = itertools.count(1)
        self._calls: dict[int, Call] = {}
        self._lock = threading.Lock()
        self._dead = False
        self._ready = threading.Event()
        endpoint = Endpoint(spec.transport)
        try:
            self._popen = subprocess.Popen(
                spec.command(endpoint, folder),
                env=worker_environment(endpoint),
                pass_fds=endpoint.inherited,
                stdin=subprocess.DEVNULL,
                # a native library that prints must not mix into a command's JSON on stdout
                stdout=subprocess.DEVNULL,
            )
            try:
                sock = endpoint.connect(spec.start_timeout_s, lambda: self._popen.poll() is None)
            except OSError:
                self._popen.kill()
                self._popen.wait()
                raise
        finally:
            endpoint.close()
        sock.settimeout(spec.hang_s)
        self._channel = Channel(sock)
        self.pid = self._popen.pid
        self._stats = psutil.Process(self.pid)
        self._reader = threading.Thread(
            target=self._read, name=f"inference-reader-{self.pid}", daemon=True
        )
        self._reader.start()

    @property
    def alive(self) -> bool:
        return not self._dead

    @property
    def ready(self) -> bool:
        """Whether it has loaded its first version and lives."""
        return bool(self.version) and not self._dead

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until it is ready or has ended; True when it is ready."""
        self._ready.wait(timeout_s)
        return self.ready

    def rss_mb(self) -> float:
        """Resident memory in MiB; 0 for a process that has ended."""
        try:
            return float(self._stats.memory_info().rss) / (1 << 20)
        except psutil.Error:
            return 0.0

    def post(
        self,
        make: Callable[[int], Request],
        then: Callable[[Answer], None] | None = None,
    ) -> Call:
        """Send the request that ``make(id)`` gives; ``then`` is called with its answer.

        Raises :class:`ConnectionClosed` when the worker cannot have got the whole request, and
        :class:`ProtocolError` for a request that cannot be sent. A worker that dies later
        answers :class:`WorkerCrashed`.
        """
        call = Call(next(self._ids), then)
        request = make(call.number)
        with self._lock:
            if self._dead:
                raise ConnectionClosed("The worker has ended.")
            self._calls[request.id] = call
        try:
            self._channel.send(request)
        except (ConnectionClosed, ProtocolError, TimeoutError) as error:
            with self._lock:
                self._calls.pop(request.id, None)
            if isinstance(error, TimeoutError):
                self.kill("took no data")
                raise ConnectionClosed("The worker took no data.") from error
            raise
        with self._lock:
            call.sent = True
            lost = self._dead and call.answer is None
        if lost:
            call.resolve(self._crash())
        return call

    def analyze(self, then: Callable[[Answer], None], **request: Any) -> Call:
        """Post an :class:`Analyze`; see :meth:`post`."""
        return self.post(lambda number: Analyze(number, **request), then)

    def stop(self) -> None:
        """End it in order when it is idle; by force after ``STOP_GRACE_S``. Leaves no zombie."""
        with suppress(ConnectionClosed):
            self.post(Stop)
        self._reap(STOP_GRACE_S)

    def kill(self, why: str, *, trace: bool = False) -> None:
        """End it at once; with ``trace`` the log gets a traceback of where it hangs."""
        if self._popen.poll() is None:
            log.warning("ending inference worker %d: it %s", self.pid, why)
            if trace and hasattr(signal, "SIGABRT") and os.name == "posix":
                self._popen.send_signal(signal.SIGABRT)
                self._reap(ABORT_GRACE_S)
                return
        self._reap(0.0)

    def _reap(self, grace_s: float) -> None:
        try:
            self._popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(STOP_GRACE_S * 10)
        self._channel.shut_down()
        if threading.current_thread() is not self._reader:
            self._reader.join(STOP_GRACE_S)

    def exit_text(self) -> str:
        """How it ended, in words."""
        status = self._popen.poll()
        if status is None:
            return "its connection broke"
        if status < 0:
            return f"signal {signal.Signals(-status).name}"
        return f"exit status {status}"

    def _read(self) -> None:
        """The reader thread; it owns the socket."""
        try:
            while True:
                message = self._channel.receive()
                if isinstance(message, Ready):
                    self.base_rss_mb = self.rss_mb()
                    self.version = message.version
                    self._ready.set()
                elif isinstance(message, Result | Done | Pong):
                    self._resolve(message.id, message)
                elif isinstance(message, Failure):
                    error = error_from_json(message.error)
                    if message.id == 0:
                        self.start_error = error
                    self._resolve(message.id, error)
        except ConnectionClosed:
            pass
        except ProtocolError as error:
            log.error("inference worker %d sent no message: %s", self.pid, error)
        finally:
            self._end()

    def _resolve(self, number: int, answer: Answer) -> None:
        with self._lock:
            call = self._calls.pop(number, None)
        if call is not None:
            call.resolve(answer)

    def _end(self) -> None:
        with self._lock:
            self._dead = True
            # a call that is not sent completely raises in post(): it may be tried elsewhere
            lost = [call for call in self._calls.values() if call.sent]
            self._calls = {}
        self._channel.close()
        for call in lost:
            call.resolve(self._crash())
        self._ready.set()
        self._on_death()

    def _crash(self) -> WorkerCrashed:
        """``killed``: somebody else ended it and not the picture, which may be tried again."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(ABORT_GRACE_S)
        killed = self._popen.poll() in (-signal.SIGTERM, -getattr(signal, "SIGKILL", 9))
        return WorkerCrashed(
            "The inference worker ended while it held this request. Only this request is lost; "
            "a new worker is being started.",
            **({"killed": True} if killed else {}),
        )
