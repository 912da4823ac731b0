"""EfficientNet-Lite in native torch, begun with ImageNet weights, and its weights for Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from training.engines.conv_norm import SameConv
from training.recipes.efficientnet_lite import (
    EPSILON,
    SPREAD,
    STEM,
    TOP,
    LiteSpec,
    blocks_of,
    packaged_weights,
)
from training.recipes.networks import HEADS
from training.recipes.weights import WeightsError
from webapp.domain import EMOTIONS


def _norm(filters: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(filters, eps=EPSILON, momentum=0.1)


class InvertedBlock(nn.Module):
    """Expand, filter each channel by itself, project; with a way round where the form allows."""

    def __init__(self, inputs: int, kernel: int, stride: int, expansion: int, filters: int) -> None:
        super().__init__()
        inside = inputs * expansion
        self._expand_conv = SameConv(inputs, inside, 1) if expansion > 1 else None
        self._bn0 = _norm(inside) if expansion > 1 else None
        self._depthwise_conv = SameConv(inside, inside, kernel, stride, groups=inside)
        self._bn1 = _norm(inside)
        self._project_conv = SameConv(inside, filters, 1)
        self._bn2 = _norm(filters)
        self._round = stride == 1 and inputs == filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._round else y  # type: ignore[no-any-return]


class LiteTorch(nn.Module):
    """float32 [n, 1, side, side] in ``[0, 255]`` -> dict of two logits float32 [n, 7].

    Modules are named like the entries of the packages' torch files.
    """

    def __init__(self, spec: LiteSpec) -> None:
        super().__init__()
        self.spec = spec
        self._conv_stem, self._bn0 = SameConv(3, STEM, 3, 2), _norm(STEM)
        blocks, inputs = [], STEM
        for kernel, stride, expansion, filters in blocks_of(spec.number):
            blocks.append(InvertedBlock(inputs, kernel, stride, expansion, filters))
            inputs = filters
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(inputs, TOP, 1), _norm(TOP)
        self.drop = nn.Dropout(spec.dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(TOP, len(EMOTIONS)) for name in HEADS})

    def forward(self, picture: torch.Tensor) -> dict[str, torch.Tensor]:
        x = functional.group_norm(picture / 255.0, 1, eps=1e-3) * SPREAD
        x = functional.relu6(self._bn0(self._conv_stem(x.expand(-1, 3, -1, -1))))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        pooled = self.drop(x.mean((2, 3)).float())
        with torch.autocast(pooled.device.type, enabled=False):
            return {name: head(pooled) for name, head in self.heads.items()}


def load_imagenet(network: LiteTorch, weights: str) -> None:
    """Give all but the heads the weights of a torch file, or of the package for ``imagenet``.

    ``none`` leaves them random. Raises :class:`WeightsError` where they cannot be had or differ.
    """
    if weights == "none":
        return
    path = packaged_weights(network.spec.number) if weights == "imagenet" else Path(weights)
    if not path.is_file():
        raise WeightsError(f"Expected weights of EfficientNet-Lite. {path} is not there.")
    own = {name: value for name, value in network.state_dict().items() if "heads." not in name}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing = [name for name in own if name not in state]
        if missing:
            raise ValueError(f"it lacks {missing[0]}")
        network.load_state_dict({name: state[name] for name in own}, strict=False)
    except Exception as error:  # a foreign file: torch raises whatever its content leads to
        # its first line: the rest is torch's advice to load what may run code
        raise WeightsError(
            f"{path.name} does not fit EfficientNet-Lite{network.spec.number}: "
            f"{str(error).splitlines()[0].partition('. ')[0]}."
        ) from error


def copy_to_keras(source: LiteTorch, target: Any) -> None:
    """Copy every weight of ``source`` into the Keras model made by ``build_lite``."""
    state = {name: value.numpy() for name, value in source.state_dict().items()}
    for layer in target.layers:
        count = len(layer.weights)
        if layer.name in HEADS:
            name = f"heads.{layer.name}"
            layer.set_weights([state[f"{name}.weight"].T, state[f"{name}.bias"]])
        elif count == 4:
            keys = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"_{layer.name}.{key}"] for key in keys])
        elif count == 1:
            axes = (2, 3, 0, 1) if "depthwise" in layer.name else (2, 3, 1, 0)
            kernel = state[f"_{layer.name}.weight"].transpose(axes)
            layer.set_weights([np.ascontiguousarray(kernel)])
