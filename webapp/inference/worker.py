"""One inference worker: ``python -m webapp.inference.worker --socket fd:3 --version-folder DIR``.

The only serving process that imports the vision code. It starts clean (exec'd, nothing patched),
gives up network, files and programs (``webapp.sandbox``), serves one connection and ends with it.
The main thread owns the pipeline; a second thread reads messages, so that a ping is answered while
a picture is being read; a version that is about to be swapped in is loaded by a third and handed to
the main thread between two requests.

``--pipeline module:factory`` names what builds a pipeline, called as
``factory(folder, max_pixels=N)``; it is there for tests and benchmarks. The result needs
``version`` and ``analyze`` as :class:`webapp.vision.pipeline.Pipeline` has them; ``warm()`` is
called where there is one.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from webapp.domain import FrameResult, ReadRequest
from webapp.errors import InvalidRequest, MienError, ModelInvalid
from webapp.inference import DEFAULT_PIPELINE, worker_logs
from webapp.inference.codec import pack_result, unpack_box
from webapp.inference.protocol import (
    Abort,
    Analyze,
    Channel,
    Commit,
    ConnectionClosed,
    Done,
    Failure,
    Message,
    Ping,
    Pong,
    Prepare,
    ProtocolError,
    Ready,
    Result,
    Stop,
)
from webapp.inference.transport import connect_back
from webapp.sandbox import AUTO, MODES, confine

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)

STARTING_NICENESS = 10

log = logging.getLogger("mien.worker")


class AnyPipeline(Protocol):
    """What the worker needs of a pipeline."""

    version: str

    def analyze(self, image: bytes, *, request: ReadRequest) -> FrameResult: ...


def import_factory(factory: str) -> Any:
    """What ``module:factory`` names; importing it loads the native libraries."""
    module_name, _, path = factory.partition(":")
    build: Any = importlib.import_module(module_name)
    for part in path.split("."):
        build = getattr(build, part)
    return build


def load_pipeline(
    factory: str, folder: Path, max_pixels: int, detector_model: str = ""
) -> AnyPipeline:
    """Import ``module:factory``, build the pipeline of ``folder`` and warm it.

    Raises :class:`ModelInvalid` for a version that cannot be used, whatever went wrong in it.
    """
    try:
        extra = {"detector_model": detector_model} if detector_model else {}
        pipeline: AnyPipeline = import_factory(factory)(folder, max_pixels=max_pixels, **extra)
        warm = getattr(pipeline, "warm", None)
        if warm is not None:
            warm()
    except MienError:
        raise
    except Exception as error:
        log.exception("version %s cannot be loaded", folder.name)
        raise ModelInvalid(
            f"Model {folder.name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return pipeline


@dataclass
class Staged:
    """A version that is being loaded, or is loaded and waits for its commit."""

    prepare_id: int
    pipeline: AnyPipeline | None = None


class Worker:
    """Serves one connection; see the module."""

    def __init__(
        self, channel: Channel, factory: str, max_pixels: int, detector_model: str = ""
    ) -> None:
        self._channel = channel
        self._factory = factory
        self._max_pixels = max_pixels
        self._detector_model = detector_model
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._staged: Staged | None = None
        self._staging = threading.Lock()
        self._busy = False
        self._answered = 0
        self._version = ""

    def finish(self) -> None:
        """End after the request in hand; safe in a signal handler."""
        self._inbox.put(Stop(0))

    def run(self, folder: Path, ready: Callable[[], None] = lambda: None) -> int:
        """Load ``folder``, serve until stopped and give the process's exit status.

        ``ready`` is called once, when it can serve.
        """
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        try:
            pipeline = load_pipeline(self._factory, folder, self._max_pixels, self._detector_model)
        except MienError as error:
            self._send(Failure(0, error.to_json()))
            return 1
        self._version = pipeline.version
        ready()
        self._send(Ready(os.getpid(), pipeline.version))
        while True:
            message = None  # nothing of the last picture is kept while there is no other
            message = self._inbox.get()
            if isinstance(message, Analyze):
                self._busy = True
                reply = self._analyze(pipeline, message)
                self._busy = False
                self._answered += 1
                self._send(reply)
            elif isinstance(message, Commit):
                pipeline = self._commit(pipeline, message)
            elif isinstance(message, Stop):
                return 0

    def _analyze(self, pipeline: AnyPipeline, request: Analyze) -> Result | Failure:
        started = time.perf_counter()
        try:
            try:
                regions = (
                    None if request.regions is None else [unpack_box(r) for r in request.regions]
                )
            except (TypeError, ValueError) as error:
                raise InvalidRequest(f"regions: {error}") from error
            asked = ReadRequest(
                regions, request.upsample, request.max_faces, request.mirror, request.turn
            )
            result = pipeline.analyze(request.payload, request=asked)
            packed = pack_result(result)
        except MienError as error:
            return Failure(request.id, error.to_json())
        except Exception as error:
            # one picture must not end the worker, and
            # the text of an unforeseen error may quote the picture or a path: it stays in the log
            log.exception("a picture of %d bytes failed", len(request.payload))
            failed = MienError(f"Reading the picture failed ({type(error).__name__}).")
            return Failure(request.id, failed.to_json())
        return Result(request.id, packed, (time.perf_counter() - started) * 1000)

    def _commit(self, pipeline: AnyPipeline, request: Commit) -> AnyPipeline:
        with self._staging:
            staged, self._staged = self._staged, None
        if staged is None or staged.pipeline is None or staged.prepare_id != request.prepared:
            self._send(Failure(request.id, ModelInvalid("No version was prepared.").to_json()))
            return pipeline
        self._version = staged.pipeline.version
        self._send(Done(request.id, self._version))
        return staged.pipeline

    def _read(self) -> None:
        """The reader thread; the process ends with the connection."""
        try:
            while True:
                message = None
                message = self._channel.receive()
                if isinstance(message, Ping):
                    self._send(Pong(message.id, self._version, self._busy, self._answered))
                elif isinstance(message, Prepare):
                    staged = Staged(message.id)
                    with self._staging:
                        self._staged = staged
                    threading.Thread(
                        target=self._prepare, args=(message, staged), name="loader", daemon=True
                    ).start()
                elif isinstance(message, Abort):
                    with self._staging:
                        if self._staged and self._staged.prepare_id == message.prepared:
                            self._staged = None
                    self._send(Done(message.id, self._version))
                else:
                    self._inbox.put(message)
        except ConnectionClosed:
            os._exit(0)
        except ProtocolError as error:
            log.error("the connection is not usable: %s", error)
            os._exit(2)
        except BaseException:
            # without this thread the worker would hang for ever
            log.exception("reading the connection failed")
            os._exit(3)

    def _prepare(self, request: Prepare, staged: Staged) -> None:
        try:
            pipeline = load_pipeline(
                self._factory, Path(request.folder), self._max_pixels, self._detector_model
            )
        except MienError as error:
            self._send(Failure(request.id, error.to_json()))
            return
        # After this the loader thread never touches the pipeline again; the main one owns it.
        staged.pipeline = pipeline
        self._send(Done(request.id, pipeline.version))

    def _send(self, message: Message) -> None:
        try:
            self._channel.send(message)
        except ProtocolError as error:  # for example a result with a NaN in it
            log.error("%s", error)
            failed = MienError("The result could not be sent.")
            self._channel.send(Failure(message.id, failed.to_json()))
        except ConnectionClosed:
            os._exit(0)


def limit_native_threads() -> None:
    """Set native thread pools to one thread; call it before the libraries are imported.

    One worker is one core's work: more threads would only fight with the other workers and the
    web process for the same cores.
    """
    for name in ONE_THREAD:
        os.environ[name] = "1"


def give_way() -> None:
    """Run only when nobody else wants the processor, for answers that nobody waits for."""
    if hasattr(os, "sched_setscheduler"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if hasattr(os, "nice"):
        os.nice(19 - STARTING_NICENESS)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m webapp.inference.worker", description=__doc__)
    parser.add_argument("--socket", required=True, help="fd:NUMBER or tcp:PORT")
    parser.add_argument("--version-folder", required=True, type=Path)
    parser.add_argument("--pipeline", default=DEFAULT_PIPELINE, help="module:factory")
    parser.add_argument("--max-pixels", type=int, default=40_000_000)
    parser.add_argument("--detector-model", default="", help="a YuNet ONNX file")
    parser.add_argument("--rlimit-mb", type=int, default=0, help="private memory; 0: no limit")
    parser.add_argument("--sandbox", choices=MODES, default=AUTO)
    parser.add_argument("--user", default="", help="become this user where we are root")
    parser.add_argument("--background", action="store_true", help="lowest priority")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--log-format", default="console")
    options = parser.parse_args(arguments)
    worker_logs.configure(options.log_level, options.log_format)
    # Ctrl-C in a terminal goes to the whole group; the web process decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_native_threads()
    if options.background and hasattr(os, "nice"):
        os.nice(STARTING_NICENESS)  # the rest follows once it is ready: it must become ready
    channel = Channel(connect_back(options.socket))
    try:
        # our own code is loaded first; models and pictures are untrusted
        with suppress(Exception):  # loading the version says what is wrong
            import_factory(options.pipeline)
        held = confine(options.sandbox, user=options.user, memory_mb=options.rlimit_mb)
    except MienError as error:
        channel.send(Failure(0, error.to_json()))
        return 1
    log.debug("confined: %s", held)
    worker = Worker(channel, options.pipeline, options.max_pixels, options.detector_model)
    # A service manager sends SIGTERM to every process at once: the frame in hand is still answered.
    signal.signal(signal.SIGTERM, lambda *_: worker.finish())
    return worker.run(options.version_folder, give_way if options.background else lambda: None)


if __name__ == "__main__":
    _status = main()
    logging.shutdown()
    # Native threads and the reader may still run: there is nothing left to tidy, so end at once.
    os._exit(_status)
