"""Random changes to training pictures, and how strong they are."""

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.faces import draw
from training.data.augment import Augmentation, augment_one, resize_batch
from training.train import main
from webapp.vision.crops import resize

PLAIN = Augmentation()


def test_twice_as_strong() -> None:
    twice = PLAIN.times(2)
    assert twice.rotation == 2 * PLAIN.rotation
    assert twice.mixup == 2 * PLAIN.mixup
    assert twice.noise_chance == pytest.approx(2 * PLAIN.noise_chance)
    assert twice.light == 1.0
    assert PLAIN.times(9).cutout_chance == 1.0
    assert (twice.flip, twice.cutout) == (PLAIN.flip, PLAIN.cutout)
    assert PLAIN.times(1) == PLAIN


def test_stronger_changes_change_more() -> None:
    picture = draw(2, np.random.default_rng(1))

    def change(strength: float) -> float:
        changes = Augmentation(flip=0.0).times(strength)
        made = [augment_one(picture, 48, changes, np.random.default_rng(n)) for n in range(60)]
        return float(np.mean([np.abs(one - picture).mean() for one in made]))

    none, weak, strong = (change(strength) for strength in (0, 0.5, 1.6))
    assert none < 0.5
    assert none < weak < strong


@pytest.mark.parametrize(("recipe", "words"), [("seed", "take a --strength"), ("mien", "range")])
def test_a_strength_that_makes_no_sense(tmp_path, recipe: str, words: str) -> None:
    strength = "-1" if recipe == "mien" else "1"
    outcome = CliRunner().invoke(
        main, ["--data", str(tmp_path), "--out", str(tmp_path / "run"), "--recipe", recipe,
               "--strength", strength],
    )  # fmt: skip
    assert outcome.exit_code == 2
    assert words in outcome.output


@pytest.mark.parametrize("side", [44, 48, 96])
def test_pictures_to_score_are_resized_as_the_app_does(side: int) -> None:
    """A network that takes 96 pixels is not scored on coarse squares of four."""
    edge = np.zeros((1, 48, 48), np.uint8)
    edge[:, :, 24:] = 240
    found = resize_batch(edge, side)
    assert found.shape == (1, side, side)
    assert found.dtype == np.float32
    assert np.array_equal(found[0], resize(edge[0], side, side))
    if side > 48:
        assert len(np.unique(found)) > 2  # what is enlarged is smooth
