"""A trained Keras model made ready to serve: norms folded in, half the bytes, mirror averaging.

Folding and rounding change what a model answers by rounding alone, and publishing measures by how
much; averaging makes another model, which is measured as such.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.litert import head_names
from webapp.errors import ModelInvalid


def fold_batch_norms(model: Any) -> Any:
    """A copy of a functional model with batch norms right after a convolution made part of it.

    ``gamma (W x - mean) / sqrt(variance + epsilon) + beta`` is again a convolution with a bias. A
    norm that follows anything else, or a convolution that something else reads too, stays.

    Where each picture is standardised by its own mean, its range is centred first and scaled by a
    power of two, the norm's epsilon with it. That changes nothing but rounding: bright pictures
    then lose no digits when their mean is taken away, and every constant is a float16 number.
    """
    import keras
    from keras import layers

    folds: dict[str, Any] = {}
    for norm in model.layers:
        if not isinstance(norm, layers.BatchNormalization):
            continue
        source = norm.input._keras_history.operation
        # type() and not isinstance: separable kernels are two
        if (
            type(source) in (layers.Conv2D, layers.DepthwiseConv2D)
            and source.activation is keras.activations.linear
            and len(source._outbound_nodes) == 1
        ):
            folds[source.name] = norm
    gone = {norm.name for norm in folds.values()}
    centred: dict[str, dict[str, float]] = {}
    for name, norm in _standardised_inputs(model).items():
        scale, offset, epsilon = _centred(model.get_layer(name).scale, norm.epsilon)
        centred[name] = {"scale": scale, "offset": offset}
        centred[norm.name] = {"epsilon": epsilon}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        config |= centred.get(layer.name, {})
        if layer.name in folds:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in gone else layer(*args, **kwargs)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in folded.layers:
        if not layer.get_weights():
            continue  # input layers get another name in the copy, so they cannot be looked up
        weights = model.get_layer(layer.name).get_weights()
        if layer.name in folds:
            weights = _folded_weights(
                weights, folds[layer.name], depthwise=isinstance(layer, layers.DepthwiseConv2D)
            )
        layer.set_weights(weights)
    return folded


def keras_copy(model: Any) -> Any:
    """A copy of a functional model with weights of its own."""
    import keras

    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    return copied


def _standardised_inputs(model: Any) -> dict[str, Any]:
    """Rescaling layers that only feed a norm over the whole picture, with that norm, by name."""
    from keras import layers

    found = {}
    for layer in model.layers:
        if isinstance(layer, layers.Rescaling) and len(layer._outbound_nodes) == 1:
            norm = layer._outbound_nodes[0].operation
            whole = isinstance(norm, layers.GroupNormalization) and norm.groups == 1
            if whole and np.ndim(layer.scale) == 0:
                found[layer.name] = norm
    return found


def _centred(scale: float, epsilon: float) -> tuple[float, float, float]:
    """``(scale, offset, epsilon)`` that standardise ``[0, 255]`` alike, each a float16 number."""
    power = 2.0 ** round(math.log2(scale))
    return power, -127.5 * power, float(np.float16(epsilon * (power / scale) ** 2))


def _folded_weights(weights: list[Any], norm: Any, *, depthwise: bool) -> list[Any]:
    # the layer's own variables: gamma and beta may be missing
    values = {
        variable.name: np.asarray(array, np.float64)
        for variable, array in zip(norm.variables, norm.get_weights(), strict=True)
    }
    kernel = np.asarray(weights[0], np.float64)
    bias = np.asarray(weights[1], np.float64) if len(weights) > 1 else 0.0
    factor = values.get("gamma", 1.0) / np.sqrt(values["moving_variance"] + norm.epsilon)
    offset = (bias - values["moving_mean"]) * factor + values.get("beta", 0.0)
    # a depthwise kernel is [rows, columns, channels, outputs of a channel]
    by_output = factor.reshape(kernel.shape[2:]) if depthwise else factor
    return [(kernel * by_output).astype(np.float32), offset.astype(np.float32)]


def round_to_half(model: Any) -> None:
    """Round every weight to the nearest float16 number, in place; the type stays float32.

    Raises OverflowError where a weight is too large for float16.
    """
    for layer in model.layers:
        rounded = []
        for array in layer.get_weights():
            if np.issubdtype(np.asarray(array).dtype, np.floating):
                with np.errstate(over="ignore"):
                    half = np.asarray(array).astype(np.float16)
                if not np.isfinite(half).all():
                    raise OverflowError(f"A weight of {layer.name} is too large for float16.")
                array = half.astype(np.float32)
            rounded.append(array)
        if rounded:
            layer.set_weights(rounded)


WHOLE, MIRROR = "whole", "mirror"
View = tuple[int, str]  # which network, and what it looks at


def views_of(networks: int, how: str) -> tuple[View, ...]:
    """What ``networks`` networks look at: ``one`` the whole picture each; ``both`` that and the
    mirror each; ``alternate`` one of the two each, in turn.
    """
    if how == "both":
        return tuple((number, view) for number in range(networks) for view in (WHOLE, MIRROR))
    if how == "alternate":
        return tuple((number, (WHOLE, MIRROR)[number % 2]) for number in range(networks))
    return tuple((number, WHOLE) for number in range(networks))


def average_views(networks: Sequence[Any], views: Sequence[View], margin: int = 0) -> Any:
    """A model that answers the mean of the logits of several looks at one picture.

    ``networks`` take the same input and have the same heads, all of them logits; more than one
    make an ensemble. A view is the index of a network and what it sees: the whole picture or its
    mirror image. With a ``margin`` the new model takes pictures larger by that many pixels on
    every side: the whole picture is then made smaller, and the mirror is that of its middle as it
    is. Two scales tell more than one, at no more cost. One input, the same head names; each view
    costs what its network costs.
    """
    import keras

    names = head_names(networks[0])
    _, height, width, channels = networks[0].input_shape
    for number, network in enumerate(networks, start=1):
        if network.input_shape != networks[0].input_shape or head_names(network) != names:
            raise ModelInvalid(
                "Networks of an ensemble need the same input and the same heads. Expected "
                f"{networks[0].input_shape} and {names}. Received {network.input_shape} and "
                f"{head_names(network)}."
            )
        if len(networks) > 1:
            network.name = f"{network.name.rstrip('_0123456789')}_{number}"
    picture = keras.Input((height + 2 * margin, width + 2 * margin, channels), name="picture")
    seen = {WHOLE: picture, MIRROR: picture}
    if margin:
        # the operation: the layer Resizing would run all that follows as in training
        seen[WHOLE] = keras.ops.image.resize(picture, (height, width))
        seen[MIRROR] = keras.layers.Cropping2D(margin, name="middle")(picture)
    seen[MIRROR] = keras.ops.flip(seen[MIRROR], axis=2)
    answers = [_by_name(names, networks[number](seen[view])) for number, view in views]
    outputs = {
        name: keras.layers.Average(name=name)([answer[name] for answer in answers])
        if len(answers) > 1
        else answers[0][name]
        for name in names
    }
    return keras.Model(picture, outputs, name="_".join([network.name for network in networks]))


def _by_name(names: Sequence[str], outputs: Any) -> dict[str, Any]:
    if isinstance(outputs, Mapping):
        return dict(outputs)
    rows = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    return dict(zip(names, rows, strict=True))


def average_weights(networks: Sequence[Any]) -> Any:
    """A network with the mean of the weights of several: as fast as one of them.

    Makes sense where all of them went on from the same network and stayed near each other (a
    model soup, Wortsman et al. 2022); else the mean is a network that learned nothing. All need
    their norms folded in. Raises :class:`ModelInvalid` for networks that differ in form.
    """
    first = networks[0]
    form = (first.input_shape, head_names(first), [w.shape for w in first.get_weights()])
    for network in networks[1:]:
        shapes = [w.shape for w in network.get_weights()]
        if (network.input_shape, head_names(network), shapes) != form:
            raise ModelInvalid("Weights can be averaged of networks of the same form only.")
    mean = keras_copy(first)
    weights = zip(*(network.get_weights() for network in networks), strict=True)
    mean.set_weights([np.mean(same, axis=0, dtype=np.float64) for same in weights])
    return mean


def one_view(model: Any) -> Any:
    """The network inside mirror averaging, or ``model`` itself where it looks once."""
    import keras

    inner = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return inner[0] if len(inner) == 1 else model


def save_keras(model: Any, path: Path) -> None:
    """Save as ``.keras`` with its members deflated: rounded weights take half the bytes.

    Keras writes them stored, and reads either. Member dates are fixed, so that the same model
    gives the same file.
    """
    plain = path.with_name(f".stored-{path.name}")
    try:
        model.save(plain)
        with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
            for member in source.infolist():
                info = zipfile.ZipInfo(member.filename)
                info.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(info, source.read(member))
    finally:
        plain.unlink(missing_ok=True)
