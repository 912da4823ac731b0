"""Files that Keras 2 wrote. Keras 3 makes them here and their description is put back in time."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.admission.admit import Request, admit
from training.admission.files import recognise
from training.admission.networks import open_network, seven_of
from training.evaluation.keras2 import load_older
from training.evaluation.outputs import check_outputs
from training.evaluation.scoring import kinds_of
from webapp.domain import EMOTIONS
from webapp.errors import InvalidRequest, ModelInvalid
from webapp.models.wanted import check_labels
from webapp.vision.classifier import Classifier

pytest.importorskip("tensorflow")
import h5py
import keras
from keras import layers

# Keras asks NumPy for copies in an older way, when it saves
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PICTURES = np.random.default_rng(0).uniform(0, 255, (4, 48, 48, 1)).astype(np.float32)


def network() -> Any:
    picture = keras.Input((48, 48, 1), name="picture")
    x = layers.SeparableConv2D(4, 3, name="separable")(picture)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.BatchNormalization(axis=3, name="norm")(x)
    x = layers.SpatialDropout2D(0.1, name="drop")(x)
    x = layers.Conv2DTranspose(4, 3, name="transpose")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(picture, layers.Dense(7, activation="softmax", name="scores")(x))


def back_in_time(layer: dict[str, Any]) -> None:
    """What Keras 2.15 writes in addition."""
    config = layer["config"]
    config["dtype"] = "float32"
    if layer["class_name"] in ("SeparableConv2D", "DepthwiseConv2D", "Conv2DTranspose"):
        config["groups"] = 1
    if layer["class_name"] in ("SeparableConv2D", "DepthwiseConv2D"):
        config |= {"kernel_initializer": None, "kernel_regularizer": None}
        config["kernel_constraint"] = None
    if layer["class_name"] == "BatchNormalization":
        config["axis"] = [3]
        for name in ("renorm", "synchronized"):
            config.pop(name, None)
    if layer["class_name"] == "SpatialDropout2D":
        config["noise_shape"] = None
        config["trainable"] = True


def old_file(path: Path, model: Any, change: Any = back_in_time) -> Path:
    named = path.with_suffix(".h5")
    model.save(named)
    named.replace(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            change(layer)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    return path


def answers(model: Any) -> Any:
    return keras.ops.convert_to_numpy(model(PICTURES))


def opened(path: Path, scratch: Path) -> Any:
    scratch.mkdir(exist_ok=True)
    return open_network(recognise(path, scratch, 10**9), None)


def test_leftovers_of_keras_2_change_nothing_and_are_dropped(tmp_path: Path) -> None:
    model = network()
    found = opened(old_file(tmp_path / "m.h5", model), tmp_path / "scratch")
    difference = np.abs(answers(found) - answers(model)).max()
    assert difference < 1e-6


def test_what_would_change_the_network_is_refused_in_one_sentence(tmp_path: Path) -> None:
    def grouped(layer: dict[str, Any]) -> None:
        back_in_time(layer)
        if layer["class_name"] == "Conv2DTranspose":
            layer["config"]["groups"] = 2

    with pytest.raises(ModelInvalid, match=r"save it again as \.keras") as raised:
        opened(old_file(tmp_path / "m.h5", network(), grouped), tmp_path / "scratch")
    assert len(raised.value.message) < 500


def test_a_keras_file_of_keras_2_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ModelInvalid, match=r"saved by Keras 2\.15\.0.*as \.h5"):
        recognise(path, tmp_path / "scratch", 10**9)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "hard_sigmoid", "softplus"])
@pytest.mark.parametrize("nested", [False, True])
def test_outputs_that_are_no_shares_are_refused(activation: str, nested: bool) -> None:
    picture = keras.Input((8, 8, 1))
    x = layers.Dense(7, activation=None)(layers.Flatten()(picture))
    model = keras.Model(picture, layers.Activation(activation)(x))
    if nested:
        outer = keras.Input((8, 8, 1))
        model = keras.Model(outer, layers.Reshape((7,))(model(outer)))
    with pytest.raises(ModelInvalid, match=activation):
        check_outputs(model)


@pytest.mark.parametrize("activation", ["softmax", "linear", "log_softmax"])
def test_logits_and_probabilities_are_taken(activation: str) -> None:
    check_outputs(
        keras.Sequential(
            [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(7, activation=activation)]
        )
    )


def test_an_old_network_that_is_sure_is_served_as_keras_answers_it(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)  # others answer the same for every picture
    picture = keras.Input((48, 48, 1))
    x = layers.SeparableConv2D(8, 3, activation="relu", name="separable")(picture)
    x = layers.Dense(7, name="scores")(layers.GlobalMaxPooling2D(name="pool")(x))
    model = keras.Model(picture, layers.Activation("softmax", name="shares")(x))
    model.set_weights([values * 2 for values in model.get_weights()])
    file = old_file(tmp_path / "incoming", model)
    labels = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    request = Request(file, "old.h5", "old-1", 10**9, labels=labels)
    admit(request, tmp_path, lambda _: None, lambda: None)
    logits = Classifier.from_version(tmp_path / "version").logits(PICTURES)["fer2013"]
    served = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert answers(model).max() > 0.99  # sure: the other probabilities are nearly 0
    assert np.abs(served - answers(model)).max() < 1e-4


def written(model: Any, path: Path, weights: str, description: str) -> Path:
    model.save_weights(path.with_name(weights))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", description)
        archive.write(path.with_name(weights), weights)
    return path


def test_a_description_beside_its_weights_is_a_model(tmp_path: Path) -> None:
    model = network()
    path = written(model, tmp_path / "m.zip", "m.weights.h5", model.to_json())
    assert np.abs(answers(opened(path, tmp_path / "a")) - answers(model)).max() < 1e-6
    # in Keras 2's words and form of weights
    old = old_file(tmp_path / "m.h5", model)
    with h5py.File(old) as file, h5py.File(tmp_path / "w.h5", "w") as weights:
        config = json.loads(file.attrs["model_config"]) | {"keras_version": "2.11.0"}
        for name in file["model_weights"]:
            file.copy(f"model_weights/{name}", weights)
        for name, value in file["model_weights"].attrs.items():
            weights.attrs[name] = value
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fer/fer.json", json.dumps(config))
        archive.write(tmp_path / "w.h5", "fer/fer.h5")
    assert np.abs(answers(opened(path, tmp_path / "b")) - answers(model)).max() < 1e-6


@pytest.mark.parametrize(
    ("member", "words"), [("saved_model.pb", "SavedModel"), ("archive/data.pkl", "PyTorch")]
)
def test_models_of_others_are_refused_with_the_way_out(
    tmp_path: Path, member: str, words: str
) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, b"x")
        archive.writestr("archive/version", b"3")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ModelInvalid, match=words):
        recognise(path, tmp_path / "scratch", 10**9)


EIGHT = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
SIX = ("angry", "fear", "happy", "sad", "surprise", "neutral")


@pytest.mark.parametrize("labels", [EIGHT, SIX])
@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_other_sets_of_emotions_become_our_seven(labels, activation) -> None:
    picture = keras.Input((8, 8, 1))
    last = layers.Dense(len(labels), activation=activation, name="scores")
    model = keras.Model(picture, last(layers.Flatten()(picture)))
    pictures = np.random.default_rng(1).uniform(0, 1, (5, 8, 8, 1)).astype(np.float32)
    given = keras.ops.convert_to_numpy(model(pictures))
    kinds = kinds_of({"scores": given})
    found = seven_of(model, labels, kinds)(pictures)["scores"]
    shares = (
        given if activation == "softmax" else keras.ops.convert_to_numpy(keras.ops.softmax(given))
    )
    ours = np.stack(
        [shares[:, labels.index(e)] if e in labels else np.zeros(5) for e in EMOTIONS], axis=1
    )
    expected = ours / ours.sum(axis=1, keepdims=True)
    assert np.abs(keras.ops.convert_to_numpy(found) - expected).max() < 1e-5


def test_labels_of_other_sets_are_checked() -> None:
    check_labels(EIGHT)
    check_labels(SIX)
    for bad in (EIGHT[:4], (*EIGHT, "happy"), ("joy", *SIX), ("contempt",) * 7):
        with pytest.raises(InvalidRequest):
            check_labels(bad)


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`")
def test_old_forms_of_a_sequence_and_of_a_base_with_a_head_of_its_own(tmp_path: Path) -> None:
    picture = keras.Input((48, 48, 1), name="picture")
    pooled = layers.GlobalMaxPooling2D(name="pool")(layers.Conv2D(8, 3, name="conv")(picture))
    base = keras.Model(picture, pooled, name="base")
    model = keras.Sequential([base, layers.Dense(7, activation="softmax", name="head")])

    def wrapped(layer: dict[str, Any]) -> None:
        if layer["class_name"] == "Functional":  # as Keras 2 names the ends of a model
            config = layer["config"]
            for ends in ("input_layers", "output_layers"):
                config[ends] = [config[ends]]

    path = old_file(tmp_path / "m.h5", model, wrapped)
    assert np.abs(answers(opened(path, tmp_path / "a")) - answers(model)).max() < 1e-6
    model = keras.Sequential(
        [keras.Input((48, 48, 1)), layers.Flatten(), layers.Dense(7, activation="softmax")]
    )
    path = old_file(tmp_path / "s.h5", model, lambda layer: None)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"] = config["config"]["layers"]
        file.attrs["model_config"] = json.dumps(config)
    assert np.abs(answers(opened(path, tmp_path / "b")) - answers(model)).max() < 1e-6
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "1.2.2"
    with pytest.raises(ModelInvalid, match="saved by Keras 1"):
        opened(path, tmp_path / "c")


def test_mixed_precision_is_served_in_float32(tmp_path: Path) -> None:
    def mixed(layer: dict[str, Any]) -> None:
        policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
        layer["config"]["dtype"] = policy | {"module": "keras.mixed_precision"}

    model = network()
    found = opened(old_file(tmp_path / "m.h5", model, mixed), tmp_path / "scratch")
    assert np.abs(answers(found) - answers(model)).max() < 1e-6


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 48, 48), "channels come first"), ((None, None, 1), "Build it for the size")],
)
def test_inputs_that_cannot_be_served_are_refused_with_the_way_out(
    tmp_path: Path, shape: tuple[int | None, ...], words: str
) -> None:
    picture = keras.Input(shape)
    pooled = layers.GlobalMaxPooling2D()(layers.Conv2D(8, 3, padding="same")(picture))
    keras.Model(picture, layers.Dense(7)(pooled)).save(tmp_path / "m.keras")
    with pytest.raises(ModelInvalid, match=words):
        opened(tmp_path / "m.keras", tmp_path / "scratch")


def test_separate_answers_are_refused_before_anybody_is_asked_for_labels(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((48, 48, 1)), layers.Flatten(), layers.Dense(7, activation="sigmoid")]
    )
    model.save(tmp_path / "m.keras")
    (tmp_path / "m.keras").rename(tmp_path / "incoming")
    request = Request(tmp_path / "incoming", "m.keras", "v-1", 10**9)
    with pytest.raises(ModelInvalid, match="sigmoid"):
        admit(request, tmp_path, lambda _: None, lambda: None)


def test_an_old_file_is_evaluated_as_it_is_admitted(tmp_path: Path) -> None:
    model = network()
    path = old_file(tmp_path / "m.h5", model)
    assert np.abs(answers(load_older(path)) - answers(model)).max() < 1e-6


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_is_of_the_training_only(tmp_path: Path, policy: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = network()
    finally:
        keras.config.set_dtype_policy(before)
    path = tmp_path / "incoming"
    half.save(tmp_path / "half.keras")
    (tmp_path / "half.keras").replace(path)
    whole = opened(path, tmp_path)
    assert {layer.compute_dtype for layer in whole._flatten_layers()} == {"float32"}
    assert {weight.dtype for weight in whole.weights} == {"float32"}
    np.testing.assert_allclose(answers(whole), answers(half).astype(np.float32), atol=0.02)
