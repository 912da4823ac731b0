"""Folding, rounding, mirroring and compiling, on a small network with every case in it."""

import cv2
import numpy as np
import pytest

keras = pytest.importorskip("keras")

from training.litert import compare, convert, keras_logits  # noqa: E402
from training.publish import golden_tolerance  # noqa: E402
from training.publishing.compact import (  # noqa: E402
    average_views,
    fold_batch_norms,
    round_to_half,
    save_keras,
    views_of,
)
from training.publishing.compiled import compile_model  # noqa: E402
from training.publishing.golden import golden_inputs  # noqa: E402
from webapp.card import GOLDEN_TOLERANCE, InputSpec  # noqa: E402
from webapp.errors import ModelInvalid  # noqa: E402


def _network(activation=None, *, hard=True):
    """A norm that can be folded; where ``hard``, one after a ReLU and one whose convolution is
    read twice, which cannot.
    """
    layers = keras.layers
    generator = np.random.default_rng(4)
    picture = layers.Input((48, 48, 1))
    x = layers.Rescaling(1 / 255.0)(picture)
    x = layers.GroupNormalization(groups=1, epsilon=1e-3, center=False, scale=False)(x)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="plain")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="folds")(x))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="active")(x)
    if hard:
        x = layers.BatchNormalization(name="after_relu")(x)
        shared = layers.Conv2D(4, 3, padding="same", name="shared")(x)
        x = layers.Add()([shared, layers.BatchNormalization(name="read_twice")(shared)])
    x = layers.GlobalAveragePooling2D()(x)
    outputs = {n: layers.Dense(7, activation, name=n)(x) for n in ("fer2013", "ferplus")}
    model = keras.Model(picture, outputs)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, 4) for _ in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def network():
    return _network()


@pytest.fixture(scope="module")
def faces():
    return golden_inputs(InputSpec())


def _difference(left, right):
    return max(float(np.abs(left[name] - right[name]).max()) for name in left)


def test_folding_changes_nothing_and_removes_only_what_it_may(network, faces):
    folded = fold_batch_norms(network)
    names = {layer.name for layer in folded.layers}
    assert "folds" not in names
    assert {"after_relu", "read_twice"} <= names
    assert _difference(keras_logits(network, faces), keras_logits(folded, faces)) < 1e-4


@pytest.mark.parametrize("multiplier", [1, 2])
def test_norms_after_depthwise_convolutions_are_folded(faces, multiplier):
    layers = keras.layers
    picture = layers.Input((48, 48, 1))
    x = layers.Conv2D(4, 3, strides=2, name="plain")(picture)
    x = layers.DepthwiseConv2D(3, depth_multiplier=multiplier, use_bias=False, name="by_channel")(x)
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization(name="folds")(x))
    model = keras.Model(picture, {"ferplus": layers.Dense(7, name="ferplus")(x)})
    generator = np.random.default_rng(5)
    norm = model.get_layer("folds")
    norm.set_weights([generator.uniform(0.5, 1.5, 4 * multiplier) for _ in norm.get_weights()])
    folded = fold_batch_norms(model)
    assert "folds" not in {layer.name for layer in folded.layers}
    expected = keras_logits(model, faces)
    scale = float(np.abs(expected["ferplus"]).max())
    assert _difference(expected, keras_logits(folded, faces)) < 1e-5 * scale


def test_rounding_gives_float16_numbers_and_refuses_what_is_too_large(network):
    folded = fold_batch_norms(network)
    round_to_half(folded)
    for array in folded.get_weights():
        assert (array == array.astype(np.float16)).all()
    kernel, bias = folded.get_layer("shared").get_weights()
    folded.get_layer("shared").set_weights([kernel * 0 + 1e6, bias])
    with pytest.raises(OverflowError, match="shared"):
        round_to_half(folded)


# Keras saves TensorFlow's variables through numpy in a way that numpy 2 announces as deprecated
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_both_views_are_the_mean_with_the_mirror_and_survives_saving(network, faces, tmp_path):
    averaged = average_views([network], views_of(1, "both"))
    plain, mirror = keras_logits(network, faces), keras_logits(network, faces[:, :, ::-1])
    expected = {name: (plain[name] + mirror[name]) / 2 for name in plain}
    assert _difference(plain, expected) > 1e-3
    save_keras(averaged, tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert _difference(keras_logits(again, faces), expected) < 1e-4


def test_the_mirror_may_be_a_closer_look(network):
    larger = golden_inputs(InputSpec(54, 54, 1))
    whole = np.stack([cv2.resize(x, (48, 48), interpolation=cv2.INTER_LINEAR) for x in larger])
    plain = keras_logits(network, whole[..., None])
    mirror = keras_logits(network, np.ascontiguousarray(larger[:, 3:-3, 3:-3][:, :, ::-1]))
    expected = {name: (plain[name] + mirror[name]) / 2 for name in plain}
    averaged = average_views([network], views_of(1, "both"), margin=3)
    assert _difference(keras_logits(averaged, larger), expected) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("views", "hard"), [("both", False), ("one", True)])
def test_compiled_model_agrees_with_keras(faces, views, hard):
    model = _network(hard=hard)
    compiled = compile_model(model, views=views)
    # LiteRT would round what it makes of a norm that stays, so such a network keeps float32
    assert compiled.half_weights is not hard
    assert compiled.agreement.probabilities <= 1e-5
    assert sorted(head.output for head in compiled.heads) == [0, 1]
    if views == "one":
        before, after = keras_logits(model, faces), keras_logits(compiled.model, faces)
        assert _difference(before, after) < 1e-3


def test_softmax_heads_are_told_from_logits(faces):
    compiled = compile_model(_network("softmax"), weights="full")
    assert {head.kind for head in compiled.heads} == {"probabilities"}
    with pytest.raises(ModelInvalid, match="answer logits"):
        compile_model(_network("softmax"), views="both")


@pytest.mark.slow
def test_litert_of_another_network_is_refused(network, faces):
    compiled = compile_model(network, weights="full")
    other = {name: logits * 1.5 + 0.1 for name, logits in keras_logits(_network(), faces).items()}
    with pytest.raises(ModelInvalid, match="differs from Keras"):
        compare(other, compiled.tflite, faces)


@pytest.mark.slow
def test_int8_weights_are_smaller_and_their_rounding_is_measured():
    keras.utils.set_random_seed(0)  # of 40 such networks two pass the limit of 1e-5 in float16
    layers = keras.layers
    picture = layers.Input((48, 48, 1))
    x = layers.Conv2D(32, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255.0)(picture))
    x = layers.Conv2D(32, 3, strides=2, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(picture, {n: layers.Dense(7, name=n)(x) for n in ("fer2013", "ferplus")})
    half, int8 = compile_model(model, weights="half"), compile_model(model, weights="int8")
    assert len(int8.tflite) < len(half.tflite)
    assert half.int8 is None
    assert int8.agreement.probabilities <= 1e-5, "the float32 form is checked as strictly"
    assert 1e-6 < int8.int8.probabilities < 0.1, "what is published multiplies in int8"
    assert golden_tolerance(half) == GOLDEN_TOLERANCE
    assert golden_tolerance(int8) >= GOLDEN_TOLERANCE


def test_a_full_disk_while_converting_is_an_os_error(network, monkeypatch):
    import tensorflow as tf

    def full(*_, **__):
        raise tf.errors.OutOfRangeError(None, None, "File too large")

    monkeypatch.setattr(type(network), "export", full)
    with pytest.raises(OSError, match="File too large"):
        convert(network)
