"""Begin a training with the weights of a published version instead of random ones.

A published version has its batch norms folded into the convolutions. Here each gets one again:
its mean and variance are measured on training pictures, and its scale and offset are set so that
the network answers exactly as the version does. Kernels are scaled to unit output variance, as
they are at the beginning of a training, so that the learning rate means what it meant then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.augment import resize_batch
from training.compact import one_view
from training.lineage import check_same_split, version_facts
from training.litert import keras_logits
from training.networks import HEADS
from training.torch_engine import Block, ConvNorm, MienTorch, predict_logits
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
    from training.scoring import load_keras

    check_same_split(folder, fingerprint, split_seed, fold)
    model = one_view(load_keras(folder / KERAS_FILE))
    return Start(folder, model, version_facts(folder))


def load_into(network: MienTorch, start: Start, pictures: NDArray[np.uint8], side: int) -> None:
    """Give ``network`` the weights of ``start``; ``pictures`` uint8 [n, 48, 48] are for the norms.

    Raises :class:`ModelInvalid` where the networks differ or the copy answers otherwise.
    """
    try:
        _copy(network, start.model)
    except (ValueError, RuntimeError) as error:
        raise ModelInvalid(f"{start.folder.name} has another network: {error}") from error
    _restore_norms(network, resize_batch(pictures[:MEASURED_ON], side))
    sample = resize_batch(pictures[:64], side)
    native = predict_logits(network, sample)
    expected = keras_logits(start.model, sample[..., None])
    for head in HEADS:
        difference = float(np.abs(native[head] - expected[head]).max())
        if not difference <= SAME_ANSWER:
            raise MienError(f"The copied network differs from {start.folder.name} by {difference}.")


@torch.no_grad()
def _copy(network: MienTorch, model: Any) -> None:
    def conv(name: str, target: ConvNorm) -> None:
        kernel, bias = model.get_layer(f"{name}_conv").get_weights()
        target.conv.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
        target.bn.weight.fill_(1.0)
        target.bn.bias.copy_(torch.from_numpy(bias))
        target.bn.running_mean.zero_()  # type: ignore[union-attr]
        target.bn.running_var.fill_(1.0 - target.bn.eps)  # type: ignore[union-attr]

    def dense(name: str, target: Any) -> None:
        kernel, bias = model.get_layer(name).get_weights()
        target.weight.copy_(torch.from_numpy(kernel.T.copy()))
        target.bias.copy_(torch.from_numpy(bias))

    conv("stem1", network.stem1)
    conv("stem2", network.stem2)
    for number, block in enumerate(network.blocks, start=1):
        if not isinstance(block, Block):
            raise TypeError(f"Expected Block. Received {type(block).__name__}.")
        name = f"block{number}"
        if block.short is not None:
            conv(f"{name}_short", block.short)
        conv(f"{name}_a", block.a)
        conv(f"{name}_b", block.b)
        dense(f"{name}_se1", block.se1)
        dense(f"{name}_se2", block.se2)
    for head in HEADS:
        dense(head, network.heads[head])


@torch.no_grad()
def _restore_norms(network: MienTorch, pictures: NDArray[np.float32]) -> None:
    """Measure what each norm is fed, and rewrite kernel and norm to the same function."""
    norms = [module for module in network.modules() if isinstance(module, ConvNorm)]
    sums: dict[nn.Module, tuple[torch.Tensor, torch.Tensor, int]] = {}

    def measure(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        (x,) = inputs
        total, squares, count = sums.get(module, (torch.zeros(()), torch.zeros(()), 0))
        x = x.double()
        sums[module] = (
            total + x.sum((0, 2, 3)),
            squares + (x * x).sum((0, 2, 3)),
            count + x.numel() // x.shape[1],
        )

    hooks = [module.bn.register_forward_pre_hook(measure) for module in norms]
    predict_logits(network, pictures)
    for hook in hooks:
        hook.remove()
    for module in norms:
        norm = module.bn
        total, squares, count = sums[norm]
        mean = total / count
        variance = (squares / count - mean * mean).clamp_min(0)
        scale = (variance + norm.eps).sqrt()
        module.conv.weight.div_(scale.float()[:, None, None, None])
        norm.running_mean.copy_(mean / scale)  # type: ignore[union-attr]
        norm.running_var.copy_(variance / scale**2)  # type: ignore[union-attr]
        norm.weight.copy_(scale * (variance / scale**2 + norm.eps).sqrt())
        norm.bias.add_(mean)
