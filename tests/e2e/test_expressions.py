"""Real faces before the camera, each with an expression that people agree on: is it the label?"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Playwright

from tests.e2e.browser import chromium, start, state, wait_until
from tests.e2e.scenes import FPS, Picture, moving_scene, write_mjpeg
from tests.e2e.servers import ROOT, ServerProcess, real_server
from webapp.domain import UNCERTAIN

pytestmark = pytest.mark.slow

FACES = 3
SECONDS_EACH = 2.5
ENLARGED = 4.0
CLEAR_VOTES = 9  # of ten people
_VOTED = {"happy": "happiness", "surprise": "surprise", "neutral": "neutral"}


def _clear_files(table: Path, emotion: str) -> Iterator[str]:
    """Test pictures of ``emotion`` on which people agree, in the order of the table."""
    with table.open(newline="") as stream:
        for row in csv.DictReader(stream):
            name = row["file"]
            if name.startswith(f"test/{emotion}/") and int(row[_VOTED[emotion]]) >= CLEAR_VOTES:
                yield name


def _is_detected(scene: Picture) -> bool:
    import dlib

    grey = cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)
    return len(dlib.get_frontal_face_detector()(grey, 0)) == 1


def _gentle(t: float) -> tuple[float, float, float]:
    angle = 2 * np.pi * t
    return 320 + 25 * np.cos(angle), 240 + 10 * np.sin(angle), ENLARGED


def _scene(test_folder: Path, table: Path, emotion: str) -> list[Picture]:
    """Several seconds of ``FACES`` people one after the other, each swaying a little.

    The people are the first ones whose face dlib finds; the model is not asked.
    """
    frames: list[Picture] = []
    for name in _clear_files(table, emotion):
        face = cv2.imread(str(test_folder.parent / name), cv2.IMREAD_COLOR)
        assert face is not None
        part = list(moving_scene(np.asarray(face, np.uint8), _gentle, SECONDS_EACH))
        if _is_detected(part[0]) and _is_detected(part[len(part) // 2]):
            frames += part
        if len(frames) >= FACES * SECONDS_EACH * FPS:
            return frames
    raise AssertionError(f"fewer than {FACES} clear faces of {emotion}")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The real server on the model that ships."""
    if not (ROOT / "models" / "ACTIVE").is_file():
        pytest.skip("needs model: models/ACTIVE names no trained version yet")
    server = real_server(ROOT / "models", tmp_path_factory.mktemp("shipped") / "server.log")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("emotion", sorted(_VOTED))
def test_the_label_is_right_for_most_of_the_scene(
    shipped: ServerProcess,
    playwright: Playwright,
    fer2013_test: Path,
    ferplus_csv: Path,
    tmp_path: Path,
    emotion: str,
) -> None:
    camera = write_mjpeg(tmp_path / "scene.mjpeg", _scene(fer2013_test, ferplus_csv, emotion))
    with chromium(playwright, camera) as browser:
        page = browser.new_page()
        start(page, shipped.url)
        started_ms = state(page)["result"]["capturedMs"]
        labels: dict[int, str] = {}

        def whole_scene_seen() -> bool:
            result = state(page)["result"]
            shown = [f["label"] if f["quality"]["ok"] else UNCERTAIN for f in result["faces"]]
            labels[result["seq"]] = shown[0] if shown else "no face"
            seen_ms = result["capturedMs"] - started_ms
            return bool(seen_ms > FACES * SECONDS_EACH * 1000)

        wait_until(page, whole_scene_seen, "the whole scene", patience_s=60)
    counts = Counter(labels.values())
    assert len(labels) >= 10, "too few results to say anything"
    assert counts[emotion] > len(labels) / 2, f"{emotion}: {counts}"
