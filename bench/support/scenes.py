"""Camera-like frames for the speed programs: real faces that move, with noise, as JPEG."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 640, 480
# Where NASA's astronaut picture shows head and shoulders (x1, y1, x2, y2).
_HEAD = (140, 0, 310, 200)
# Head height in pixels and centre of each face, by number of faces: a person at a desk, and three
# people who share a camera.
_PLACES = {
    1: ((300, 320, 240),),
    3: ((210, 320, 230), (180, 120, 250), (160, 530, 260)),
}


@cache
def frames_of_a_face() -> list[bytes]:
    """Twelve 640x480 JPEGs with one face, made once: it takes a second or two."""
    return camera_jpegs(1, 12)


def marked(jpeg: bytes, number: int) -> bytes:
    """The picture with its number in a comment segment: other content, the same picture."""
    text = f"picture {number}".encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def camera_jpegs(faces: int, frames: int, *, quality: int = 80, seed: int = 0) -> list[bytes]:
    """``frames`` different 640x480 JPEGs with 1 or 3 faces that drift as people do.

    Needs scikit-image for the astronaut picture, and the network once: it may fetch it.
    """
    import skimage.data

    x1, y1, x2, y2 = _HEAD
    rgb: npt.NDArray[np.uint8] = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    head = np.ascontiguousarray(rgb[y1:y2, x1:x2, ::-1])
    rng = np.random.default_rng(seed)
    jpegs = []
    for index in range(frames):
        frame = _room()
        for number, (size, x, y) in enumerate(_PLACES[faces]):
            turn = 2 * math.pi * index / 60 + number
            scale = size / head.shape[0] * (1 + 0.05 * math.sin(turn / 2))
            _place(frame, head, x + 14 * math.sin(turn), y + 9 * math.cos(1.3 * turn), scale)
        noisy = frame + rng.normal(0, 3, frame.shape).astype(np.float32)
        done, data = cv2.imencode(
            ".jpg", noisy.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        if not done:
            raise RuntimeError("OpenCV could not write a JPEG.")
        jpegs.append(data.tobytes())
    return jpegs


def _room() -> npt.NDArray[np.uint8]:
    """A wall with shelves: edges, so that the detector has something to look at."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    wall = 150 + 40 * np.sin(x / 90) + 25 * np.cos(y / 70)
    wall[(y % 120 < 8) | (x % 160 < 6)] -= 60
    return np.repeat(wall.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _place(
    frame: npt.NDArray[np.uint8], head: npt.NDArray[np.uint8], x: float, y: float, scale: float
) -> None:
    height, width = head.shape[:2]
    place = np.array(
        [[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2]], np.float32
    )
    cv2.warpAffine(
        head,
        place,
        (WIDTH, HEIGHT),
        dst=frame,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
