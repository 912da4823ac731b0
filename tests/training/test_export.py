"""A version's network as a file that any Keras program reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

keras = pytest.importorskip("keras")

from training.export import export, main  # noqa: E402
from training.publishing.compact import average_views, fold_batch_norms, save_keras, views_of  # noqa: E402
from training.recipes.networks import MienSpec, build_mien  # noqa: E402
from webapp.errors import ModelInvalid  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",
    "ignore:.*HDF5 file:UserWarning",
)
SPEC = MienSpec(stem=(8, 8), blocks=((8, 1), (16, 2)))


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "v1"
    folder.mkdir()
    network = fold_batch_norms(build_mien(SPEC, side=44))
    save_keras(average_views([network], views_of(1, "both"), 2), folder / "model.keras")
    return folder


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_file_answers_as_one_view_of_the_version(
    version: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"mine{suffix}"
    assert export(version, path) == (44, 44, 1)
    network = keras.saving.load_model(path, compile=False)  # what a Keras user writes
    whole = keras.saving.load_model(version / "model.keras", compile=False)
    face = np.random.default_rng(1).uniform(0, 255, (3, 48, 48, 1)).astype(np.float32)
    small = np.asarray(keras.ops.image.resize(face, (44, 44)))
    mirror = face[:, 2:46, 2:46][:, :, ::-1]
    for head, logits in whole(face).items():
        mean = (np.asarray(network(small)[head]) + np.asarray(network(mirror)[head])) / 2
        np.testing.assert_allclose(mean, np.asarray(logits), atol=1e-4)


def test_what_cannot_be_written(version: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match=r"Expected a file \.h5"):
        export(version, tmp_path / "mine.onnx")
    done = CliRunner().invoke(main, ["none", "--out", str(tmp_path / "a.h5"), "--models-dir",
                                     str(version.parent)])  # fmt: skip
    assert done.exit_code == 1
    assert "none" in done.output
    assert not list(tmp_path.iterdir())
