"""One file to one outcome: asks the inference workers and judges what may be counted.

A picture that cannot be used is an outcome with its reason. Only trouble that is not the picture's
fault (no worker, another model than the job's) is raised, so that it is tried again and never
counted as "no face".
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from webapp.domain import SCAN, THOROUGH, Face, FrameResult, ReadRequest
from webapp.errors import (
    CorruptImage,
    ImageTooLarge,
    InferenceTimeout,
    InferenceUnavailable,
    InvalidRequest,
    PayloadTooLarge,
    UnsupportedImage,
    WorkerCrashed,
)
from webapp.survey import ledger

ATTEMPTS = 3
WAIT_FOR_WORKERS_S = 0.5
TIMEOUT_MS = 60_000
PICTURE_FAULTS = (
    CorruptImage,
    ImageTooLarge,
    InvalidRequest,
    PayloadTooLarge,
    UnsupportedImage,
)


class Analyzer(Protocol):
    """What a job needs of :class:`webapp.inference.client.InferenceService`."""

    @property
    def version(self) -> str: ...

    def analyze(
        self,
        image: bytes,
        *,
        request: ReadRequest = SCAN,
        priority: Literal["live", "batch"] = "live",
        timeout_ms: int | None = None,
    ) -> FrameResult: ...


class ModelChanged(Exception):
    """The service answered with another model than the job was started with."""


class Stopped(Exception):
    """The job was cancelled, or the server is shutting down; nothing of this file is kept."""


@dataclass(frozen=True, slots=True)
class UsedFace:
    """A face that counts, at ``t_ms`` of a video or 0 in a picture."""

    t_ms: int
    face: Face


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of one file, as it goes into the ledger."""

    category: str
    reason: str | None = None
    faces: tuple[UsedFace, ...] = ()
    faces_found: int = 0
    width: int | None = None
    height: int | None = None
    duration_ms: float | None = None


def judge(result: FrameResult, several_faces: str, t_ms: int = 0) -> Judgement:
    """Decide whether a frame's faces count.

    ``several_faces`` "exclude" sets a picture with more than one readable face aside; "largest"
    takes the one with the largest box.
    """
    found = result.faces

    def outcome(category: str, reason: str | None, faces: tuple[UsedFace, ...] = ()) -> Judgement:
        return Judgement(category, reason, faces, len(found), result.width, result.height)

    if not found:
        return outcome(ledger.NO_FACE, "no face was found")
    readable = [face for face in found if face.quality.ok]
    if not readable:
        return outcome(ledger.LOW_QUALITY, found[0].quality.advice or "low quality")
    if len(found) > 1 and several_faces != "largest":
        return outcome(ledger.SEVERAL_FACES, f"{len(found)} faces were found")
    chosen = max(readable, key=lambda face: face.box.area)
    return outcome(ledger.USED, None, (UsedFace(t_ms, chosen),))


def ask(
    service: Analyzer, image: bytes, model: str, stopped: Callable[[], bool]
) -> FrameResult | str:
    """The result for one picture, or the reason why it can never be read.

    Waits while there is no worker. A picture that kills or stalls its worker ``ATTEMPTS`` times is
    given up. Raises :class:`ModelChanged` and :class:`Stopped`.
    """
    failures = 0
    while True:
        if stopped():
            raise Stopped
        try:
            result = service.analyze(
                image, request=THOROUGH, priority="batch", timeout_ms=TIMEOUT_MS
            )
        except PICTURE_FAULTS as error:
            return error.message
        except InferenceUnavailable:
            time.sleep(WAIT_FOR_WORKERS_S)
            continue
        except (WorkerCrashed, InferenceTimeout) as error:
            failures += 1
            if failures >= ATTEMPTS:
                return f"given up after {ATTEMPTS} attempts: {error.message}"
            continue
        if result.model != model:
            raise ModelChanged(result.model)
        return result


def analyze_picture(
    service: Analyzer, image: bytes, model: str, several_faces: str, stopped: Callable[[], bool]
) -> Judgement:
    """The outcome of one picture."""
    answer = ask(service, image, model, stopped)
    if isinstance(answer, str):
        return Judgement(ledger.UNREADABLE, answer)
    return replace(judge(answer, several_faces), duration_ms=answer.timings_ms.get("total"))


def analyze_video(
    service: Analyzer,
    frames: Iterable[tuple[int, bytes]],
    model: str,
    several_faces: str,
    stopped: Callable[[], bool],
) -> Judgement:
    """The outcome of a video from its sampled frames ``(t_ms, jpeg)``.

    A video is used when at least one of its frames is; otherwise it takes the category that most
    of its frames have. What could be read of a damaged video counts, and the reason says so.
    """
    faces: list[UsedFace] = []
    categories: Counter[str] = Counter()
    reason: str | None = None
    found = 0
    size: tuple[int | None, int | None] = (None, None)
    faults: list[str] = []
    for t_ms, jpeg in _until_fault(frames, faults):
        answer = ask(service, jpeg, model, stopped)
        if isinstance(answer, str):
            categories[ledger.UNREADABLE] += 1
            reason = reason or answer
            continue
        judgement = judge(answer, several_faces, t_ms)
        categories[judgement.category] += 1
        faces.extend(judgement.faces)
        found += judgement.faces_found
        size = (judgement.width, judgement.height)
    if not categories:
        return Judgement(ledger.UNREADABLE, faults[0] if faults else "no frame could be decoded")
    sampled = sum(categories.values())
    if faces:
        note = ". ".join([f"{len(faces)} of {sampled} sampled frames used", *faults])
        return Judgement(ledger.USED, note, tuple(faces), found, *size)
    category = categories.most_common(1)[0][0]
    note = ". ".join([reason or f"all {sampled} sampled frames", *faults])
    return Judgement(category, note, (), found, *size)


def _until_fault(
    frames: Iterable[tuple[int, bytes]], faults: list[str]
) -> Iterator[tuple[int, bytes]]:
    """The frames that could be read; why there are no more goes to ``faults``."""
    try:
        yield from frames
    except CorruptImage as error:
        faults.append(error.message)
