"""A worker whose answers nobody waits for gives way to everybody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.scripted_pipeline import FACTORY
from webapp.inference.client import InferenceService
from webapp.settings import Settings


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="needs posix: priorities of processes")
def test_a_background_worker_has_the_lowest_priority(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    service = InferenceService(Settings(workers=1), folder, pipeline=FACTORY, background=True)
    service.start()
    try:
        assert service.analyze(b"read").model == "first"
        pid = service.status()[0].pid
        assert pid is not None
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        if hasattr(os, "sched_getscheduler"):
            assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    finally:
        service.stop()


def test_live_results_are_told_and_batch_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    service = InferenceService(Settings(workers=1), folder, pipeline=FACTORY)
    service.start()
    try:
        told = []
        service.on_live = lambda image, _request, result: told.append((image, result.model))
        service.analyze(b"read")
        service.analyze(b"read", priority="batch")
        assert told == [(b"read", "first")]
        share = service.outcomes.share("first", 0)
        assert (share.answered, share.failed) == (2, 0)
        with pytest.raises(Exception, match="ZeroDivisionError"):
            service.analyze(b"bug")
        with pytest.raises(Exception, match="damaged on purpose"):
            service.analyze(b"corrupt")  # the picture's fault, not the version's
        assert service.outcomes.share("first", 0).failed == 1
    finally:
        service.stop()
