"""Stand-ins for the inference service, with answers that follow from the picture's bytes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from webapp.domain import EMOTIONS, Box, EmotionScores, Face, FrameResult, Quality
from webapp.errors import CorruptImage
from webapp.survey.catalog import Catalog, find_survey

JPEG = b"\xff\xd8\xff\xe0"


def picture(content: str) -> bytes:
    """Bytes that look like a JPEG by their head; the double reads ``content``."""
    return JPEG + b"0" * 40 + b"|" + content.encode()


def scores(emotion: str, top: float = 0.7) -> EmotionScores:
    rest = (1 - top) / 6
    return EmotionScores(tuple(top if name == emotion else rest for name in EMOTIONS))


def face(emotion: str, top: float = 0.7, ok: bool = True, side: float = 100.0) -> Face:
    given = scores(emotion, top)
    quality = Quality(ok, None if ok else "too dark")
    return Face(Box(10, 10, 10 + side, 10 + side), 1.5, given, given, emotion, quality)


class FakeInference:
    """Answers ``happy:3`` as a happy face, ``none``, ``two``, ``dark``, ``bad`` as their names say.

    ``before`` is called with the content ahead of each answer; ``asked`` counts contents.
    """

    def __init__(
        self, version: str = "test-1", before: Callable[[str], None] = lambda _content: None
    ) -> None:
        self.version = version
        self.before = before
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def analyze(self, image: bytes, **_options: Any) -> FrameResult:
        content = image.rpartition(b"|")[2].decode(errors="replace")
        with self._lock:
            self.asked[content] += 1
        self.before(content)
        word = content.split(":")[0]
        if word == "bad":
            raise CorruptImage("The JPEG is damaged.")
        faces: tuple[Face, ...]
        if word == "none":
            faces = ()
        elif word == "two":
            faces = (face("happy", side=50), face("sad", side=120))
        elif word == "dark":
            faces = (face("happy", ok=False),)
        else:
            faces = (face(word),)
        return FrameResult(640, 480, self.version, faces, {"total": 12.0})

    def reload(self, version_folder: object) -> None:
        raise NotImplementedError

    def status(self) -> list[Any]:
        return []


def keep_pictures(catalog: Catalog, survey_id: str, until: datetime) -> None:
    """As if the survey had been made so."""
    with catalog.store.session() as session:
        find_survey(session, survey_id).keep_until = until
