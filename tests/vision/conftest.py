"""Pictures for the vision tests: NASA's astronaut, who ships with scikit-image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data

from webapp.vision.blazeface import FULL_RANGE, SHORT_RANGE
from webapp.vision.detectors import WEIGHTS


@pytest.fixture(scope="session")
def astronaut() -> npt.NDArray[np.uint8]:
    """Grey uint8 ``[512, 512]`` with one frontal face near (223, 127), about 90 pixels wide."""
    return np.asarray(cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


@pytest.fixture(scope="session")
def astronaut_rgb() -> npt.NDArray[np.uint8]:
    """The same in RGB, uint8 ``[512, 512, 3]``."""
    return np.asarray(skimage.data.astronaut(), dtype=np.uint8)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder of BlazeFace's weights, which ``make vendor`` fetches."""
    if not all((WEIGHTS / network.file).is_file() for network in (SHORT_RANGE, FULL_RANGE)):
        pytest.skip("needs browser: webapp/vision/weights is empty; run make vendor")
    return WEIGHTS


def turned_head(rgb: npt.NDArray[np.uint8], degrees: float) -> npt.NDArray[np.uint8]:
    """The astronaut's head on a plain wall, turned counter-clockwise; 400 pixels square."""
    turn = cv2.getRotationMatrix2D((223.0, 127.0), degrees, 1.0)
    turn[:, 2] += (200 - 223, 200 - 127)
    wall = (120, 120, 120)
    picture = cv2.warpAffine(rgb[:260], turn, (400, 400), borderValue=wall)
    return np.asarray(picture, np.uint8)


@pytest.fixture(scope="session")
def astronaut_jpeg(astronaut: npt.NDArray[np.uint8]) -> bytes:
    return encode(".jpg", astronaut)


def encode(suffix: str, picture: npt.NDArray[np.uint8], *options: int) -> bytes:
    done, data = cv2.imencode(suffix, picture, list(options))
    assert done
    return data.tobytes()
