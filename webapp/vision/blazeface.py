"""Google's BlazeFace networks (Bazarevsky et al. 2019) run by LiteRT: boxes with six keypoints.

The weights come with the npm package ``@mediapipe/face_detection`` (Apache-2.0); ``make`` fetches
them by the lock file into ``models/detectors``. A look is one run of one network on one square
patch of a picture; where to look, and what to believe, is decided in
:mod:`webapp.vision.two_looks`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from webapp.errors import ModelInvalid

Pixels = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

SAME_FACE_IOU: Final = 0.3
KEYPOINTS: Final = 6  # right eye, left eye, nose, mouth, right ear, left ear (the person's right)
_COLUMNS: Final = 5 + 2 * KEYPOINTS


@dataclass(frozen=True, slots=True)
class Network:
    """One of the networks: its file, input side in pixels, and (stride, anchors a cell) a layer."""

    file: str
    side: int
    layers: tuple[tuple[int, int], ...]

    def anchors(self) -> Float:
        """Centres of all anchors in input pixels, float32 ``[anchors, 2]``."""
        grids = []
        for stride, a_cell in self.layers:
            line = (np.arange(self.side // stride, dtype=np.float32) + 0.5) * stride
            x, y = np.meshgrid(line, line)
            grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), a_cell, axis=0))
        return np.concatenate(grids)


# From MediaPipe's face_detection_short_range and face_detection_full_range graphs.
SHORT_RANGE: Final = Network("face_detection_short_range.tflite", 128, ((8, 2), (16, 6)))
FULL_RANGE: Final = Network("face_detection_full_range_sparse.tflite", 192, ((4, 1),))


@dataclass(frozen=True, slots=True)
class Window:
    """A square of a picture: top left corner and side in pixels; may reach outside the picture."""

    x: float
    y: float
    side: float

    def scaled(self, factor: float) -> Window:
        """The window with the same middle, ``factor`` times as large."""
        margin = self.side * (factor - 1) / 2
        return Window(self.x - margin, self.y - margin, self.side * factor)


class Pyramid:
    """A picture, uint8 ``[H, W]`` grey or ``[H, W, 3]`` RGB, its half, its quarter and so on.

    A level is made when it is first asked for. Averaging from the picture itself for each window
    takes as long as the network that looks at it.
    """

    def __init__(self, picture: Pixels) -> None:
        self._levels = [picture]

    @property
    def picture(self) -> Pixels:
        return self._levels[0]

    def level(self, scale: float) -> tuple[Pixels, int]:
        """The smallest level with at least ``scale`` times the picture's sides, and its divisor."""
        wanted = max(0, math.floor(-math.log2(scale)))
        while len(self._levels) <= wanted and min(self._levels[-1].shape[:2]) >= 2:
            larger = self._levels[-1]
            height, width = larger.shape[0] // 2, larger.shape[1] // 2
            even = larger[: 2 * height, : 2 * width]  # whole pixels: eight times as fast
            half = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
            self._levels.append(np.asarray(half, np.uint8))
        index = min(wanted, len(self._levels) - 1)
        return self._levels[index], 1 << index


class BlazeFace:
    """One network. Belongs to one thread."""

    def __init__(self, network: Network, weights: bytes) -> None:
        """Raises :class:`ModelInvalid` when ``weights`` is not this network."""
        self._network = network
        self._anchors = network.anchors()
        try:
            self._interpreter = Interpreter(model_content=weights, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelInvalid(f"{network.file} is not a LiteRT model ({error}).") from error
        inputs = self._interpreter.get_input_details()
        outputs = {
            tuple(int(v) for v in detail["shape"]): int(detail["index"])
            for detail in self._interpreter.get_output_details()
        }
        count = len(self._anchors)
        wanted = ((1, count, 4 + 2 * KEYPOINTS), (1, count, 1))
        if [int(v) for v in inputs[0]["shape"]] != [1, network.side, network.side, 3] or not all(
            shape in outputs for shape in wanted
        ):
            raise ModelInvalid(
                f"{network.file}: expected an input of {network.side} pixels and outputs {wanted}. "
                f"Received {inputs[0]['shape']} and {list(outputs)}."
            )
        self._input = int(inputs[0]["index"])
        self._values, self._scores = (outputs[shape] for shape in wanted)
        self._buffer = np.empty((1, network.side, network.side, 3), np.float32)

    @classmethod
    def load(cls, network: Network, folder: Path) -> BlazeFace:
        """Read the network's file. Raises :class:`ModelInvalid` saying how to get it."""
        try:
            weights = (folder / network.file).read_bytes()
        except OSError as error:
            raise ModelInvalid(
                f"The face detector's weights {network.file} are not in {folder.name}/ "
                f"({error.strerror}). Run `make vendor`, which fetches them.",
                file=network.file,
            ) from error
        return cls(network, weights)

    def look(
        self, picture: Pyramid, window: Window, threshold: float, near: Float | None = None
    ) -> Float:
        """Faces in ``window`` of a picture; only those that lie on the box ``near``, if given.

        Returns float32 ``[N, 17]``, surest first: probability, x1, y1, x2, y2, then x and y of the
        six keypoints, in pixels of the picture. Outside the picture the window is black.
        """
        side = self._network.side
        self._fill(picture, window)
        self._interpreter.set_tensor(self._input, self._buffer)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._scores)[0, :, 0]
        chosen = np.flatnonzero(logits > np.log(threshold / (1 - threshold)))
        if not len(chosen):
            return np.empty((0, _COLUMNS), np.float32)
        values = self._interpreter.get_tensor(self._values)[0][chosen]
        points = values.reshape(len(chosen), 2 + KEYPOINTS, 2)
        points[:, 0] += self._anchors[chosen]
        points[:, 2:] += self._anchors[chosen][:, None]
        found = np.empty((len(chosen), _COLUMNS), np.float32)
        found[:, 0] = 1 / (1 + np.exp(-logits[chosen]))
        found[:, 1:3] = points[:, 0] - points[:, 1] / 2
        found[:, 3:5] = points[:, 0] + points[:, 1] / 2
        found[:, 5:] = points[:, 2:].reshape(len(chosen), -1)
        found[:, 1:] *= window.side / side
        found[:, 1::2] += np.float32(window.x)
        found[:, 2::2] += np.float32(window.y)
        if near is not None:
            found = found[iou(near, found[:, 1:5]) > SAME_FACE_IOU]
        return blend(found)

    def _fill(self, pyramid: Pyramid, window: Window) -> None:
        """The window's pixels as the network's input, RGB in [-1, 1]."""
        picture, divisor = pyramid.level(self._network.side / window.side)
        x, y, side = window.x / divisor, window.y / divisor, window.side / divisor
        height, width = picture.shape[:2]
        scale = self._network.side / side
        left, top = max(0, round(x)), max(0, round(y))
        right, bottom = min(width, round(x + side)), min(height, round(y + side))
        if right <= left or bottom <= top:
            self._buffer.fill(-1)
            return
        part = picture[top:bottom, left:right]
        last = self._network.side - 1
        at_x = min(last, max(0, round((left - x) * scale)))
        at_y = min(last, max(0, round((top - y) * scale)))
        w = min(last + 1 - at_x, max(1, round((right - left) * scale)))
        h = min(last + 1 - at_y, max(1, round((bottom - top) * scale)))
        small = cv2.resize(part, (w, h), interpolation=cv2.INTER_LINEAR)
        if small.ndim == 2:
            small = small[..., None]
        if (w, h) != (self._network.side, self._network.side):
            self._buffer.fill(-1)
        inner = self._buffer[0, at_y : at_y + h, at_x : at_x + w]
        inner[...] = small * np.float32(1 / 127.5) - np.float32(1)  # a grey one into all three


def blend(found: Float) -> Float:
    """One row a face: the mean of boxes that overlap, weighted by probability; surest first."""
    rest = found[np.argsort(-found[:, 0], kind="stable")]
    kept = []
    while len(rest):
        same = iou(rest[0, 1:5], rest[:, 1:5]) > SAME_FACE_IOU
        same[0] = True  # a box without an area overlaps nothing
        weights = rest[same, :1]
        row = (rest[same] * weights).sum(0) / weights.sum()
        row[0] = rest[0, 0]
        kept.append(row)
        rest = rest[~same]
    return np.stack(kept) if kept else found


def iou(box: Float, boxes: Float) -> Float:
    """Intersection over union of ``box`` ``[4]`` with each of ``boxes`` ``[N, 4]``."""
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    total = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    return np.asarray(shared / np.maximum(total, 1e-6), np.float32)
