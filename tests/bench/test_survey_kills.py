"""The real server and its real workers, killed together in the middle of a survey."""

from __future__ import annotations

import pytest

from bench.support.server import ROOT
from bench.survey_kills import run

pytestmark = pytest.mark.slow


def test_every_picture_is_counted_once_after_two_kills() -> None:
    if not (ROOT / "models" / "ACTIVE").is_file():
        pytest.skip("needs model: there is no models/ACTIVE")
    result = run(images=60, kills=2, seed=3, workers=1)
    assert len(result["kills"]) == 2
    assert all(kill["workers"] >= 1 for kill in result["kills"])
    assert result["every_picture_counted_once"], result
    assert result["ledger"] == {"used": 60}
