"""The resting face: measured in good moments only, for one track, and gone with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live.test_session import LEFT, RIGHT, Driver
from tests.support.live import face, scores
from webapp.domain import EmotionScores, Quality
from webapp.live.baseline import MEASURE_S, PATIENCE_S, adjusted, offsets

SAD_AT_REST = {"sad": 0.6, "neutral": 0.35, "angry": 0.05}


def resting(driver: Driver) -> None:
    driver.inference.faces = lambda _image: [face(LEFT, **SAD_AT_REST)]


def run(driver: Driver, seconds: float) -> None:
    for _ in range(round(seconds * 15)):
        driver.send()


def measured() -> Driver:
    driver = Driver()
    resting(driver)
    driver.session.baseline.start()
    run(driver, MEASURE_S + 1)
    return driver


def test_a_resting_face_that_looks_sad_becomes_neutral_and_both_are_given() -> None:
    driver = measured()
    assert driver.session.baseline.to_json()["state"] == "active"
    read = driver.send().faces[0]
    assert read.label == "neutral"
    assert read.raw == scores(**SAD_AT_REST)
    assert read.unadjusted is not None and read.unadjusted.top[0] == "sad"
    assert read.to_json()["unadjusted"]["sad"] == pytest.approx(0.6, abs=0.01)


def test_a_strong_expression_still_shows() -> None:
    driver = measured()
    driver.inference.faces = lambda _image: [face(LEFT, sad=0.97)]
    run(driver, 2)
    assert driver.send().faces[0].label == "sad"


def test_a_face_that_changes_is_no_resting_face() -> None:
    driver = Driver()
    resting(driver)
    driver.session.baseline.start()
    run(driver, MEASURE_S / 2)
    driver.inference.faces = lambda _image: [face(LEFT, happy=0.9)]
    run(driver, 1.5)
    resting(driver)
    run(driver, MEASURE_S / 2)
    said = driver.session.baseline.to_json()
    assert (said["state"], said["trouble"]) == ("failed", "changing")


def test_progress_stands_still_while_something_is_wrong_and_gives_up_in_the_end() -> None:
    driver = Driver()
    resting(driver)
    driver.session.baseline.start()
    run(driver, 4)
    before = driver.session.baseline.to_json()
    assert before["state"] == "measuring" and 0.3 < before["progress"] < 0.45
    driver.show(LEFT, RIGHT)
    run(driver, 2)
    assert driver.session.baseline.to_json()["trouble"] == "several_faces"
    dark = replace(face(LEFT, happy=0.9), quality=Quality(False, "More light."))
    driver.inference.faces = lambda _image: [dark]
    run(driver, 2)
    assert driver.session.baseline.to_json()["trouble"] == "hard_to_read"
    driver.show()
    run(driver, 1)
    after = driver.session.baseline.to_json()
    assert after["trouble"] == "no_face"
    assert after["progress"] < 0.55
    run(driver, PATIENCE_S)
    ended = driver.session.baseline.to_json()
    assert (ended["state"], ended["trouble"]) == ("failed", "no_face")


def test_it_can_be_cancelled_and_reset() -> None:
    driver = Driver()
    driver.session.baseline.start()
    run(driver, 3)
    driver.session.baseline.reset()
    assert driver.session.baseline.to_json()["state"] == "none"
    driver = measured()
    driver.session.baseline.reset()
    assert driver.send().faces[0].unadjusted is None


def test_another_face_does_not_get_it_and_it_ends_with_its_track() -> None:
    driver = measured()
    driver.inference.faces = lambda _image: [
        face(LEFT, **SAD_AT_REST),
        face(RIGHT, **SAD_AT_REST),
    ]
    run(driver, 1)
    own, other = driver.send().faces
    assert own.unadjusted is not None and other.unadjusted is None
    driver.show()
    run(driver, 3)
    assert driver.session.baseline.to_json()["trouble"] == "left"
    resting(driver)
    assert driver.send().faces[0].unadjusted is None


def test_another_model_needs_another_baseline() -> None:
    driver = measured()
    driver.inference.version = "fake-2"
    assert driver.send().faces[0].unadjusted is None


def test_without_smoothing_the_frame_alone_is_adjusted() -> None:
    driver = measured()
    driver.session.options = replace(driver.session.options, smoothing=False)
    read = driver.send().faces[0]
    assert (read.label, read.unadjusted) == ("neutral", scores(**SAD_AT_REST))


def test_a_face_that_rests_as_neutral_is_not_changed() -> None:
    logs = [-6.0, -7.0, -6.0, -5.0, -4.0, -6.0, -0.05]
    assert offsets(logs) == (0.0,) * 7


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.lists(st.floats(0, 3), min_size=7))
def test_adjusted_scores_are_probabilities(values: list[float], off: list[float]) -> None:
    total = sum(values) or 1.0
    given_ = EmotionScores(tuple(v / total for v in values)) if sum(values) else scores(happy=1.0)
    assert sum(adjusted(given_, off[:7]).values) == pytest.approx(1, abs=1e-6)
