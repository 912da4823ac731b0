"""Begin a training with the weights of a published version instead of random ones.

A published version has its batch norms folded into the convolutions. Here each gets one again:
its mean and variance are measured on training pictures, and its scale and offset are set so that
the network answers exactly as the version does. Kernels are scaled to unit output variance, as
they are at the beginning of a training, so that the learning rate means what it meant then.

A deeper network can begin as a shallower version: the blocks put in between add nothing at first
(their last norm has scale zero; Goyal et al. 2017, and Net2Net, Chen et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.augment import resize_batch
from training.data.lineage import check_same_split, version_facts
from training.engines.conv_norm import ConvNorm, be_plain, restore_norms
from training.engines.torch_engine import Block, MienTorch, predict_logits
from training.litert import keras_logits
from training.publishing.compact import one_view
from training.recipes.networks import HEADS, MienSpec
from webapp.card import KERAS_FILE
from webapp.errors import MienError, ModelInvalid

MEASURED_ON = 2048
SAME_ANSWER = 2e-2


@dataclass(frozen=True)
class Start:
    """A version to begin with. ``facts`` go into the run's record."""

    folder: Path
    model: Any
    facts: dict[str, Any]


def read_start(folder: Path, fingerprint: str, split_seed: int, fold: str | None = None) -> Start:
    """Open a version to go on from. Raises :class:`ModelInvalid` as :func:`check_same_split`."""
    from training.evaluation.keras2 import load_keras

    check_same_split(folder, fingerprint, split_seed, fold)
    model = one_view(load_keras(folder / KERAS_FILE))
    return Start(folder, model, version_facts(folder))


def load_into(network: MienTorch, start: Start, pictures: NDArray[np.uint8], side: int) -> None:
    """Give ``network`` the weights of ``start``; ``pictures`` uint8 [n, 48, 48] are for the norms.

    Raises :class:`ModelInvalid` where the networks differ or the copy answers otherwise.
    """
    try:
        sources = network.spec.grown_from(_spec_of(start.model))
        _copy(network, start.model, sources)
    except (ValueError, RuntimeError) as error:
        raise ModelInvalid(f"{start.folder.name} has another network: {error}") from error
    measured = resize_batch(pictures[:MEASURED_ON], side)
    restore_norms(network, lambda: predict_logits(network, measured))
    sample = resize_batch(pictures[:64], side)
    native = predict_logits(network, sample)
    expected = keras_logits(start.model, sample[..., None])
    for head in HEADS:
        difference = float(np.abs(native[head] - expected[head]).max())
        if not difference <= SAME_ANSWER:
            raise MienError(f"The copied network differs from {start.folder.name} by {difference}.")


def _spec_of(model: Any) -> MienSpec:
    """Stem and blocks of a Keras network of
    :func:`training.recipes.networks.build_mien`, by its layers.

    Raises ValueError where it is none.
    """

    def filters_and_stride(name: str) -> tuple[int, int]:
        layer = model.get_layer(f"{name}_conv")
        return int(layer.filters), int(layer.strides[0])

    names = {layer.name for layer in model.layers}
    blocks: list[tuple[int, int]] = []
    while f"block{len(blocks) + 1}_a_conv" in names:
        blocks.append(filters_and_stride(f"block{len(blocks) + 1}_a"))
    stem = (filters_and_stride("stem1")[0], filters_and_stride("stem2")[0])
    return MienSpec(stem=stem, blocks=tuple(blocks))


def _begin_as_nothing(block: Block, number: int) -> None:
    """Random weights that are the same in every run: only then can runs be averaged."""
    generator = torch.Generator().manual_seed(number)
    for module in (block.a.conv, block.b.conv, block.se1, block.se2):
        weight = module.weight
        spread = (2.0 / weight[0].numel()) ** 0.5
        weight.copy_(torch.empty_like(weight).normal_(0.0, spread, generator=generator))
        if module.bias is not None:
            module.bias.zero_()
    be_plain(block.a.bn)
    be_plain(block.b.bn)
    block.b.bn.weight.zero_()


@torch.no_grad()
def _copy(network: MienTorch, model: Any, sources: Sequence[int | None]) -> None:
    def conv(name: str, target: ConvNorm) -> None:
        kernel, bias = model.get_layer(f"{name}_conv").get_weights()
        target.conv.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
        be_plain(target.bn)
        target.bn.bias.copy_(torch.from_numpy(bias))

    def dense(name: str, target: Any) -> None:
        kernel, bias = model.get_layer(name).get_weights()
        target.weight.copy_(torch.from_numpy(kernel.T.copy()))
        target.bias.copy_(torch.from_numpy(bias))

    conv("stem1", network.stem1)
    conv("stem2", network.stem2)
    for number, (block, source) in enumerate(zip(network.blocks, sources, strict=True), start=1):
        if not isinstance(block, Block):
            raise TypeError(f"Expected Block. Received {type(block).__name__}.")
        if source is None:
            _begin_as_nothing(block, number)
            continue
        name = f"block{source + 1}"
        if block.short is not None:
            conv(f"{name}_short", block.short)
        conv(f"{name}_a", block.a)
        conv(f"{name}_b", block.b)
        dense(f"{name}_se1", block.se1)
        dense(f"{name}_se2", block.se2)
    for head in HEADS:
        dense(head, network.heads[head])
