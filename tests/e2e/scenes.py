"""Fake cameras: MJPEG files that Chromium plays in a loop as if they came from a webcam."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 640, 480, 30
Picture = NDArray[np.uint8]


def write_mjpeg(path: Path, frames: Iterable[Picture], quality: int = 92) -> Path:
    """Writes BGR or grey uint8 pictures ``[480, 640(, 3)]`` one after the other as JPEG."""
    with path.open("wb") as stream:
        for frame in frames:
            done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
            assert done
            stream.write(data.tobytes())
    return path


def astronaut() -> Picture:
    """NASA's astronaut picture of scikit-image, BGR uint8 ``[512, 512, 3]``; public domain."""
    import skimage.data

    rgb: Picture = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(rgb[..., ::-1])


def background(width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """A soft grey wall, lighter in the middle, BGR uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x - width / 2) / width, (y - height / 2) / height)
    wall = (185 - 110 * distance)[..., None] * np.array([0.96, 0.99, 1.0], np.float32)
    return np.ascontiguousarray(wall.clip(0, 255).astype(np.uint8))


Place = Callable[[float], tuple[float, float, float]]  # t in [0, 1] -> centre x, y and scale


def moving_scene(picture: Picture, path_of: Place, seconds: float) -> Iterable[Picture]:
    """``picture`` carried over the wall along ``path_of``."""
    return crowd_scene([(picture, path_of)], seconds)


def crowd_scene(people: Sequence[tuple[Picture, Place]], seconds: float) -> Iterable[Picture]:
    """Several pictures carried over the wall at once, later ones before earlier ones."""
    count = round(seconds * FPS)
    for index in range(count):
        frame = background()
        for picture, path_of in people:
            x, y, scale = path_of(index / count)
            height, width = picture.shape[:2]
            place = np.array(
                [[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2]], np.float32
            )
            cv2.warpAffine(
                picture,
                place,
                (WIDTH, HEIGHT),
                dst=frame,
                flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_TRANSPARENT,
            )
        yield frame


def astronaut_camera(path: Path, seconds: float = 6.0) -> Path:
    """The astronaut on a slow loop that ends where it began; dlib's box is about 100 px wide.

    Only the upper part of the picture is used: below, her mission patch looks like a face to
    detectors at times.
    """
    return write_mjpeg(path, moving_scene(astronaut()[:390], _circle, seconds))


def _circle(t: float) -> tuple[float, float, float]:
    angle = 2 * np.pi * t
    return 330 + 60 * np.cos(angle), 252 + 20 * np.sin(angle), 1.12 + 0.03 * np.sin(angle)


def dark_camera(path: Path, light: float, noise: float, seconds: float = 2.0) -> Path:
    """The astronaut with this share of the light and the noise of a camera in the dark.

    ``noise`` is a standard deviation in grey levels. With a fifth of the light and 3 levels dlib
    still finds the face; with 0.15 and 10 levels nobody finds one.
    """
    rng = np.random.default_rng(seed=6)

    def darkened() -> Iterable[Picture]:
        for frame in moving_scene(astronaut()[:390], _circle, seconds):
            dim = frame * np.float32(light) + rng.normal(0, noise, frame.shape)
            yield dim.clip(0, 255).astype(np.uint8)

    return write_mjpeg(path, darkened())


def two_people_camera(path: Path, seconds: float = 4.0) -> Path:
    """The astronaut on the left and, as in a mirror and a little smaller, on the right."""
    head = np.ascontiguousarray(astronaut()[:270, 90:350])

    def sway(x: float, scale: float) -> Place:
        def place(t: float) -> tuple[float, float, float]:
            angle = 2 * np.pi * t
            return x + 12 * np.cos(angle), 240 + 8 * np.sin(angle), scale

        return place

    people = [(head, sway(165, 1.2)), (np.ascontiguousarray(head[:, ::-1]), sway(475, 1.0))]
    return write_mjpeg(path, crowd_scene(people, seconds))


def empty_camera(path: Path, seconds: float = 1.0) -> Path:
    """A wall and nobody in front of it."""
    return write_mjpeg(path, [background()] * round(seconds * FPS))
