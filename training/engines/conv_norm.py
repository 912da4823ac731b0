"""Convolutions in torch with a batch norm or padded as in TensorFlow, and norms put back in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from training.recipes.efficientnet_lite import same_padding


class SameConv(nn.Conv2d):
    """Convolution that pads as TensorFlow does, which the weights come from."""

    def __init__(
        self,
        inputs: int,
        filters: int,
        size: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(inputs, filters, size, stride, groups=groups, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size, stride = self.kernel_size[0], self.stride[0]
        above, below = same_padding(x.shape[2], size, stride)
        left, right = same_padding(x.shape[3], size, stride)
        if self.groups > 1 and self.weight.requires_grad and x.device.type == "cpu":
            # the gradient of filters of single channels takes processors up to four times as long
            # in bfloat16
            with torch.autocast("cpu", enabled=False):
                x = functional.pad(x.float(), (left, right, above, below))
                return functional.conv2d(x, self.weight, self.bias, stride, groups=self.groups)
        x = functional.pad(x, (left, right, above, below))
        return functional.conv2d(x, self.weight, self.bias, stride, groups=self.groups)


class ConvNorm(nn.Module):
    """Convolution without bias, padding half the kernel, then batch normalisation."""

    def __init__(self, inputs: int, filters: int, size: int, stride: int, epsilon: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, filters, size, stride, size // 2, bias=False)
        self.bn = nn.BatchNorm2d(filters, eps=epsilon, momentum=0.1)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x))  # type: ignore[no-any-return]


def be_plain(norm: nn.BatchNorm2d) -> None:
    """Make ``norm`` change nothing. Without gradients."""
    norm.weight.fill_(1.0)
    norm.bias.zero_()
    norm.running_mean.zero_()  # type: ignore[union-attr]
    norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]


@torch.no_grad()
def restore_norms(network: nn.Module, answer: Callable[[], object]) -> None:
    """Rewrite every :class:`ConvNorm` to the same function with a norm that is in use.

    ``answer`` runs the network on the pictures to measure with; what each norm is fed then gives
    its mean and variance. Kernels are scaled to unit output variance, as at the beginning of a
    training.
    """
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
    answer()
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
        norm.bias.add_(mean * norm.weight)
        norm.weight.mul_(scale * (variance / scale**2 + norm.eps).sqrt())
