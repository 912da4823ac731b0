"""The real server and its workers, killed while people take part in a study."""

from __future__ import annotations

import pytest

from bench.studies import run
from bench.support.server import ROOT

pytestmark = pytest.mark.slow


def test_every_acknowledged_batch_is_there_once_after_two_kills() -> None:
    if not (ROOT / "models" / "ACTIVE").is_file():
        pytest.skip("needs model: there is no models/ACTIVE")
    result = run(participants=4, fps=3, seconds=20, kills=2, workers=1, seed=3)
    assert result["kills"] == 2
    assert result["workers_killed"] >= 1
    assert result["stored"]["batches"] > 0
    assert result["every_batch_once"], result
