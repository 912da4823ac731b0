"""Pictures that an earlier version misread, through detector and network: one face, happy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from bench.support.replay import InProcess, play
from tests.support.data import REPOSITORY, data_folder
from tests.vision.conftest import encode, turned_head
from webapp.domain import SCAN, THOROUGH, ReadRequest
from webapp.models.registry import Registry
from webapp.vision.pipeline import Pipeline

Pixels = npt.NDArray[np.uint8]
REQUESTS = [THOROUGH, SCAN, *(ReadRequest(turn=turn) for turn in range(4))]


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> Pipeline:
    return Pipeline.from_version(Registry(REPOSITORY / "models").active().folder)


def reads_one_happy_face(pipeline: Pipeline, jpeg: bytes) -> None:
    for request in REQUESTS:
        (face,) = pipeline.analyze(jpeg, request=request).faces
        assert face.scores.top[0] == "happy"


def jpeg_of(rgb: Pixels) -> bytes:
    return encode(".jpg", np.asarray(rgb[..., ::-1], np.uint8))


@pytest.mark.parametrize("degrees", [-70, -50, -30, 30, 50, 70])
def test_a_tilted_face(pipeline: Pipeline, astronaut_rgb: Pixels, degrees: int) -> None:
    large = cv2.resize(turned_head(astronaut_rgb, degrees), (600, 600))
    reads_one_happy_face(pipeline, jpeg_of(np.asarray(large, np.uint8)))


def test_a_face_in_the_dark(pipeline: Pipeline, astronaut_rgb: Pixels) -> None:
    noise = np.random.default_rng(0).normal(0, 2, astronaut_rgb.shape)
    dark = (astronaut_rgb * 0.2 + noise).clip(0, 255).astype(np.uint8)
    reads_one_happy_face(pipeline, jpeg_of(dark))


def test_a_face_above_a_patch_that_resembles_one(pipeline: Pipeline, astronaut_rgb: Pixels) -> None:
    reads_one_happy_face(pipeline, jpeg_of(astronaut_rgb))


def test_the_patch_stays_silent_in_a_live_session(
    pipeline: Pipeline, astronaut_rgb: Pixels
) -> None:
    rng = np.random.default_rng(0)

    def frames() -> Iterator[tuple[float, bytes]]:
        for index in range(120):
            swing = math.sin(index / 9)
            turn = cv2.getRotationMatrix2D((256, 256), 12 * swing, 1.05 + 0.1 * swing)
            moved = cv2.warpAffine(astronaut_rgb, turn, (512, 512)) * (0.7 + 0.35 * swing)
            noisy = moved + rng.normal(0, rng.uniform(0, 6), moved.shape)
            yield index / 15, jpeg_of(noisy.clip(0, 255).astype(np.uint8))

    answers = list(play(InProcess(pipeline), REPOSITORY / "models", frames()))
    assert {len(answer.faces) for _, answer in answers} <= {0, 1}
    assert {face.track for _, answer in answers for face in answer.faces} == {1}
    assert sum(len(answer.faces) for _, answer in answers) > 110


@pytest.mark.parametrize("name", ["tilt30", "tilt50", "tilt70", "dark20", "astronaut-false-face"])
def test_a_case_that_came_in(pipeline: Pipeline, name: str) -> None:
    folder = data_folder()
    case = None if folder is None else folder.parent / "cases" / f"{name}.jpg"
    if case is None or not case.is_file():
        pytest.skip("needs data: cases/ was not found beside the folder that MIEN_TEST_DATA names")
    reads_one_happy_face(pipeline, case.read_bytes())
