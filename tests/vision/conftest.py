"""Pictures for the vision tests: NASA's astronaut, who ships with scikit-image."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data


@pytest.fixture(scope="session")
def astronaut() -> npt.NDArray[np.uint8]:
    """Grey uint8 ``[512, 512]`` with one frontal face near (223, 127), about 90 pixels wide."""
    return np.asarray(cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


@pytest.fixture(scope="session")
def astronaut_jpeg(astronaut: npt.NDArray[np.uint8]) -> bytes:
    return encode(".jpg", astronaut)


def encode(suffix: str, picture: npt.NDArray[np.uint8], *options: int) -> bytes:
    done, data = cv2.imencode(suffix, picture, list(options))
    assert done
    return data.tobytes()
