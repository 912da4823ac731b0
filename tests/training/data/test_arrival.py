"""Training pictures as a detector's box shows them, and weights for rare emotions."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.faces import draw
from training.data.arrival import Arrival, arrive
from training.data.augment import Augmentation, augment_one
from training.engines.batches import balance
from training.recipes.recipes import MIEN_RECIPES

NOTHING = Arrival(small=0, blur=0, dark=0, jpeg=0)
FACE = draw(3, np.random.default_rng(1))


def _arrived(arrival: Arrival, seed: int = 0) -> np.ndarray:
    return arrive(FACE.astype(np.float32), arrival, np.random.default_rng(seed))


def test_nothing_happens_without_a_chance() -> None:
    np.testing.assert_array_equal(_arrived(NOTHING), FACE)


@pytest.mark.parametrize("kind", ["small", "blur", "dark", "jpeg"])
def test_each_change_keeps_form_and_range(kind: str) -> None:
    changed = _arrived(replace(NOTHING, **{kind: 1.0}))
    assert changed.shape == FACE.shape
    assert changed.dtype == np.float32
    assert 0 <= changed.min() <= changed.max() <= 255
    np.testing.assert_array_equal(changed, np.rint(changed))  # what a camera and a JPEG can hold
    assert np.abs(changed - FACE).mean() > 0.5


def test_small_and_blurred_faces_lose_detail_and_dark_ones_light() -> None:
    def detail(picture: np.ndarray) -> float:
        return float(np.abs(np.diff(picture.astype(np.float32), axis=1)).mean())

    assert detail(_arrived(replace(NOTHING, small=1.0, smallest_px=14))) < 0.9 * detail(FACE)
    assert detail(_arrived(replace(NOTHING, blur=1.0))) < 0.95 * detail(FACE)
    dark = _arrived(replace(NOTHING, dark=1.0))
    assert dark.mean() < 0.65 * FACE.mean()


def test_the_cut_turns_and_grows_only_for_those_that_arrive() -> None:
    still = Augmentation(
        flip=0, rotation=0, scale=0, stretch=0, shift=0, shear=0, light=0, noise_chance=0,
        blur_chance=0, cutout_chance=0,
    )  # fmt: skip

    def changes(chance: float) -> int:
        strength = replace(still, arrival=replace(NOTHING, chance=chance))
        made = [augment_one(FACE, 48, strength, np.random.default_rng(n)) for n in range(60)]
        return sum(bool(np.abs(picture - FACE).max() > 1) for picture in made)

    assert changes(0.0) == 0
    assert 15 <= changes(0.5) <= 45
    assert changes(1.0) == 60


def test_strength_leaves_the_arrival_alone() -> None:
    strength = MIEN_RECIPES["mien-robust"].augmentation
    assert strength.arrival is not None
    assert strength.times(1.6).arrival == strength.arrival


def test_rare_emotions_count_more() -> None:
    targets = np.eye(7, dtype=np.float32)[[3] * 90 + [1] * 10]
    weight = np.ones(100, np.float32)
    np.testing.assert_allclose(balance(targets, weight, 0.0), 1.0, rtol=1e-6)
    halfway, alike = balance(targets, weight, 0.5), balance(targets, weight, 1.0)
    assert halfway[-1] / halfway[0] == pytest.approx(3, rel=1e-3)
    assert alike[:90].sum() == pytest.approx(alike[90:].sum(), rel=1e-3)
    for found in (halfway, alike):
        assert found.mean() == pytest.approx(1, rel=1e-3)
