"""Surveys that are drawn: damaged faces are noticed, and chance is not taken for a difference."""

from __future__ import annotations

import numpy as np

from bench.false_alarms import differs, kappa_covered
from bench.shares import DAMAGES, MIXES, Reader, compressed, one_survey, quality_of

MIX = np.array(MIXES["neutral .70"])


def reader(damaged: bool) -> Reader:
    """Seven clear classes of 20 faces each, ordinary in light and sharpness, or all noisy."""
    labels = np.repeat(np.arange(7), 20)
    probabilities = 0.3 / 7 + 0.7 * np.eye(7)[labels]
    ordinary = np.tile([0.7, 130.0, 0.2, 2.5, 1.4], (140, 1))
    noisy = np.tile([0.7, 130.0, 0.2, 20.0, 1.4], (140, 1))
    counts = np.eye(7) * 20 + 1
    return Reader(
        counts, probabilities, labels, ordinary, (probabilities, noisy) if damaged else None
    )


def test_a_damaged_survey_is_flagged_and_shows_no_correction() -> None:
    rng = np.random.default_rng(1)
    assert not one_survey(reader(False), MIX, 50, 1, rng)["flagged"]
    found = one_survey(reader(True), MIX, 50, 1, rng)
    assert found["flagged"] and not found["shown"]


def test_strong_compression_shows_in_the_quality_that_is_kept() -> None:
    faces = np.random.default_rng(2).integers(60, 200, (3, 48, 48)).astype(np.uint8)
    before, after = quality_of(faces), quality_of(compressed(faces, 10))
    assert (after[:, 4] > before[:, 4]).all()
    assert DAMAGES["none"] is None


def test_people_are_guessed_where_each_has_a_folder() -> None:
    rng = np.random.default_rng(3)
    assert differs(MIX, 20, 6, False, "", rng)[1]
    assert not differs(MIX, 20, 6, True, "happy", rng)[1]


def test_no_kappa_is_said_of_few_people() -> None:
    rng = np.random.default_rng(4)
    assert kappa_covered(4, 10, rng) is None
    assert kappa_covered(20, 2, rng) is not None
