"""Analyses some files of a job: the one function behind every way of running surveys.

The embedded runner gives it all that is pending, a Celery worker a few files at a time. Files are
read and asked for by ``parallel`` threads, outcomes are written in small transactions by the
caller's. Under eventlet the threads are green; nothing here decodes, infers or computes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from webapp.database.survey_tables import Job, Survey
from webapp.errors import CorruptImage
from webapp.files.kinds import VIDEO
from webapp.files.storage import Files
from webapp.survey import ledger
from webapp.survey.analysis.outcomes import (
    Analyzer,
    Judgement,
    Stopped,
    analyze_picture,
    analyze_video,
)
from webapp.survey.analysis.video import sample_in_process
from webapp.survey.catalog import Folders

FLUSH_S = 0.4
FLUSH_FILES = 64

Item = tuple[int, str, str]  # upload id, kind, sha256
Results = list[tuple[int, Judgement]]


@dataclass(slots=True)
class Chunk:
    """One stretch of work on a job; ``service`` answers with the job's model."""

    job: Job
    survey: Survey
    service: Analyzer
    files: Files
    folders: Folders
    parallel: int
    max_video_s: float
    stop: threading.Event = field(default_factory=threading.Event)
    trouble: BaseException | None = None


def work_on(
    chunk: Chunk,
    items: Sequence[Item],
    write: Callable[[Results], None],
    wrote: Callable[[int], str | None],
) -> str:
    """Analyse ``items``; "finished", or what ``wrote`` gave to stop with.

    ``write`` stores a batch of outcomes; ``wrote(count)`` is then called with their number so far,
    also when none came for ``FLUSH_S``. Raises what is no fault of a file, after everything under
    way has ended: :class:`ModelChanged`, a store or database that is away.
    """
    todo: queue.Queue[Item] = queue.Queue()
    for item in items:
        todo.put(item)
    results: queue.Queue[tuple[int, Judgement]] = queue.Queue()
    threads = [
        threading.Thread(target=_feed, args=(chunk, todo, results), daemon=True)
        for _ in range(min(chunk.parallel, len(items)))
    ]
    for thread in threads:
        thread.start()
    try:
        verdict = _collect(chunk, results, len(items), write, wrote)
    finally:
        chunk.stop.set()
        for thread in threads:
            thread.join()
    if chunk.trouble is not None:
        raise chunk.trouble
    return verdict


def _collect(
    chunk: Chunk,
    results: queue.Queue[tuple[int, Judgement]],
    expected: int,
    write: Callable[[Results], None],
    wrote: Callable[[int], str | None],
) -> str:
    written = 0
    while True:
        batch = list(_drain(results, FLUSH_S, min(FLUSH_FILES, expected - written)))
        write(batch)
        written += len(batch)
        verdict = wrote(written)
        if verdict is not None:
            return verdict
        if written >= expected or chunk.stop.is_set():
            return "finished"


def _feed(
    chunk: Chunk, todo: queue.Queue[Item], results: queue.Queue[tuple[int, Judgement]]
) -> None:
    try:
        while not chunk.stop.is_set():
            try:
                upload_id, kind, sha = todo.get_nowait()
            except queue.Empty:
                return
            results.put((upload_id, _judge(chunk, kind, sha)))
    except Stopped:
        return
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that collects
        chunk.trouble = chunk.trouble or error
        chunk.stop.set()


def _judge(chunk: Chunk, kind: str, sha: str) -> Judgement:
    path = chunk.folders.picture(chunk.survey.id, sha)
    model, faces, stopped = chunk.job.model_version, chunk.survey.several_faces, chunk.stop.is_set
    try:
        if kind == VIDEO:
            with chunk.files.local(path) as local:
                frames = sample_in_process(local, chunk.survey.video_fps, chunk.max_video_s)
                return analyze_video(chunk.service, frames, model, faces, stopped)
        return analyze_picture(chunk.service, chunk.files.read(path), model, faces, stopped)
    except CorruptImage as error:
        return Judgement(ledger.UNREADABLE, error.message)
    except FileNotFoundError:
        if chunk.stop.is_set():
            raise Stopped from None
        return Judgement(ledger.UNREADABLE, "the file was deleted before it was analysed")


def _drain(
    results: queue.Queue[tuple[int, Judgement]], seconds: float, most: int
) -> Iterator[tuple[int, Judgement]]:
    """What arrives within ``seconds``, at most ``most``: the size of one transaction."""
    until = time.monotonic() + seconds
    for _ in range(most):
        left = until - time.monotonic()
        try:
            yield results.get(timeout=max(0.0, left))
        except queue.Empty:
            return
