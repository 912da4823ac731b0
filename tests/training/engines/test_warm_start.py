"""A training that goes on from a published version begins exactly where that one ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")

from training.engines.torch_engine import ConvNorm, MienTorch, predict_logits  # noqa: E402
from training.engines.warm_start import Start, load_into, read_start  # noqa: E402
from training.litert import keras_logits  # noqa: E402
from training.publishing.compact import fold_batch_norms  # noqa: E402
from training.recipes.networks import DEEP, MienSpec, build_mien  # noqa: E402
from training.train import main  # noqa: E402
from webapp.card import ModelCard  # noqa: E402
from webapp.errors import ModelInvalid  # noqa: E402

SPEC = MienSpec(stem=(8, 8), blocks=((8, 1), (16, 2)))
SIDE = 32


@pytest.fixture(scope="module")
def start() -> Start:
    """A folded network whose norms were anything but trivial."""
    generator = np.random.default_rng(3)
    keras.utils.set_random_seed(3)
    model = build_mien(SPEC, side=SIDE)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return Start(Path("version-1"), fold_batch_norms(model), {})


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (96, 48, 48), dtype=np.uint8)


def test_the_copy_answers_like_the_version(start: Start, pictures: np.ndarray) -> None:
    network = MienTorch(SPEC)
    load_into(network, start, pictures, SIDE)
    other = np.random.default_rng(6).uniform(0, 255, (32, SIDE, SIDE)).astype(np.float32)
    expected = keras_logits(start.model, other[..., None])
    for head, logits in predict_logits(network, other).items():
        np.testing.assert_allclose(logits, expected[head], atol=1e-3)


def test_the_norms_know_what_they_are_fed(start: Start, pictures: np.ndarray) -> None:
    """In training a norm uses its batch: that must change little, or the start would be lost."""
    network = MienTorch(SPEC)
    load_into(network, start, pictures, SIDE)
    for module in network.modules():
        if isinstance(module, ConvNorm):
            assert float(module.bn.running_var.max()) <= 1.0 + 1e-4
    network.eval()
    sample = torch.from_numpy(pictures[:, :SIDE, :SIDE].astype(np.float32))[:, None]
    with torch.no_grad():
        settled = network(sample)
        network.train()
        network.drop.eval()
        fresh = network(sample)
    for head in settled:
        change = (settled[head] - fresh[head]).abs().mean() / settled[head].abs().mean()
        assert float(change) < 0.1


def test_another_network_is_refused(start: Start, pictures: np.ndarray) -> None:
    wider = MienTorch(MienSpec(stem=(8, 12), blocks=((8, 1), (16, 2))))
    with pytest.raises(ModelInvalid, match="another network"):
        load_into(wider, start, pictures, SIDE)


DEEPER = MienSpec(stem=(8, 8), blocks=((8, 1), (8, 1), (16, 2), (16, 1)))


def test_a_deeper_network_begins_as_the_version(start: Start, pictures: np.ndarray) -> None:
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        networks.append(MienTorch(DEEPER))
        load_into(networks[-1], start, pictures, SIDE)
    sample = pictures[:, :SIDE, :SIDE].astype(np.float32)
    expected = keras_logits(start.model, sample[..., None])
    for head, logits in predict_logits(networks[0], sample).items():
        np.testing.assert_allclose(logits, expected[head], atol=1e-3)
    # what is put in is the same in every run, so that runs stay near enough to be averaged
    for one, other in zip(*(n.state_dict().values() for n in networks), strict=True):
        assert torch.equal(one, other)
    network = networks[0].train()
    network(torch.from_numpy(sample)[:, None])["ferplus"][:, 0].sum().backward()
    put_in = network.blocks[1]
    assert float(put_in.b.bn.weight.grad.abs().max()) > 0  # and learns from the first step on


@pytest.mark.parametrize(
    "blocks", [((8, 1), (16, 1), (16, 2)), ((8, 1),), ((16, 1), (8, 1), (16, 2))]
)
def test_what_is_no_deeper_form_of_it(blocks: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="with some put in"):
        MienSpec(stem=(8, 8), blocks=blocks).grown_from(SPEC)


def test_where_blocks_were_put_in() -> None:
    assert DEEPER.grown_from(SPEC) == (0, None, 1, None)
    assert SPEC.grown_from(SPEC) == (0, 1)
    assert DEEP.grown_from(MienSpec()) == (0, 1, 2, None, 3, 4, None, 5, None)


@pytest.mark.parametrize(("fingerprint", "seed"), [("other", 1), ("same", 2)])
def test_a_version_of_another_split_is_refused(tmp_path: Path, fingerprint: str, seed: int) -> None:
    data = {"training": {"fingerprint": "same", "split_seed": 1}}
    ModelCard("v1", "mien", "2026-01-01", data=data).save(tmp_path)
    with pytest.raises(ModelInvalid, match="held back for validation"):
        read_start(tmp_path, fingerprint, seed)


def test_recipe_and_version_go_together(tmp_path: Path) -> None:
    base = ["--data", str(tmp_path), "--out", str(tmp_path / "run")]
    alone = CliRunner().invoke(main, [*base, "--recipe", "mien-tune"])
    other = CliRunner().invoke(main, [*base, "--recipe", "mien", "--start-from", str(tmp_path)])
    for outcome in (alone, other):
        assert outcome.exit_code == 2
        assert "goes together" in outcome.output
