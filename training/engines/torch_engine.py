"""The networks in native torch: bfloat16 steps, and weights for Keras.

On CPUs with bfloat16 instructions this trains about twice as fast as Keras on TensorFlow (75 s
against 152 s an epoch of 28,708 pictures at 44x44, two Zen 4 cores). The trained weights are
copied into the Keras model, which is what is saved and published.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from training.engines import torch_lite, torch_mobilenet
from training.engines.conv_norm import ConvNorm
from training.engines.torch_lite import LiteTorch
from training.engines.torch_mobilenet import MobileNetTorch
from training.recipes.efficientnet_lite import LiteSpec
from training.recipes.mobilenet import MobileNetSpec
from training.recipes.networks import HEADS, MienSpec
from training.recipes.recipes import Spec
from webapp.domain import EMOTIONS


def has_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 itself.

    Where a processor does not, torch converts around every operation: a step then took 2.8 s
    instead of 1.1 (one core of a Xeon with AVX-512 and without its bfloat16 instructions).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return any(bool(value) for name, value in found.items() if "bf16" in name)


class Block(nn.Module):
    """Residual block with squeeze-and-excitation on its second convolution."""

    def __init__(self, inputs: int, filters: int, stride: int, spec: MienSpec) -> None:
        super().__init__()
        epsilon = spec.batch_norm_epsilon
        same = stride == 1 and inputs == filters
        self.short = None if same else ConvNorm(inputs, filters, 1, stride, epsilon)
        self.a = ConvNorm(inputs, filters, 3, stride, epsilon)
        self.b = ConvNorm(filters, filters, 3, 1, epsilon)
        self.se1 = nn.Linear(filters, filters // spec.squeeze)
        self.se2 = nn.Linear(filters // spec.squeeze, filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.b(functional.relu(self.a(x)))
        gate = torch.sigmoid(self.se2(functional.relu(self.se1(y.mean((2, 3))))))
        short = x if self.short is None else self.short(x)
        return functional.relu(short + y * gate[:, :, None, None])


class MienTorch(nn.Module):
    """float32 [n, 1, side, side] in ``[0, 255]`` -> dict of two logits float32 [n, 7]."""

    def __init__(self, spec: MienSpec) -> None:
        super().__init__()
        self.spec = spec
        first, second = spec.stem
        epsilon = spec.batch_norm_epsilon
        self.stem1 = ConvNorm(1, first, 3, 1, epsilon)
        self.stem2 = ConvNorm(first, second, 3, 2, epsilon)
        widths = [second, *(filters for filters, _ in spec.blocks)]
        self.blocks = nn.ModuleList(
            Block(inputs, filters, stride, spec)
            for inputs, (filters, stride) in zip(widths, spec.blocks, strict=False)
        )
        self.drop = nn.Dropout(spec.dropout)
        self.heads = nn.ModuleDict({name: nn.Linear(widths[-1], len(EMOTIONS)) for name in HEADS})

    def forward(self, picture: torch.Tensor) -> dict[str, torch.Tensor]:
        x = functional.group_norm(picture / 255.0, 1, eps=1e-3)
        x = functional.relu(self.stem2(functional.relu(self.stem1(x))))
        for block in self.blocks:
            x = block(x)
        pooled = self.drop(x.mean((2, 3)).float())
        with torch.autocast(pooled.device.type, enabled=False):
            return {name: head(pooled) for name, head in self.heads.items()}


TwoHeads = MienTorch | LiteTorch | MobileNetTorch


def network_of(spec: Spec) -> TwoHeads:
    """The network that ``spec`` describes, with random weights."""
    if isinstance(spec, LiteSpec):
        return LiteTorch(spec)
    return MobileNetTorch(spec) if isinstance(spec, MobileNetSpec) else MienTorch(spec)


def copy_to_keras(source: TwoHeads, target: Any) -> None:
    """Copy every weight of ``source`` into the Keras model of the same spec (``build_network``)."""
    if isinstance(source, LiteTorch):
        torch_lite.copy_to_keras(source, target)
        return
    if isinstance(source, MobileNetTorch):
        torch_mobilenet.copy_to_keras(source, target)
        return

    def dense(layer: Any, linear: nn.Linear) -> None:
        layer.set_weights([linear.weight.detach().numpy().T, linear.bias.detach().numpy()])

    def conv(name: str, module: ConvNorm) -> None:
        kernel = module.conv.weight.detach().numpy().transpose(2, 3, 1, 0)
        target.get_layer(f"{name}_conv").set_weights([kernel])
        norm = module.bn
        values = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        target.get_layer(f"{name}_bn").set_weights(
            [value.detach().numpy() for value in values if value is not None]
        )

    conv("stem1", source.stem1)
    conv("stem2", source.stem2)
    for number, module in enumerate(source.blocks, start=1):
        name = f"block{number}"
        if not isinstance(module, Block):
            raise TypeError(f"Expected Block. Received {type(module).__name__}.")
        if module.short is not None:
            conv(f"{name}_short", module.short)
        conv(f"{name}_a", module.a)
        conv(f"{name}_b", module.b)
        dense(target.get_layer(f"{name}_se1"), module.se1)
        dense(target.get_layer(f"{name}_se2"), module.se2)
    for head in HEADS:
        linear = source.heads[head]
        if not isinstance(linear, nn.Linear):
            raise TypeError(f"Expected Linear. Received {type(linear).__name__}.")
        dense(target.get_layer(head), linear)


@torch.no_grad()
def predict_logits(
    network: TwoHeads, pictures: NDArray[np.float32], batch: int = 256, flip: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Logits of float32 pictures [n, side, side] by head, [n, 7]; mean with the mirror if flip."""
    network.eval()
    device = next(network.parameters()).device
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in HEADS}
    for start in range(0, len(pictures), batch):
        x = torch.from_numpy(pictures[start : start + batch])[:, None].to(device)
        outputs = network(x)
        if flip:
            mirrored = network(x.flip(-1))
            outputs = {name: (outputs[name] + mirrored[name]) / 2 for name in HEADS}
        for name in HEADS:
            parts[name].append(outputs[name].float().cpu().numpy())
    return {name: np.concatenate(rows) for name, rows in parts.items()}
