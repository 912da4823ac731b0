from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from webapp.card import CropSpec, InputSpec
from webapp.domain import Box
from webapp.vision.crops import crop_square, crops, cut, cut_upright, resize, to_batch

RAMP = np.tile(np.arange(100, dtype=np.uint8), (80, 1))


def test_square_is_scaled_and_moved_up() -> None:
    square = crop_square(Box(100, 100, 200, 200), CropSpec(scale=1.2, shift_up=0.1))
    assert (square.x1, square.y1, square.x2, square.y2) == pytest.approx((90, 80, 210, 200))


def test_square_takes_the_longer_side() -> None:
    square = crop_square(Box(0, 0, 40, 100), CropSpec(scale=1.0, shift_up=0.0))
    assert (square.width, square.height, *square.center) == pytest.approx((100, 100, 20, 50))


def test_cut_inside_takes_the_pixels_as_they_are() -> None:
    assert np.array_equal(cut(RAMP, Box(10, 20, 30, 40)), RAMP[20:40, 10:30])


@pytest.mark.parametrize(
    ("box", "column", "row"),
    [((-10, 20, 10, 40), 0, 0), ((90, 20, 110, 40), -1, 0), ((40, -10, 60, 10), 0, 0)],
)
def test_cut_outside_repeats_the_border(
    box: tuple[float, float, float, float], column: int, row: int
) -> None:
    marked = RAMP.copy()
    marked[0], marked[-1] = 200, 210
    padded = cv2.copyMakeBorder(marked, 50, 50, 50, 50, cv2.BORDER_REPLICATE)
    x1, y1, x2, y2 = (int(v) + 50 for v in box)
    assert np.array_equal(cut(marked, Box(*box)), padded[y1:y2, x1:x2])


def test_cut_far_outside_and_larger_than_the_frame() -> None:
    assert (cut(RAMP, Box(500, 500, 520, 520)) == 99).all()
    assert cut(RAMP, Box(-200, -200, 300, 300)).shape == (500, 500)


def test_a_square_below_one_pixel_still_has_one() -> None:
    assert cut(RAMP, Box(10, 10, 10.2, 10.2)).shape == (1, 1)


def test_shrinking_averages_and_growing_interpolates() -> None:
    checks = (np.indices((96, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.ptp(resize(checks, 48, 48)) <= 1  # any other method would pick single squares
    steps = np.repeat(np.array([[0, 255]], np.uint8), 2, axis=0)
    assert 0 < resize(steps, 8, 8)[0, 4] < 255


def test_resize_keeps_a_picture_of_the_right_size() -> None:
    assert resize(RAMP, 100, 80) is RAMP


@pytest.mark.parametrize("channels", [1, 3])
def test_batch_is_float_nhwc_in_0_255(channels: int) -> None:
    rng = np.random.default_rng(0)
    faces = [rng.integers(0, 256, (side, side), dtype=np.uint8) for side in (30, 48, 200)]
    batch = to_batch(faces, InputSpec(48, 44, channels))
    assert batch.shape == (3, 48, 44, channels)
    assert batch.dtype == np.float32
    assert batch.min() >= 0 and 128 < batch.max() <= 255
    assert np.array_equal(batch[..., 0], batch[..., -1])


def test_a_ready_made_crop_enters_unchanged() -> None:
    face = np.random.default_rng(1).integers(0, 256, (48, 48), dtype=np.uint8)
    assert np.array_equal(to_batch([face], InputSpec())[0, ..., 0], face)


def test_no_faces_make_an_empty_batch() -> None:
    assert crops(RAMP, [], CropSpec(), InputSpec()).shape == (0, 48, 48, 1)


def test_a_face_put_into_a_frame_comes_out_again() -> None:
    face = cv2.GaussianBlur(
        np.random.default_rng(2).integers(0, 256, (96, 96), dtype=np.uint8), (0, 0), 3
    )
    frame = np.full((300, 400), 90, np.uint8)
    frame[100:196, 150:246] = face
    spec = CropSpec(scale=1.2, shift_up=0.1)
    side = 96 / 1.2
    box = Box(198 - side / 2, 148 + 8 - side / 2, 198 + side / 2, 148 + 8 + side / 2)
    crop = crops(frame, [box], spec, InputSpec())[0, ..., 0]
    assert np.array_equal(crop, resize(np.asarray(face, np.uint8), 48, 48))


@pytest.mark.parametrize("degrees", [-80, -30, 30, 80])
def test_the_crop_of_a_turned_face_is_that_of_the_upright_one(
    astronaut: npt.NDArray[np.uint8], degrees: int
) -> None:
    face, spec = Box(179, 83, 267, 171), CropSpec()
    turn = cv2.getRotationMatrix2D(face.center, degrees, 1)
    turned = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    wanted = resize(cut(astronaut, crop_square(face, spec)), 48, 48)
    received = resize(cut_upright(turned, face, spec, -degrees), 48, 48)
    assert np.corrcoef(wanted.ravel(), received.ravel())[0, 1] > 0.98
