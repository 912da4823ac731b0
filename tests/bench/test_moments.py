"""The simulation behind the figures of peaks: its truth, and what it counts."""

from __future__ import annotations

import numpy as np
import pytest

from bench import moments


def test_the_truth_has_its_peak_where_people_react() -> None:
    rng = np.random.default_rng(1)
    for holds_ms in (0, 5000):
        t_ms, mean = moments.truth_of(6.0, holds_ms, rng, 300)
        top_ms = t_ms[mean.argmax()]
        assert moments.AT_MS - 500 <= top_ms <= moments.AT_MS + holds_ms + 2000
        assert mean.max() > 2 * np.median(mean)


def test_few_studies_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "MANY", 200)
    told = moments.measured(24, 6.0, 0, 3, seed=2)
    assert (told["found"], told["without"]) == (3, 0)
    assert 0 <= told["height"] <= 1
    assert told["width"] > 0
    assert moments.measured(6, 0.0, 0, 1, seed=2)["height"] is None  # nobody reacts
