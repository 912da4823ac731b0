"""Keras files loaded: Keras 2 wrote what Keras 3 refuses although it changes nothing."""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from training.litert import quieten
from webapp.errors import ModelInvalid

MODELS: Final = frozenset({"Functional", "Sequential", "Model"})
# arguments that every layer takes, whatever its own signature says
_OF_ALL: Final = frozenset(
    {"name", "trainable", "dtype", "autocast", "activity_regularizer", "batch_shape"}
    | {"batch_input_shape", "input_shape", "input_dim", "module", "registered_name"}
)
# name -> values that do nothing; a layer that Keras 3 has no such argument for does without
_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "groups": (1,),
    "dilation_rate": (1, [1, 1]),
    "renorm": (False,),
    "fused": (None, True, False),
    "virtual_batch_size": (None,),
    "renorm_clipping": (None,),
    "renorm_momentum": (0.99,),
    "adjustment": (None,),
    "sparse": (False,),
    "ragged": (False,),
    "noise_shape": (None,),
    "seed": (None,),
    "dynamic": (False,),
    "data_format": ("channels_last", None),
    "keepdims": (False,),
    "output_padding": (None,),
    "optional": (False,),
    "trainable": (True, False),  # layers that take none have no weights
    "kernel_constraint": (None,),
    "kernel_regularizer": (None,),
}
# of layers whose kernels have other names in Keras 3, these were never used
_UNUSED: Final = frozenset({"kernel_initializer", "kernel_regularizer", "kernel_constraint"})
_UNUSED_IN: Final = frozenset({"DepthwiseConv2D", "SeparableConv2D", "SeparableConv2d"})
_POLICIES: Final = frozenset({"Policy", "DTypePolicy", "PolicyV1"})


def cleaned(value: Any) -> Any:
    """A description without what does nothing; layers in models in models as well.

    Whatever is left and unknown to Keras 3 does something, and Keras refuses it.
    """
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: cleaned(inner) for name, inner in value.items()}
    config = found.get("config")
    if found.get("class_name") == "Sequential" and isinstance(config, list):
        found["config"] = {"name": "sequential", "layers": config}  # as Keras 2 did up to 2.2.2
    if isinstance(found.get("class_name"), str) and isinstance(config, dict):
        if found["class_name"] in _POLICIES:
            # mixed precision made training faster; the weights themselves are float32
            return str(config.get("name") or "float32").replace("mixed_float16", "float32")
        if found["class_name"] in MODELS:
            return found | {"config": _renumbered(config)}
        found["config"] = _layer(found["class_name"], config)
    return found


def _renumbered(config: dict[str, Any]) -> dict[str, Any]:
    """The links between layers, where one is a model.

    Keras 2 counted the model's own making as its first call, Keras 3 only its calls here.
    """
    layers = config.get("layers")
    if not isinstance(layers, list) or "output_layers" not in config:
        return config
    models = {
        str(layer.get("name")): layer.get("class_name")
        for layer in layers
        if isinstance(layer, dict) and layer.get("class_name") in MODELS
    }
    links = [layer.get("inbound_nodes") for layer in layers if isinstance(layer, dict)]
    first: dict[str, int] = {}
    for name, number in _links([*links, config["output_layers"]], models):
        first[name] = min(number, first.get(name, number))

    def moved(value: Any, outputs: bool) -> Any:
        if not isinstance(value, list):
            if isinstance(value, dict):
                return {key: moved(inner, outputs) for key, inner in value.items()}
            return value
        if _is_link(value, models):
            name, number, *rest = value
            # Keras 3 takes one off by itself for the outputs of a functional model
            kept = 1 if outputs and models[name] != "Sequential" else 0
            return [name, number - first[name] + kept, *(moved(one, outputs) for one in rest)]
        return [moved(one, outputs) for one in value]

    renumbered = [
        layer | {"inbound_nodes": moved(layer.get("inbound_nodes", []), False)}
        if isinstance(layer, dict)
        else layer
        for layer in layers
    ]
    changed = config | {"layers": renumbered, "output_layers": moved(config["output_layers"], True)}
    for ends in ("input_layers", "output_layers"):
        # a list of one would be a list to the layer behind a model in a model
        if len(changed.get(ends) or ()) == 1 and isinstance(changed[ends][0], list):
            changed[ends] = changed[ends][0]
    return changed


def _is_link(value: list[Any], models: Mapping[str, Any]) -> bool:
    return (
        len(value) >= 3
        and isinstance(value[0], str)
        and value[0] in models
        and isinstance(value[1], int)
    )


def _links(value: Any, models: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    if isinstance(value, list):
        if _is_link(value, models):
            yield value[0], value[1]
        for inner in value:
            yield from _links(inner, models)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _links(inner, models)


def _layer(name: str, config: dict[str, Any]) -> dict[str, Any]:
    import keras

    kind = getattr(keras.layers, name, None)
    if kind is None:
        initializer = getattr(keras.initializers, name, None)
        if initializer is not None:  # Keras 2.2 gave every initializer a type
            return {key: value for key, value in config.items() if key != "dtype"}
        return config
    parameters = inspect.signature(kind.__init__).parameters
    takes_more = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    known = set(parameters) | (_OF_ALL if takes_more else set())
    kept: dict[str, Any] = {}
    for key, value in config.items():
        unused = name in _UNUSED_IN and key in _UNUSED
        neutral = key == "rng_type" or value in _NEUTRAL.get(key, ())
        if key not in known and (unused or neutral):
            continue
        if key == "axis" and isinstance(value, list) and len(value) == 1:
            value = value[0]
        kept[key] = value
    return kept


def is_older(config: Mapping[str, Any]) -> bool:
    """Whether Keras 2 wrote a description; ``keras_version`` in it says so."""
    return not str(config.get("keras_version", "2")).startswith("3")


def modern(config: dict[str, Any]) -> dict[str, Any]:
    """A description as Keras 3 reads it. Raises :class:`ModelInvalid` for one of Keras 1."""
    if str(config.get("keras_version", "")).startswith(("0.", "1.")):
        raise ModelInvalid(
            "This network was saved by Keras 1, whose layers have other arguments. Load it with "
            'Keras 2.2 and save it again: model.save("model.h5").',
            check="load",
        )
    return dict(cleaned(config)) if is_older(config) else config


def built(config: dict[str, Any]) -> Any:
    """The network of a description by Keras 2, without its weights."""
    from keras.src.legacy.saving.saving_utils import model_from_config

    return model_from_config(modern(config))


def load_keras(path: Path) -> Any:
    """Load a Keras file. Raises :class:`ModelInvalid` when it is not one."""
    quieten()
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError, KeyError) as error:
        raise ModelInvalid(f"{path.name} cannot be loaded by Keras: {error}") from error


def load_older(path: Path) -> Any:
    """A whole ``.h5`` model, by whatever Keras it was saved. Raises :class:`ModelInvalid`."""
    with tempfile.TemporaryDirectory(prefix="mien-keras-") as scratch:
        try:
            return load_keras(rewritten(path, Path(scratch) / "model.h5"))
        except (OSError, KeyError) as error:
            raise ModelInvalid(f"{path.name} cannot be loaded by Keras: {error}") from error


def lists_layers(weights: Path) -> bool:
    """Whether weights are in the older of Keras' two forms."""
    import h5py

    with h5py.File(weights, "r") as file:
        return "layer_names" in file.attrs


def combined(config: dict[str, Any], weights: Path, target: Path) -> Path:
    """A whole ``.h5`` model of a description and weights in the older form."""
    import h5py

    with h5py.File(weights, "r") as given, h5py.File(target, "w") as file:
        file.attrs["model_config"] = json.dumps(modern(config))
        file.attrs["keras_version"] = str(config.get("keras_version", "2"))
        file.attrs["backend"] = "tensorflow"
        group = file.create_group("model_weights")
        for name in given:
            given.copy(name, group)
        for name, value in given.attrs.items():
            group.attrs[name] = value
    return target


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def rewritten(path: Path, target: Path) -> Path:
    """A copy of an ``.h5`` file without its training; one of Keras 2 with a cleaned description."""
    import h5py

    shutil.copyfile(path, target)
    with h5py.File(target, "r+") as file:
        config = json.loads(_text(file.attrs["model_config"]))
        config.setdefault("keras_version", _text(file.attrs.get("keras_version", "2")))
        file.attrs["model_config"] = json.dumps(modern(config))
        if "training_config" in file.attrs:
            del file.attrs["training_config"]
    return target


def explain(error: Exception) -> ModelInvalid:
    """Keras' own words are long; what to do is one sentence."""
    text = " ".join(str(error).split())
    return ModelInvalid(
        "Keras 3 cannot build this network: "
        f"{text[:200] or type(error).__name__}. Open it with the Keras that saved it, use layers "
        "and arguments that Keras 3 has, and save it again as .keras.",
        check="load",
    )
