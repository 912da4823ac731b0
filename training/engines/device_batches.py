"""Batches made on the device that trains: the whole set in its memory, changed by torch.

The same kinds and strengths of change as ``data/augment.py`` and ``data/arrival.py``, for a whole
batch at once: one core that changes pictures cannot feed an accelerator. Single values differ
from there: the random numbers are others, a batch has exactly the share of pictures that each
chance gives, and the size of small faces is drawn for a quarter of them at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from training.data.arrival import Arrival
from training.data.augment import Augmentation
from training.data.dataset import LabelledFaces
from training.engines.batches import soft_targets
from training.engines.distil import Taught
from training.recipes.recipes import MienRecipe

Tensor = torch.Tensor
_BLUR_REACH = 4
# Luminance quantisation of JPEG (ITU-T T.81, table K.1).
_QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


class Draw:
    """Random numbers of one epoch, on the device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._generator = torch.Generator(device).manual_seed(seed)
        self._host = torch.Generator().manual_seed(seed)  # what must be known without waiting

    def uniform(self, count: int, low: float, high: float) -> Tensor:
        """float32 [count] in ``[low, high)``."""
        drawn = torch.rand(count, generator=self._generator, device=self.device)
        return low + (high - low) * drawn

    def normal(self, like: Tensor) -> Tensor:
        return torch.randn(
            like.shape, generator=self._generator, device=self.device, dtype=like.dtype
        )

    def rows(self, count: int, chance: float) -> Tensor:
        """The share ``chance`` of ``count`` rows, int64, drawn at random."""
        order = torch.randperm(count, generator=self._host)[: round(count * min(1.0, chance))]
        return order.to(self.device)

    def integer(self, low: int, high: int) -> int:
        """One of ``[low, high)``."""
        return int(torch.randint(low, max(high, low + 1), (), generator=self._host))

    def one(self) -> float:
        """In ``[0, 1)``."""
        return float(torch.rand((), generator=self._host))


def _column(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _warped(
    pictures: Tensor, side: int, strength: Augmentation, arrived: Tensor, draw: Draw
) -> Tensor:
    count = len(pictures)
    arrival = strength.arrival or Arrival()

    def reach(usual: float, wide: float) -> Tensor:
        return torch.where(arrived, wide, usual)

    angle = draw.uniform(count, -1, 1) * reach(strength.rotation, arrival.turn) * math.pi / 180
    least = reach(-strength.scale, math.log(arrival.scale[0]))
    most = reach(strength.scale, math.log(arrival.scale[1]))
    zoom = torch.exp(least + (most - least) * draw.uniform(count, 0, 1))
    stretch = torch.exp(draw.uniform(count, -strength.stretch, strength.stretch))
    shear = draw.uniform(count, -strength.shear, strength.shear)
    flip = torch.where(draw.uniform(count, 0, 1) < strength.flip, -1.0, 1.0)
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    # rotation times [[stretch, shear], [0, 1 / stretch]], its first column mirrored
    rows = (
        (cosine * stretch * flip, cosine * shear - sine / stretch),
        (sine * stretch * flip, sine * shear + cosine / stretch),
    )
    shift = reach(strength.shift, arrival.shift) * 2  # a picture spans two units
    moves = [shift * draw.uniform(count, -1, 1) for _ in range(2)]
    theta = torch.stack(
        [torch.stack([*row, move], 1) for row, move in zip(rows, moves, strict=True)], 1
    )
    grid = functional.affine_grid(theta, [count, 1, side, side], align_corners=False)
    return functional.grid_sample(
        pictures.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _relit(pictures: Tensor, strength: Augmentation, draw: Draw) -> Tensor:
    count = len(pictures)
    contrast = _column(torch.exp(draw.uniform(count, -strength.contrast, strength.contrast)))
    offset = _column(draw.uniform(count, -strength.brightness, strength.brightness))
    gamma = _column(torch.exp(draw.uniform(count, -strength.gamma, strength.gamma)))
    mean = pictures.mean((1, 2, 3), keepdim=True)
    changed = ((pictures - mean) * contrast + mean + offset).clamp(0, 255)
    return 255 * (changed / 255) ** gamma


def blurred(pictures: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of float32 [n, 1, h, w] with ``sigma`` [n] in pixels."""
    steps = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (steps / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True))[:, None, :, None]
    padded = functional.pad(pictures, [_BLUR_REACH] * 4, mode="replicate").transpose(0, 1)
    padded = functional.conv2d(padded, kernel, groups=len(pictures))
    return functional.conv2d(padded, kernel.transpose(2, 3), groups=len(pictures)).transpose(0, 1)


def compressed(pictures: Tensor, quality: Tensor) -> Tensor:
    """float32 [n, 1, h, w] in ``[0, 255]`` as JPEG of ``quality`` [n] (1 to 100) returns it.

    The grey channel's cosine transform and quantisation; what follows in a file loses nothing.
    """
    count, _, height, width = pictures.shape
    device = pictures.device
    step = torch.arange(8, device=device)
    cosines = torch.cos((2 * step[None] + 1) * step[:, None] * math.pi / 16) / 2
    cosines[0] /= math.sqrt(2)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    table = torch.tensor(_QUANTISATION, device=device, dtype=torch.float32)
    table = ((table * scale + 50) / 100).floor().clamp(1, 255)[:, None, None]
    padded = functional.pad(pictures, [0, -width % 8, 0, -height % 8], mode="replicate")[:, 0]
    tall, wide = padded.shape[1] // 8, padded.shape[2] // 8
    blocks = padded.reshape(count, tall, 8, wide, 8).transpose(2, 3) - 128
    values = torch.round(cosines @ blocks @ cosines.T / table) * table
    restored = cosines.T @ values @ cosines + 128
    whole = restored.transpose(2, 3).reshape(count, 1, tall * 8, wide * 8)
    return whole[..., :height, :width].round().clamp(0, 255)


def _arrive(pictures: Tensor, arrival: Arrival, draw: Draw) -> Tensor:
    """``data/arrival.arrive`` for float32 [n, 1, h, w]."""
    count, _, height, width = pictures.shape
    for rows in draw.rows(count, arrival.small).chunk(4):
        side = draw.integer(arrival.smallest_px, height)
        small = functional.interpolate(pictures[rows], (side, side), mode="area")
        pictures[rows] = functional.interpolate(small, (height, width), mode="bilinear")
    rows = draw.rows(count, arrival.blur)
    if len(rows):
        sigma = draw.uniform(len(rows), 0.3, max(arrival.blur_px, 0.31))
        pictures[rows] = blurred(pictures[rows], sigma)
    rows = draw.rows(count, arrival.dark)
    dim = pictures[rows] * _column(draw.uniform(len(rows), *arrival.light))
    pictures[rows] = dim + _column(draw.uniform(len(rows), 0, arrival.noise)) * draw.normal(dim)
    pictures = pictures.round().clamp(0, 255)
    rows = draw.rows(count, arrival.jpeg)
    pictures[rows] = compressed(pictures[rows], draw.uniform(len(rows), *arrival.quality))
    return pictures


def _cut_out(pictures: Tensor, strength: Augmentation, draw: Draw) -> Tensor:
    count, _, side, _ = pictures.shape
    size = (draw.uniform(count, 0.15, max(strength.cutout, 0.16)) * side).floor()
    places = torch.arange(side, device=pictures.device)
    inside = []
    for _ in range(2):
        first = (draw.uniform(count, 0, 1) * (side - size / 2)).floor()
        inside.append((places >= first[:, None]) & (places < (first + size)[:, None]))
    square = (inside[0][:, :, None] & inside[1][:, None, :])[:, None]
    return torch.where(square, pictures.mean((1, 2, 3), keepdim=True), pictures)


def augment(pictures: Tensor, side: int, strength: Augmentation, draw: Draw) -> Tensor:
    """uint8 [n, 1, 48, 48] -> changed float32 [n, 1, side, side] in ``[0, 255]``."""
    count = len(pictures)
    arrival = strength.arrival
    arrived = draw.rows(count, arrival.chance if arrival is not None else 0.0)
    marked = torch.zeros(count, dtype=torch.bool, device=pictures.device)
    marked[arrived] = True
    out = _warped(pictures, side, strength, marked, draw)
    rows = draw.rows(count, strength.light)
    out[rows] = _relit(out[rows], strength, draw)
    if arrival is not None and len(arrived):
        out[arrived] = _arrive(out[arrived], arrival, draw)
    rows = draw.rows(count, strength.blur_chance)
    if len(rows):
        out[rows] = blurred(out[rows], draw.uniform(len(rows), 0.79, 0.81))
    rows = draw.rows(count, strength.noise_chance)
    grains = _column(draw.uniform(len(rows), 0, strength.noise)) * draw.normal(out[rows])
    out[rows] = (out[rows] + grains).clamp(0, 255)
    rows = draw.rows(count, strength.cutout_chance)
    out[rows] = _cut_out(out[rows], strength, draw)
    return out


class OnDevice:
    """Pictures and targets of a training in the memory of ``device``."""

    def __init__(
        self,
        faces: LabelledFaces,
        recipe: MienRecipe,
        device: torch.device,
        answers: Taught | None = None,
    ) -> None:
        self._recipe, self._device = recipe, device
        self._pictures = torch.from_numpy(faces.images)[:, None].to(device)
        self._targets = [
            torch.from_numpy(np.ascontiguousarray(values)).to(device)
            for values in soft_targets(faces, recipe, answers)
        ]

    def epoch(self, epoch: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
        """Batches as ``engines/batches.Batch`` in its order, fixed by ``(seed, epoch)`` alone.

        Pictures are float32 [n, 1, side, side].
        """
        recipe = self._recipe
        strength, side = recipe.augmentation, recipe.side_of(epoch)
        draw = Draw(seed * 100_003 + epoch, self._device)
        order = draw.rows(len(self._pictures), 1.0)
        size = min(recipe.batch, len(order))
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            pictures = augment(self._pictures[rows], side, strength, draw)
            batch = [pictures, *(values[rows] for values in self._targets)]
            if recipe.mixes(epoch) and strength.mixup > 0 and draw.one() < strength.mixup_chance:
                batch = _mixed(batch, strength.mixup, draw)
            yield tuple(batch)


def _mixed(batch: list[Tensor], alpha: float, draw: Draw) -> list[Tensor]:
    """Mixup with one weight a batch (``data/augment.mixup_batch``)."""
    generator = np.random.default_rng(draw.integer(0, 2**31))
    weight = float(generator.beta(alpha, alpha))
    weight = max(weight, 1 - weight)
    order = draw.rows(len(batch[0]), 1.0)
    return [weight * values + (1 - weight) * values[order] for values in batch]
