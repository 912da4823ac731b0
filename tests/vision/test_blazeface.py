from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from webapp.errors import ModelInvalid
from webapp.vision.blazeface import (
    FULL_RANGE,
    SHORT_RANGE,
    BlazeFace,
    Network,
    Pyramid,
    Window,
    blend,
    iou,
)

Pixels = npt.NDArray[np.uint8]


@pytest.mark.parametrize("network", [SHORT_RANGE, FULL_RANGE], ids=["short", "full"])
def test_a_look_finds_the_face_and_its_points(
    network: Network, weights: Path, astronaut_rgb: Pixels
) -> None:
    found = BlazeFace.load(network, weights).look(Pyramid(astronaut_rgb), Window(120, 20, 240), 0.5)
    assert found.shape == (1, 17)
    row = found[0]
    assert iou(row[1:5], np.array([[176, 73, 274, 171]], np.float32))[0] > 0.6
    eyes, mouth = row[5:9].reshape(2, 2), row[11:13]
    assert eyes[0, 0] < eyes[1, 0]
    assert eyes[:, 1].max() < mouth[1]


@pytest.mark.parametrize("network", [SHORT_RANGE, FULL_RANGE], ids=["short", "full"])
@pytest.mark.parametrize(
    "window", [Window(-50, -50, 40), Window(9000, 10, 40), Window(0, 0, 1), Window(511, 511, 3)]
)
def test_a_window_beside_the_picture_shows_nothing(
    network: Network, window: Window, weights: Path, astronaut_rgb: Pixels
) -> None:
    assert len(BlazeFace.load(network, weights).look(Pyramid(astronaut_rgb), window, 0.5)) == 0


def test_there_are_as_many_anchors_as_the_networks_have_outputs() -> None:
    assert SHORT_RANGE.anchors().shape == (896, 2)
    assert FULL_RANGE.anchors().shape == (2304, 2)
    assert SHORT_RANGE.anchors()[0].tolist() == [4, 4]


def test_overlapping_boxes_become_one_mean_box() -> None:
    rows = np.zeros((3, 17), np.float32)
    rows[:, :5] = [(0.5, 0, 0, 10, 10), (0.9, 2, 0, 12, 10), (0.6, 50, 50, 60, 60)]
    blended = blend(rows)
    assert blended[:, 0].tolist() == pytest.approx([0.9, 0.6])
    assert blended[0, 1] == pytest.approx(2 * 0.9 / 1.4)


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="make vendor"):
        BlazeFace.load(SHORT_RANGE, tmp_path)


def test_another_file_is_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ModelInvalid, match="not a LiteRT model"):
        BlazeFace(SHORT_RANGE, b"no model")
    with pytest.raises(ModelInvalid, match="expected an input of 192"):
        BlazeFace(FULL_RANGE, (weights / SHORT_RANGE.file).read_bytes())
