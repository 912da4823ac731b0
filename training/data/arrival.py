"""Training pictures changed to how faces arrive from a camera through a detector.

FER2013's pictures were cut alike: upright, centred, evenly lit. A detector's box is larger or
smaller, beside the middle and does not turn with the head; the face in it may be a few pixels
wide, dark and noisy, and was compressed on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Arrival:
    """What happens to the share ``chance`` of the pictures.

    ``turn`` in degrees to either side; ``scale``: the least and largest side of the cut relative
    to FER2013's; ``shift`` in shares of the side. ``small``, ``blur``, ``dark`` and ``jpeg`` are
    chances, each of its own: ``smallest_px`` the side of the smallest face in the camera's frame,
    ``blur_px`` the largest sigma in pixels of the picture, ``light`` the least and largest share
    of the light that is left, ``noise`` the largest deviation in grey levels that a camera adds
    then, ``quality`` the least and largest JPEG quality.
    """

    chance: float = 0.5
    turn: float = 25.0
    scale: tuple[float, float] = (0.9, 1.25)
    shift: float = 0.1
    small: float = 0.35
    smallest_px: int = 14
    blur: float = 0.25
    blur_px: float = 1.5
    dark: float = 0.35
    light: tuple[float, float] = (0.15, 0.6)
    noise: float = 5.0
    jpeg: float = 0.4
    quality: tuple[int, int] = (25, 85)


def arrive(
    picture: NDArray[np.float32], arrival: Arrival, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Grey float32 [h, w] in ``[0, 255]``: smaller, blurred, darker, compressed; same shape."""
    height, width = picture.shape
    out: NDArray[Any] = picture
    if generator.random() < arrival.small:
        side = int(generator.integers(arrival.smallest_px, max(height, arrival.smallest_px + 1)))
        out = cv2.resize(out, (side, side), interpolation=cv2.INTER_AREA)
        out = cv2.resize(out, (width, height), interpolation=cv2.INTER_LINEAR)
    if generator.random() < arrival.blur:
        sigma = generator.uniform(0.3, max(arrival.blur_px, 0.31))
        out = cv2.GaussianBlur(out, (0, 0), sigma)
    if generator.random() < arrival.dark:
        out = out * np.float32(generator.uniform(*arrival.light))
        level = np.float32(generator.uniform(0, arrival.noise))
        out = out + level * generator.standard_normal(out.shape, dtype=np.float32)
    if generator.random() < arrival.jpeg:
        quality = int(generator.integers(arrival.quality[0], arrival.quality[1] + 1))
        grey = np.clip(np.rint(out), 0, 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
        out = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))
    return np.asarray(np.clip(np.rint(out), 0, 255), dtype=np.float32)
