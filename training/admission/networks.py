"""A checked file as a Keras network that takes ``[0, 255]`` pictures and answers in our order."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.admission.allowed import LAYERS, OPERATIONS
from training.admission.files import WEIGHTS, Found
from training.evaluation.keras2 import (
    MODELS,
    built,
    combined,
    explain,
    is_older,
    lists_layers,
    load_keras,
    rewritten,
)
from training.litert import head_names
from training.recipes.classic import FIT_RECIPES
from training.recipes.recipes import MIEN_RECIPES, build_network
from webapp.domain import EMOTIONS, FEWEST_EMOTIONS, MOST_OUTPUTS
from webapp.errors import ModelInvalid

MAX_HEADS: Final = 2
MAX_SIDE: Final = 512
WIDTHS: Final = range(FEWEST_EMOTIONS, MOST_OUTPUTS + 1)
# name -> (scale, offset) that bring [0, 255] to what the network was trained on
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "0-255": (1.0, 0.0),
    "0-1": (1 / 255.0, 0.0),
    "-1-1": (1 / 127.5, -1.0),
}


_HALF: Final = ("float16", "bfloat16")
# Of the recipes with two heads, those whose networks differ and are served.
_TWO_HEADS: Final = ("mien", "efficientnet-lite", "efficientnet-lite2")


def recipe_names() -> tuple[str, ...]:
    """The recipes that weights can be given for."""
    return (*_TWO_HEADS, *sorted(FIT_RECIPES))


def _built(recipe: str | None) -> Any:
    if recipe in _TWO_HEADS:
        settings = MIEN_RECIPES[recipe]
        return build_network(settings.network, side=settings.serving_side)
    if recipe in FIT_RECIPES:
        return FIT_RECIPES[recipe].build(None)
    raise ModelInvalid(
        "The file holds weights without a network. Choose the recipe they were trained with "
        f"({', '.join(recipe_names())}), or upload the whole model.",
        check="recipe",
    )


def open_network(found: Found, recipe: str | None) -> Any:
    """The network of a checked file. Raises :class:`ModelInvalid`."""
    import keras

    try:
        if found.kind == "weights":
            model = _built(recipe)
            _load_weights(model, found)
        elif found.kind == "json" and lists_layers(found.path / WEIGHTS):
            whole = combined(found.config or {}, found.path / WEIGHTS, found.path / "whole.h5")
            model = load_keras(whole)
        elif found.kind == "json":
            config = found.config or {}
            older = is_older(config)
            model = built(config) if older else keras.models.model_from_json(json.dumps(config))
            _load_weights(model, found)
        elif found.kind == "h5":
            model = load_keras(rewritten(found.path, found.path.with_name("uploaded.h5")))
        else:
            model = keras.saving.deserialize_keras_object(found.config, safe_mode=True)
            _load_weights(model, found)
    except ModelInvalid as error:
        if isinstance(error.__cause__, (ValueError, TypeError, KeyError)) and found.kind == "h5":
            raise explain(error.__cause__) from error
        raise
    except MemoryError as error:
        raise ModelInvalid(
            "The network needs more memory than the check may use.", check="memory"
        ) from error
    except Exception as error:
        # Keras raises whatever a layer raises for a description that makes no sense
        raise explain(error) from error
    _own_layers_only(model)
    return _functional(_in_float32(model))


def _in_float32(model: Any) -> Any:
    """The network without half precision, which trains faster on a GPU and is not served."""
    import keras

    if all(layer.compute_dtype not in _HALF for layer in model._flatten_layers()):
        return model
    config = _without_half(keras.saving.serialize_keras_object(model))
    config.pop("compile_config", None)  # an optimizer that scales losses belongs to the training
    whole = keras.saving.deserialize_keras_object(config, safe_mode=True)
    whole.set_weights([np.asarray(value, np.float32) for value in model.get_weights()])
    return whole


def _without_half(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy":
            return "float32"
        return {
            key: "float32" if key == "dtype" and item in _HALF else _without_half(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_without_half(item) for item in value]
    return value


def _load_weights(model: Any, found: Found) -> None:
    path = found.path / WEIGHTS
    if found.kind == "weights":
        path = _named(found.path, "uploaded.weights.h5")
    try:
        model.load_weights(path)
    except Exception as error:
        raise ModelInvalid(
            "The weights do not fit the network: "
            f"{' '.join(str(error).split())[:300] or type(error).__name__}",
            check="weights",
        ) from error


def _named(path: Path, name: str) -> Path:
    """The file under a name by which Keras knows its format."""
    named = path.with_name(name)
    try:
        named.hardlink_to(path)  # the file itself stays, for a second check with other labels
    except OSError:
        shutil.copyfile(path, named)
    return named


def _own_layers_only(model: Any) -> None:
    """What was built is what was checked: a second look, at the classes themselves."""
    for layer in model._flatten_layers(include_self=True):
        kind = type(layer)
        known = kind.__name__ in LAYERS | MODELS | OPERATIONS
        if not kind.__module__.startswith("keras.src.") or not (
            known or kind.__module__.startswith(("keras.src.layers.", "keras.src.ops."))
        ):
            raise ModelInvalid(f"{kind.__module__}.{kind.__name__} is not allowed.", check="layers")


def _functional(model: Any) -> Any:
    import keras

    if not model.built or not getattr(model, "inputs", None):
        raise ModelInvalid(
            "The network does not say its input's shape. Give it an Input layer and save it again.",
            check="shapes",
        )
    if len(model.inputs) != 1:
        raise ModelInvalid(
            f"Expected one input, a picture. Received {len(model.inputs)} inputs.", check="shapes"
        )
    shape = tuple(model.inputs[0].shape)
    if (
        len(shape) != 4
        or None in shape[1:]
        or shape[3] not in (1, 3)
        or not 8 <= min(shape[1:3]) <= max(shape[1:3]) <= MAX_SIDE
    ):
        raise ModelInvalid(
            f"Expected an input [n, height, width, 1 or 3] with sides from 8 to {MAX_SIDE}. "
            f"Received {list(shape)}.{_way_out(shape)}",
            check="shapes",
        )
    if isinstance(model, keras.Sequential):
        # one picture, not a list of one: Keras compares what it is called with
        ends = model.outputs[0] if len(model.outputs) == 1 else model.outputs
        model = keras.Model(model.inputs[0], ends, name=model.name)
    names = head_names(model)
    if not 1 <= len(names) <= MAX_HEADS:
        raise ModelInvalid(
            f"Expected one output or two. Received {len(names)}: {', '.join(names)[:200]}.",
            check="shapes",
        )
    shapes = {tuple(output.shape)[1:] for output in _in_order(model.output)}
    others = len(shapes) > 1 and any((width,) in shapes for width in WIDTHS)
    if len(shapes) != 1 or not any(shapes == {(width,)} for width in WIDTHS):
        raise ModelInvalid(
            f"Expected {len(EMOTIONS)} values from each output, one for each of "
            f"{', '.join(EMOTIONS)} ({WIDTHS[0]} to {WIDTHS[-1]} where some are missing or others "
            f"are there). Received {sorted(map(list, shapes))} from {', '.join(names)[:200]}."
            + (" Save a model of the emotions alone: keras.Model(m.input, m.outputs[i])." * others),
            check="outputs",
        )
    for variable in model.variables:
        values = keras.ops.convert_to_numpy(variable)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelInvalid(
                f"The weights {variable.path} are not finite (NaN or infinity).", check="weights"
            )
    return model


def _way_out(shape: Sequence[int | None]) -> str:
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        return " The channels come first in it: build it with data_format='channels_last'."
    if len(shape) == 4 and None in shape[1:3]:
        return " Build it for the size that it was trained with: Input((48, 48, 1)), for example."
    return ""


def width_of(model: Any) -> int:
    """How many values each output has."""
    return int(_in_order(model.output)[0].shape[1])


def seven_of(model: Any, labels: Sequence[str], kinds: Mapping[str, str]) -> Any:
    """The network with seven probabilities in our order, made of outputs with other ``labels``.

    Outputs that are no emotion of ours are left out and the others share what is left; an emotion
    that the network lacks has probability 0. ``kinds`` says of each output whether it is logits.
    """
    import keras
    from keras import layers, ops

    place = np.zeros((len(labels), len(EMOTIONS)), np.float32)
    for theirs, name in enumerate(labels):
        if name in EMOTIONS:
            place[theirs, EMOTIONS.index(name)] = 1.0
    picture = keras.Input(model.input_shape[1:], name="picture")
    given = dict(zip(head_names(model), _in_order(model(picture)), strict=True))
    outputs = {}
    for name, value in given.items():
        shares = layers.Softmax(name=f"{name}_shares")(value) if kinds[name] == "logits" else value
        select = layers.Dense(len(EMOTIONS), use_bias=False, trainable=False, name=f"{name}_ours")
        ours = select(shares)
        select.set_weights([place])
        total = ops.maximum(ops.sum(ours, axis=-1, keepdims=True), 1e-7)
        outputs[name] = layers.Identity(name=name)(ours / total)
    return keras.Model(picture, outputs, name=f"{model.name}_seven")


def _in_order(output: Any) -> list[Any]:
    if isinstance(output, Mapping):
        return list(output.values())
    return list(output) if isinstance(output, (list, tuple)) else [output]


def adapter(labels: Sequence[str], pixels: str) -> Callable[[Any], Any] | None:
    """What turns a network with other labels or another pixel range into one of ours.

    ``labels`` are the names of its outputs in their order, ``pixels`` a key of :data:`RANGES`.
    None where nothing has to change. The order is changed by a product with zeros and ones, which
    is exact. Raises :class:`ModelInvalid`.
    """
    if sorted(labels) != sorted(EMOTIONS):
        raise ModelInvalid(
            f"Expected each of {', '.join(EMOTIONS)} once. Received {', '.join(labels)[:200]}.",
            check="labels",
        )
    if pixels not in RANGES:
        raise ModelInvalid(f"Expected a pixel range of {', '.join(RANGES)}.", check="pixels")
    if tuple(labels) == EMOTIONS and pixels == "0-255":
        return None

    def adapt(model: Any) -> Any:
        import keras
        from keras import layers

        picture = keras.Input(model.input_shape[1:], name="picture_0_255")
        x = picture
        if pixels != "0-255":
            scale, offset = RANGES[pixels]
            x = layers.Rescaling(scale, offset=offset, name="pixel_range")(x)
        names, answers = head_names(model), model(x)
        given = dict(zip(names, _in_order(answers), strict=True))
        if tuple(labels) != EMOTIONS:
            order = np.zeros((len(EMOTIONS), len(EMOTIONS)), np.float32)
            for theirs, name in enumerate(labels):
                order[theirs, EMOTIONS.index(name)] = 1.0
            outputs = {}
            for name, value in given.items():
                place = layers.Dense(
                    len(EMOTIONS), use_bias=False, trainable=False, name=f"{name}_in_order"
                )
                outputs[name] = place(value)
                place.set_weights([order])
            given = outputs
        return keras.Model(picture, given, name=f"{model.name}_adapted")

    return adapt
