"""The service with the real vision pipeline gives what the pipeline gives, errors included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from skimage import data

from tests.support.models import make_version
from webapp.domain import THOROUGH, ReadRequest
from webapp.errors import CorruptImage, MienError, UnsupportedImage
from webapp.inference.client import InferenceService
from webapp.settings import Settings
from webapp.vision.pipeline import Pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_version(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[InferenceService]:
    made = InferenceService(Settings(workers=1), folder)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    encoded = cv2.imencode(".jpg", cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))[1]
    return encoded.tobytes()


def test_the_result_is_the_pipelines_own_to_the_last_bit(
    service: InferenceService, folder: Path, jpeg: bytes
) -> None:
    direct = Pipeline.from_version(folder)
    expected = direct.analyze(jpeg)
    assert expected.faces, "the astronaut's face"
    # a live scan depends on the tile whose turn it is; the others look everywhere
    for regions, upsample in (
        (None, True),
        ([face.box for face in expected.faces], False),
        ([], False),
    ):
        result = service.analyze(jpeg, request=ReadRequest(regions, upsample))
        assert result.faces == direct.analyze(jpeg, request=ReadRequest(regions, upsample)).faces
        assert (result.width, result.height, result.model) == (512, 512, "test-1")
        assert set(result.timings_ms) == {"decode", "detect", "classify", "total", "wait"}


@pytest.mark.parametrize("cut", [0, 1, 10, 1000, 20_000])
def test_a_damaged_picture_is_a_picture_error(
    service: InferenceService, jpeg: bytes, cut: int
) -> None:
    pid = service.status()[0].pid
    with pytest.raises(MienError) as caught:
        service.analyze(jpeg[:cut])
    assert caught.value.status in (400, 415, 422)
    assert service.status()[0].pid == pid


def test_text_and_noise_are_picture_errors(service: InferenceService, jpeg: bytes) -> None:
    with pytest.raises(UnsupportedImage):
        service.analyze(b"hello")
    with pytest.raises((CorruptImage, UnsupportedImage)):
        service.analyze(jpeg[:20] + bytes(5000))
    assert service.analyze(jpeg).faces


def test_a_new_version_is_swapped_in(
    service: InferenceService, jpeg: bytes, tmp_path: Path
) -> None:
    other = make_version(tmp_path, "test-2", seed=1)
    before = service.analyze(jpeg, request=THOROUGH)
    service.reload(other)
    after = service.analyze(jpeg, request=THOROUGH)
    assert (before.model, after.model) == ("test-1", "test-2")
    assert before.faces[0].box == after.faces[0].box
    assert before.faces[0].scores != after.faces[0].scores
