"""The real live session without a network: frames in, answers out, at the frames' own times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webapp.domain import SCAN, FrameResult, ReadRequest
from webapp.live.session import LiveSession
from webapp.models.registry import Registry
from webapp.monitoring.metrics import Metrics
from webapp.settings import Settings
from webapp.vision.pipeline import Pipeline
from webapp.web.services import Services

SIZE = (640, 480)


@dataclass
class InProcess:
    """Inference in this process, with everything it answered kept for :class:`Recorded`."""

    pipeline: Pipeline
    answers: list[FrameResult] = field(default_factory=list)

    @property
    def version(self) -> str:
        return self.pipeline.version

    def analyze(self, image: bytes, *, request: ReadRequest = SCAN, **_options: Any) -> FrameResult:
        result = self.pipeline.analyze(image, request=request)
        self.answers.append(result)
        return result

    def reload(self, version_folder: Path) -> None:
        raise NotImplementedError

    def status(self) -> Sequence[Any]:
        return ()


class Recorded(InProcess):
    """Gives recorded answers again: the same detections under other settings, at no cost."""

    def __init__(self, pipeline: Pipeline, answers: Sequence[FrameResult]) -> None:
        super().__init__(pipeline)
        self._given: Iterator[FrameResult] = iter(answers)

    def analyze(self, image: bytes, **_options: Any) -> FrameResult:
        return next(self._given)


def play(
    inference: InProcess,
    models: Path,
    frames: Iterable[tuple[float, bytes]],
    prepare: Callable[[LiveSession], None] = lambda _session: None,
) -> Iterator[tuple[float, FrameResult]]:
    """``(seconds, answer)`` of every frame through a session of its own."""
    now = [0.0]
    services = Services(
        Settings(models_dir=models, live_max_fps=1000),
        inference,
        Registry(models),
        Metrics(lambda: ()),
    )
    session = LiveSession(services, "bench", lambda: now[0])
    prepare(session)
    for seq, (t_s, jpeg) in enumerate(frames, 1):
        now[0] = t_s
        meta = {"seq": seq, "captured_ms": t_s * 1000, "width": SIZE[0], "height": SIZE[1]}
        yield t_s, session.analyze((meta, jpeg))
