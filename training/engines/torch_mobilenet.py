"""MobileNet in torch, begun with weights that tell faces apart, and its weights for Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from training.engines.conv_norm import ConvNorm, SameConv, be_plain, restore_norms
from training.recipes.mobilenet import (
    EPSILON,
    FEATURES,
    SPREAD,
    Convolution,
    MobileNetSpec,
    convolutions,
    read_weights,
)
from training.recipes.networks import HEADS
from webapp.domain import EMOTIONS

MEASURED_ON = 512
_AT_ONCE = 32


def _conv(conv: Convolution, bias: bool = False) -> SameConv:
    groups = conv.inputs if conv.depthwise else 1
    return SameConv(conv.inputs, conv.filters, conv.size, conv.stride, groups, bias)


class SameConvNorm(ConvNorm):
    """:class:`SameConv`, then batch normalisation."""

    def __init__(self, conv: Convolution) -> None:
        super().__init__(conv.inputs, conv.filters, conv.size, conv.stride, EPSILON)
        self.conv = _conv(conv)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_in", nonlinearity="relu")


class MobileNetTorch(nn.Module):
    """float32 [n, 1, side, side] in ``[0, 255]`` -> dict of two logits float32 [n, 7].

    The first convolutions have a bias and no norm, and do not learn.
    """

    def __init__(self, spec: MobileNetSpec) -> None:
        super().__init__()
        self.spec = spec
        plan = list(convolutions())
        self.fixed = nn.ModuleList(_conv(conv, bias=True) for conv in plan[: spec.fixed])
        self.fixed.requires_grad_(False)
        self.layers = nn.ModuleList(SameConvNorm(conv) for conv in plan[spec.fixed :])
        self.drop = nn.Dropout(spec.dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(FEATURES, len(EMOTIONS)) for name in HEADS})

    def _begin(self, picture: torch.Tensor) -> torch.Tensor:
        x = functional.group_norm(picture / 255.0, 1, eps=1e-3) * SPREAD
        size = (self.spec.enlarged, self.spec.enlarged)
        if x.shape[2:] != size:
            x = functional.interpolate(x, size, mode="bilinear", align_corners=False)
        x = x.expand(-1, 3, -1, -1)
        for conv in self.fixed:
            x = functional.relu6(conv(x))
        return x

    def forward(self, picture: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.no_grad():  # few at a time: what a convolution answers stays in the caches
            x = torch.cat([self._begin(part) for part in torch.split(picture, _AT_ONCE)])
        for layer in self.layers:
            x = functional.relu6(layer(x))
        pooled = self.drop(x.mean((2, 3)).float())
        with torch.autocast(pooled.device.type, enabled=False):
            return {name: head(pooled) for name, head in self.heads.items()}


@torch.no_grad()
def load_faces(network: MobileNetTorch, weights: str | None, faces: NDArray[np.float32]) -> None:
    """Give all but the heads the weights of a file (:func:`read_weights`); ``none``: random ones.

    ``faces`` float32 [n, side, side] are for the norms. Raises
    :class:`training.recipes.weights.WeightsError` where the file cannot be had or does not fit.
    """
    if weights == "none":
        return
    found = read_weights(Path(weights) if weights else None)
    for conv, layer in zip(convolutions(), [*network.fixed, *network.layers], strict=True):
        kernel, bias = (torch.from_numpy(array.copy()) for array in found[conv.name])
        kernel = kernel.permute(2, 3, 0, 1) if conv.depthwise else kernel.permute(3, 2, 0, 1)
        if isinstance(layer, ConvNorm):
            layer.conv.weight.copy_(kernel)
            be_plain(layer.bn)
            layer.bn.bias.copy_(bias)
        elif isinstance(layer, SameConv) and layer.bias is not None:
            layer.weight.copy_(kernel)
            layer.bias.copy_(bias)
    pictures = torch.from_numpy(faces[:: max(1, len(faces) // MEASURED_ON)])[:, None]
    network.eval()
    restore_norms(network, lambda: [network(part) for part in torch.split(pictures, _AT_ONCE)])


def copy_to_keras(source: MobileNetTorch, target: Any) -> None:
    """Copy every weight of ``source`` into the Keras model made by ``build_mobilenet``."""

    def values(*tensors: torch.Tensor | None) -> list[NDArray[np.float32]]:
        return [tensor.detach().numpy() for tensor in tensors if tensor is not None]

    for conv, layer in zip(convolutions(), [*source.fixed, *source.layers], strict=True):
        norm = target.get_layer(f"{conv.name}_bn")
        if isinstance(layer, ConvNorm):
            weight = layer.conv.weight
            bn = layer.bn
            norm.set_weights(values(bn.weight, bn.bias, bn.running_mean, bn.running_var))
        else:
            (weight, bias) = layer.parameters()
            one, nothing = np.ones(conv.filters, np.float32), np.zeros(conv.filters, np.float32)
            norm.set_weights([one, *values(bias), nothing, one - np.float32(EPSILON)])
        axes = (2, 3, 0, 1) if conv.depthwise else (2, 3, 1, 0)
        kernel = np.ascontiguousarray(values(weight)[0].transpose(axes))
        target.get_layer(conv.name).set_weights([kernel])
    for head in HEADS:
        linear = source.heads[head]
        target.get_layer(head).set_weights(
            [array.T for array in values(*(linear.parameters()))]  # a bias is its own transpose
        )
