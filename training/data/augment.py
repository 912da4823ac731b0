"""Random changes to training pictures: flip, affine, light, noise, blur and cutout; mixup.

Pictures are uint8 grey [n, 48, 48]; what comes out is float32 [n, side, side] in ``[0, 255]``.
The affine warp also resamples to ``side``, so that a smaller resolution costs no second resize.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.arrival import Arrival, arrive
from webapp.card import InputSpec
from webapp.vision.crops import to_batch


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Strength of each change; a probability, or the half-width of a uniform range.

    ``rotation`` in degrees, ``scale`` and ``stretch`` relative, ``shift`` in shares of the side,
    ``contrast`` relative, ``brightness`` and ``noise`` in grey levels, ``cutout`` the largest
    side of the erased square in shares of the picture's, ``mixup`` the Beta parameter.
    ``arrival``: what else happens to some pictures (``arrival.py``).
    """

    flip: float = 0.5
    rotation: float = 10.0
    scale: float = 0.12
    stretch: float = 0.06
    shift: float = 0.07
    shear: float = 0.06
    light: float = 0.5
    contrast: float = 0.3
    brightness: float = 25.0
    gamma: float = 0.25
    noise: float = 6.0
    noise_chance: float = 0.2
    blur_chance: float = 0.1
    cutout: float = 0.45
    cutout_chance: float = 0.35
    mixup: float = 0.15
    mixup_chance: float = 0.25
    arrival: Arrival | None = None

    def times(self, factor: float) -> Augmentation:
        """The same changes ``factor`` times as strong and as frequent.

        A chance stays below one; how often a picture is mirrored and how large an erased square
        may be are kept, and so is the arrival.
        """
        kept = ("flip", "cutout", "arrival")
        chances = ("light", "noise_chance", "blur_chance", "cutout_chance", "mixup_chance")
        values = {name: value * factor for name, value in asdict(self).items() if name not in kept}
        return replace(self, **values | {name: min(1.0, values[name]) for name in chances})


def _warp_matrix(
    strength: Augmentation,
    side: int,
    source: int,
    generator: np.random.Generator,
    arrival: Arrival | None = None,
) -> NDArray[np.float64]:
    """2x3 matrix that maps output pixels to source pixels (for ``WARP_INVERSE_MAP``)."""
    turn, reach = strength.rotation, strength.shift
    least, largest = np.exp(-strength.scale), np.exp(strength.scale)
    if arrival is not None:
        turn, reach, (least, largest) = arrival.turn, arrival.shift, arrival.scale
    angle = np.deg2rad(generator.uniform(-turn, turn))
    zoom = np.exp(generator.uniform(np.log(least), np.log(largest))) * source / side
    stretch = np.exp(generator.uniform(-strength.stretch, strength.stretch))
    shear = generator.uniform(-strength.shear, strength.shear)
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = (
        zoom
        * np.array([[cosine, -sine], [sine, cosine]])
        @ np.array([[stretch, shear], [0.0, 1.0 / stretch]])
    )
    if generator.random() < strength.flip:
        linear[:, 0] = -linear[:, 0]
    middle_out, middle_in = (side - 1) / 2, (source - 1) / 2
    shift = generator.uniform(-reach, reach, size=2) * source
    offset = middle_in + shift - linear @ np.array([middle_out, middle_out])
    return np.hstack([linear, offset[:, None]])


def _relight(
    picture: NDArray[np.float32], strength: Augmentation, generator: np.random.Generator
) -> NDArray[np.float32]:
    mean = float(picture.mean())
    contrast = np.exp(generator.uniform(-strength.contrast, strength.contrast))
    offset = generator.uniform(-strength.brightness, strength.brightness)
    picture = np.clip((picture - mean) * contrast + mean + offset, 0, 255)
    gamma = np.exp(generator.uniform(-strength.gamma, strength.gamma))
    return np.asarray(255.0 * (picture / 255.0) ** gamma, dtype=np.float32)


def augment_one(
    picture: NDArray[np.uint8], side: int, strength: Augmentation, generator: np.random.Generator
) -> NDArray[np.float32]:
    """One picture uint8 [48, 48] -> float32 [side, side] in ``[0, 255]``."""
    arrival = strength.arrival
    if arrival is not None and generator.random() >= arrival.chance:
        arrival = None
    matrix = _warp_matrix(strength, side, picture.shape[0], generator, arrival)
    out = cv2.warpAffine(
        picture,
        matrix,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    if generator.random() < strength.light:
        out = _relight(out, strength, generator)
    if arrival is not None:
        out = arrive(out, arrival, generator)
    if generator.random() < strength.blur_chance:
        out = np.asarray(cv2.GaussianBlur(out, (3, 3), 0), dtype=np.float32)
    if generator.random() < strength.noise_chance:
        level = generator.uniform(0, strength.noise)
        noise = generator.standard_normal(out.shape, dtype=np.float32) * np.float32(level)
        out = np.clip(out + noise, 0, 255)
    if generator.random() < strength.cutout_chance:
        size = int(generator.uniform(0.15, max(strength.cutout, 0.16)) * side)
        y, x = generator.integers(0, side - size // 2, size=2)
        out[y : y + size, x : x + size] = out.mean()
    return out


def augment_batch(
    pictures: NDArray[np.uint8], side: int, strength: Augmentation, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Each picture of uint8 [n, 48, 48] changed on its own -> float32 [n, side, side]."""
    return np.stack([augment_one(p, side, strength, generator) for p in pictures])


def mixup_batch(
    pictures: NDArray[np.float32],
    targets: list[NDArray[np.float32]],
    strength: Augmentation,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Mixup (Zhang et al. 2018) of a batch with a permutation of itself, one weight a batch.

    ``targets`` are float32 arrays whose first axis is the batch; each is mixed alike.
    """
    if strength.mixup <= 0 or generator.random() >= strength.mixup_chance:
        return pictures, targets
    weight = np.float32(generator.beta(strength.mixup, strength.mixup))
    weight = max(weight, np.float32(1) - weight)
    order = generator.permutation(len(pictures))
    mixed = [weight * target + (1 - weight) * target[order] for target in targets]
    return weight * pictures + (1 - weight) * pictures[order], mixed


def resize_batch(pictures: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Unchanged pictures uint8 [n, 48, 48] at another side, as the app resizes them.

    float32 [n, side, side] in ``[0, 255]``.
    """
    return np.asarray(to_batch(list(pictures), InputSpec(side, side, 1))[..., 0])
