"""Works on one survey job with real workers, to be killed: ``python -m ... INSTANCE MODEL``.

The workers' pipeline answers every picture with one happy face after a moment.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path

from webapp.database.store import Store
from webapp.domain import Box, EmotionScores, Face, FrameResult, ReadRequest
from webapp.inference.client import InferenceService
from webapp.settings import Settings
from webapp.survey.analysis.runner import JobRunner
from webapp.survey.catalog import Catalog

FACTORY = "tests.support.survey_runner:OneFace"
SCORES = EmotionScores((0.05, 0.05, 0.05, 0.7, 0.05, 0.05, 0.05))


class OneFace:
    """One happy face in every picture, after 5 ms."""

    takes_s = 0.005

    def __init__(self, folder: Path, *, max_pixels: int) -> None:
        self.version = folder.name

    def analyze(self, image: bytes, *, request: ReadRequest) -> FrameResult:
        time.sleep(self.takes_s)
        face = Face(Box(10, 10, 110, 110), 1.0, SCORES, SCORES, "happy")
        return FrameResult(640, 480, self.version, (face,), {"total": 5.0})


class SlowFace(OneFace):
    """The same after 30 ms."""

    takes_s = 0.03


def main(instance: Path, model: Path) -> None:
    settings = Settings(instance_dir=str(instance), workers=2)
    store = Store(f"sqlite:///{instance / 'mien.db'}")
    service = InferenceService(settings, model, pipeline=FACTORY)
    service.start()
    runner = JobRunner(
        Catalog(store, instance), settings, lambda _version: nullcontext(service), lambda _job: None
    )
    runner.run_one()
    service.stop()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
