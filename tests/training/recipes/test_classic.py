import numpy as np
import pytest

keras = pytest.importorskip("keras")

from tests.support.faces import make_faces  # noqa: E402
from training.data.dataset import load_folder  # noqa: E402
from training.data.tf_data import Changes, dataset, steps_of  # noqa: E402
from training.recipes.classic import FIT_RECIPES, build_efficientnetb2, build_seed  # noqa: E402
from training.recipes.weights import WeightsError  # noqa: E402


def test_seed_network_is_the_published_definition():
    model = build_seed()
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert [(x.filters, x.kernel_size[0]) for x in convolutions] == [
        (64, 5), (64, 5), (128, 3), (128, 3), (256, 3), (256, 3), (512, 3), (512, 3),
    ]  # fmt: skip
    assert {x.padding for x in convolutions} == {"valid"}
    drops = [x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert drops[:4] == [0.3, 0.3, 0.3, 0.15]
    macs = sum(
        int(np.prod(x.output.shape[1:3])) * int(np.prod(x.kernel.shape)) for x in convolutions
    )
    assert macs / 1e6 == pytest.approx(1525, abs=3)
    scores = model.predict_on_batch(np.zeros((2, 96, 96, 3), np.float32))
    assert scores.shape == (2, 7)
    np.testing.assert_allclose(np.asarray(scores).sum(axis=1), 1, atol=1e-5)


def test_seed_schedule_is_the_published_one():
    recipe = FIT_RECIPES["seed"]
    assert (recipe.epochs, recipe.batch, recipe.validation, recipe.side) == (25, 32, 0.25, 96)
    assert recipe.phases[0].rate == 1e-3


def test_phases_keep_their_shares_with_fewer_epochs():
    recipe = FIT_RECIPES["efficientnetb2"].with_epochs(5)
    assert recipe.epochs == 5
    assert [recipe.phase_of(epoch) for epoch in range(5)] == [0, 0, 1, 1, 1]
    assert recipe.phases[0].frozen
    assert FIT_RECIPES["efficientnetb2"].with_epochs(1).epochs == 1


def test_missing_weights_are_a_clear_error(tmp_path):
    with pytest.raises(WeightsError, match="is not there"):
        build_efficientnetb2(str(tmp_path / "none.h5"))


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return load_folder(make_faces(tmp_path_factory.mktemp("d") / "faces", 5))


def _all(data):
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in data]
    return np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])


def test_pipeline_keeps_order_range_and_labels_without_changes(faces):
    images, targets = _all(dataset(faces, side=96, channels=3))
    assert images.shape == (35, 96, 96, 3)
    assert images.dtype == np.float32
    assert 0 <= images.min() < 100 < images.max() <= 255
    assert (images[..., 0] == images[..., 2]).all()
    assert (targets.argmax(axis=1) == faces.labels).all()
    assert steps_of(faces, 32) == 2


def test_pipeline_changes_follow_from_the_seed(faces):
    def drawn(seed):
        return _all(dataset(faces, side=48, channels=1, changes=Changes(), seed=seed))

    first, again, other = drawn(1), drawn(1), drawn(2)
    np.testing.assert_array_equal(first[1], again[1])
    np.testing.assert_allclose(first[0], again[0], atol=1e-3)
    assert (first[1] != other[1]).any()
    assert sorted(first[1].argmax(axis=1)) == sorted(faces.labels)
