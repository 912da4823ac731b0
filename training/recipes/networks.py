"""Network definitions in Keras 3; normalisation is inside, inputs are float32 in ``[0, 255]``.

``build_mien`` is the shipped network: a plain residual network with squeeze-and-excitation
(He et al. 2016; Hu et al. 2018), one trunk and two heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from webapp.domain import EMOTIONS

HEADS = ("fer2013", "ferplus")


@dataclass(frozen=True, slots=True)
class MienSpec:
    """Widths of the network. ``blocks`` holds (filters, stride) of each residual block."""

    stem: tuple[int, int] = (32, 48)
    blocks: tuple[tuple[int, int], ...] = (
        (48, 1),
        (96, 2),
        (96, 1),
        (192, 2),
        (192, 1),
        (384, 2),
    )
    squeeze: int = 8
    dropout: float = 0.2
    batch_norm_epsilon: float = 1e-3

    def grown_from(self, smaller: MienSpec) -> tuple[int | None, ...]:
        """For each block, the block of ``smaller`` that it is, or None for one put in between.

        Indices from 0. A block put in keeps width and size. Raises ValueError where this is not
        ``smaller`` with blocks put in.
        """
        found: list[int | None] = []
        before = self.stem[1]
        for block in self.blocks:
            done = sum(index is not None for index in found)
            if done < len(smaller.blocks) and block == smaller.blocks[done]:
                found.append(done)
            elif block == (before, 1):
                found.append(None)
            else:
                break
            before = block[0]
        whole = len(found) == len(self.blocks)
        if not whole or sum(i is not None for i in found) != len(smaller.blocks):
            raise ValueError(f"blocks {self.blocks} are not {smaller.blocks} with some put in.")
        return tuple(found)


# Half as much again to compute, twice the parameters: a block more at each of the last three sizes.
DEEP = MienSpec(
    blocks=(
        (48, 1),
        (96, 2),
        (96, 1),
        (96, 1),
        (192, 2),
        (192, 1),
        (192, 1),
        (384, 2),
        (384, 1),
    )
)

# Twice as wide: four times the parameters and the operations. A teacher, trained on an accelerator.
WIDE = MienSpec(
    stem=(64, 96),
    blocks=((96, 1), (192, 2), (192, 1), (384, 2), (384, 1), (768, 2)),
    dropout=0.3,
)


def build_mien(spec: MienSpec | None = None, side: int | None = 48) -> Any:
    """A ``keras.Model``: float32 [n, side, side, 1] in ``[0, 255]`` -> two logits float32 [n, 7].

    Outputs are a dict with the names of :data:`HEADS`; ``side`` None takes any size. Each picture
    is standardised by its own mean and deviation. Strided convolutions pad one pixel on every side.
    """
    import keras
    from keras import layers

    spec = spec or MienSpec()

    def conv(x: Any, filters: int, size: int, stride: int, name: str, relu: bool = True) -> Any:
        if size == 3 and stride == 2:
            x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid" if stride == 2 else "same"
        x = layers.Conv2D(
            filters, size, strides=stride, padding=padding, use_bias=False, name=f"{name}_conv",
            kernel_initializer="he_normal",
        )(x)  # fmt: skip
        x = layers.BatchNormalization(
            momentum=0.9, epsilon=spec.batch_norm_epsilon, name=f"{name}_bn"
        )(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    def block(x: Any, filters: int, stride: int, name: str) -> Any:
        same = stride == 1 and x.shape[-1] == filters
        short = x if same else conv(x, filters, 1, stride, f"{name}_short", relu=False)
        y = conv(x, filters, 3, stride, f"{name}_a")
        y = conv(y, filters, 3, 1, f"{name}_b", relu=False)
        gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(y)
        gate = layers.Dense(filters // spec.squeeze, activation="relu", name=f"{name}_se1")(gate)
        gate = layers.Dense(filters, activation="sigmoid", name=f"{name}_se2")(gate)
        y = layers.Multiply(name=f"{name}_scale")([y, gate])
        return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([short, y]))

    picture = layers.Input((side, side, 1), name="picture")
    x = layers.GroupNormalization(
        groups=1, epsilon=1e-3, center=False, scale=False, name="standardise"
    )(layers.Rescaling(1 / 255.0, name="unit")(picture))
    x = conv(x, spec.stem[0], 3, 1, "stem1")
    x = conv(x, spec.stem[1], 3, 2, "stem2")
    for number, (filters, stride) in enumerate(spec.blocks, start=1):
        x = block(x, filters, stride, f"block{number}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(spec.dropout, name="drop")(x)
    outputs = {head: layers.Dense(len(EMOTIONS), name=head, dtype="float32")(x) for head in HEADS}
    return keras.Model(picture, outputs, name="mien")
