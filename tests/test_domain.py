from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.domain import EMOTIONS, UNCERTAIN, Box, EmotionScores, Face, FrameResult, Quality

SCORES = EmotionScores((0.05, 0.05, 0.1, 0.5, 0.1, 0.1, 0.1))
coordinates = st.floats(-5000, 5000, width=32)
sides = st.floats(1, 3000, width=32)
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), coordinates, coordinates, sides, sides
)


def face(**changes: object) -> Face:
    values: dict[str, object] = {
        "box": Box(10.26, 20, 110, 130),
        "detection": 1.41,
        "scores": SCORES,
        "raw": SCORES,
        "label": "happy",
        "quality": Quality(False, "More light."),
        "track": 3,
    }
    return Face(**(values | changes))  # type: ignore[arg-type]


def test_emotions_are_in_the_agreed_order() -> None:
    assert EMOTIONS == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.mark.parametrize(
    "corners", [(0, 0, 0, 1), (0, 0, 1, 0), (5, 0, 4, 1), (0, 0, math.nan, 1), (0, 0, math.inf, 1)]
)
def test_a_box_without_area_or_with_endless_sides_is_refused(
    corners: tuple[float, float, float, float],
) -> None:
    with pytest.raises(ValueError, match="Expected"):
        Box(*corners)


def test_iou_of_known_boxes() -> None:
    box = Box(0, 0, 10, 10)
    assert box.iou(box) == 1
    assert box.iou(Box(5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert box.iou(Box(10, 0, 20, 10)) == 0  # they touch
    assert box.iou(Box(2, 2, 4, 4)) == pytest.approx(0.04)


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(first: Box, second: Box) -> None:
    assert first.iou(second) == pytest.approx(second.iou(first))
    assert 0 <= first.iou(second) <= 1 + 1e-9


@given(boxes, st.floats(0.25, 4))
def test_scaling_keeps_the_centre(box: Box, factor: float) -> None:
    scaled = box.scaled(factor)
    assert scaled.center == pytest.approx(box.center, abs=1e-6)
    assert scaled.width == pytest.approx(box.width * factor, abs=1e-6)


def test_a_box_travels_as_four_numbers() -> None:
    assert Box(1.26, 2, 3, 4).to_json() == [1.3, 2, 3, 4]
    assert Box.from_json([1, 2, 3, 4]) == Box(1, 2, 3, 4)
    with pytest.raises(ValueError, match="unpack"):
        Box.from_json([1, 2, 3])


@pytest.mark.parametrize(
    "values",
    [
        (1.0,),
        (0.5, 0.5, 0.5, 0, 0, 0, 0),
        (1.5, -0.5, 0, 0, 0, 0, 0),
        (math.nan, 1, 0, 0, 0, 0, 0),
        (0.9, 0, 0, 0, 0, 0, 0),
    ],
)
def test_scores_that_are_no_probabilities_are_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="Expected"):
        EmotionScores(values)


def test_top_and_valence() -> None:
    assert SCORES.top == ("happy", 0.5)
    assert SCORES.valence == pytest.approx(0.5 - 0.3)
    even = EmotionScores((0.5, 0.5, 0, 0, 0, 0, 0))
    assert even.top == ("angry", 0.5)
    assert even.valence == -1
    assert EmotionScores((0, 0, 0, 0, 0, 0.5, 0.5)).valence == 0


def test_scores_by_name_can_come_in_any_order() -> None:
    payload = dict(reversed(list(SCORES.to_json().items())))
    assert EmotionScores.from_json(payload) == SCORES
    del payload["fear"]
    with pytest.raises(KeyError):
        EmotionScores.from_json(payload)


def test_a_label_must_be_known() -> None:
    assert face(label=UNCERTAIN).label == "uncertain"
    with pytest.raises(ValueError, match="contempt"):
        face(label="contempt")


def test_a_result_survives_json() -> None:
    result = FrameResult(640, 480, "mien-1", (face(), face(track=None)), {"decode": 0.61}, seq=12)
    again = FrameResult.from_json(json.loads(json.dumps(result.to_json())))
    assert again.to_json() == result.to_json()
    assert again.faces[0].quality == Quality(False, "More light.")
    assert again.faces[1].track is None


def test_the_json_of_a_result_has_the_agreed_keys() -> None:
    payload = FrameResult(640, 480, "mien-1", (face(),), {"decode": 0.614}, seq=12).to_json()
    assert set(payload) == {"seq", "frame", "model", "faces", "timings_ms"}
    assert payload["frame"] == {"width": 640, "height": 480}
    assert payload["timings_ms"] == {"decode": 0.61}
    assert set(payload["faces"][0]) == {
        "track",
        "box",
        "detection",
        "label",
        "confidence",
        "scores",
        "raw",
        "valence",
        "quality",
        "roll_degrees",
    }
    assert payload["faces"][0]["confidence"] == 0.5
    assert list(payload["faces"][0]["scores"]) == list(EMOTIONS)


def test_a_frame_without_size_is_refused() -> None:
    with pytest.raises(ValueError, match="0x480"):
        FrameResult(0, 480, "mien-1", (), {})
