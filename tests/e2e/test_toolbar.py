"""The toolbar on the picture: snapshots, covered faces, full screen, other cameras, video files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.e2e import scenes
from tests.e2e.browser import chromium, collect_problems, start, state, wait_until
from tests.e2e.servers import ServerProcess
from tests.support.live_double import face

BOX = [220, 120, 400, 300]  # of the picture, 640 x 480; mirrored it is at 240 to 420
MIRRORED = slice(BOX[1], BOX[3]), slice(640 - BOX[2], 640 - BOX[0])

# One second of a canvas that changes its grey, as WebM with a known length, made by the browser.
_RECORD = """() => new Promise((resolve) => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 320, height: 240});
  const context = canvas.getContext('2d');
  const paint = () => {
    context.fillStyle = `hsl(${performance.now() / 5} 50% 50%)`;
    context.fillRect(0, 0, 320, 240);
  };
  const timer = setInterval(paint, 30);
  const recorder = new MediaRecorder(canvas.captureStream(), {mimeType: 'video/webm;codecs=vp8'});
  const parts = [];
  recorder.ondataavailable = ({data}) => parts.push(data);
  recorder.onstop = async () => {
    clearInterval(timer);
    resolve([...new Uint8Array(await new Blob(parts).arrayBuffer())]);
  };
  recorder.start();
  setTimeout(() => recorder.stop(), 1500);
})"""


@pytest.fixture(scope="module")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A camera with a fine pattern of stripes: what is covered loses them."""
    stripes = np.full((480, 640, 3), 40, np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 220
    camera = tmp_path_factory.mktemp("camera") / "stripes.mjpeg"
    scenes.write_mjpeg(camera, [stripes] * 30, quality=95)
    with chromium(playwright, camera) as running:
        yield running


@pytest.fixture
def page(browser: Browser, double: ServerProcess) -> Iterator[Page]:
    double.post_json("double", {"fault": None, "faces": [face([*map(float, BOX)], "happy", 0.9)]})
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    problems = collect_problems(page)
    yield page
    context.close()
    double.post_json("double", {"faces": None})
    assert problems == []


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def pressed(page: Page, name: str, on: bool) -> None:
    expect(button(page, name)).to_have_attribute("aria-pressed", str(on).lower())


def running(page: Page, double: ServerProcess) -> None:
    start(page, double.url)
    wait_until(page, lambda: state(page)["drawn"], "a box")


def snapshot(page: Page) -> NDArray[np.int16]:
    """The grey values of a snapshot, int16 ``[480, 640]``."""
    with page.expect_download() as waiting:
        button(page, "Take a snapshot").click()
    assert waiting.value.suggested_filename.startswith("mien-20")
    picture = cv2.imread(str(waiting.value.path()), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert picture.shape == (480, 640)
    return np.asarray(picture, np.int16)


def stripes_in(grey: NDArray[np.int16]) -> float:
    """How much neighbouring columns differ, on average, in the middle of the face's place."""
    middle = grey[MIRRORED][40:140, 40:140]
    return float(np.abs(middle[:, 4:] - middle[:, :-4]).mean())


def test_a_snapshot_shows_the_picture_with_boxes_or_without(
    page: Page, double: ServerProcess
) -> None:
    running(page, double)
    with_boxes = snapshot(page)
    expect(page.locator("[data-notice]")).to_contain_text("downloads")
    button(page, "More").click()
    page.get_by_role("switch", name="Boxes and labels in snapshots").uncheck(force=True)
    page.keyboard.press("Escape")
    without = snapshot(page)
    assert stripes_in(with_boxes) > 100
    assert stripes_in(without) > 100
    edge = np.s_[BOX[1] - 3 : BOX[1] + 3, 300:360]  # of the drawn box
    plain = without[20:26, 300:360]
    assert np.abs(without[edge] - plain).mean() < 10
    assert np.abs(with_boxes[edge] - plain).mean() > 20


def test_covered_faces_are_unrecognisable_on_the_screen_and_in_snapshots(
    page: Page, double: ServerProcess
) -> None:
    running(page, double)
    pressed(page, "Blur faces", False)
    button(page, "Blur faces").click()
    pressed(page, "Blur faces", True)
    button(page, "More").click()
    page.get_by_role("switch", name="Boxes and labels in snapshots").uncheck(force=True)
    page.keyboard.press("Escape")
    covered = snapshot(page)
    assert stripes_in(covered) < 30
    corner = covered[10:110, 10:110]
    assert np.abs(corner[:, 4:] - corner[:, :-4]).mean() > 100, "the rest is as it was"
    page.reload()
    start(page, double.url)
    pressed(page, "Blur faces", True)


def test_without_a_fresh_reading_the_whole_picture_is_covered(
    page: Page, double: ServerProcess
) -> None:
    running(page, double)
    button(page, "Blur faces").click()
    double.post_json("double", {"fault": "inference_timeout"})
    expect(page.locator("[data-headline]")).to_have_text("No fresh reading")

    def corner() -> float:
        part = snapshot(page)[10:110, 10:110]
        return float(np.abs(part[:, 4:] - part[:, :-4]).mean())

    assert corner() < 30
    double.post_json("double", {"fault": None})


def test_boxes_can_be_hidden_and_the_reading_goes_on(page: Page, double: ServerProcess) -> None:
    running(page, double)
    paint = """() => {
      const canvas = document.querySelector('[data-overlay]');
      const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return all.some((v) => v);
    }"""
    wait_until(page, lambda: page.evaluate(paint), "a box on the canvas")
    button(page, "Show boxes").click()
    pressed(page, "Show boxes", False)
    wait_until(page, lambda: not page.evaluate(paint), "an empty canvas")
    expect(page.locator("[data-headline]")).to_have_text("Happy")


def test_full_screen_and_back(page: Page, double: ServerProcess) -> None:
    running(page, double)
    button(page, "Full screen").click()
    pressed(page, "Full screen", True)
    assert page.evaluate("document.fullscreenElement.matches('[data-stage]')")
    button(page, "More").click()
    expect(page.get_by_role("combobox", name="Picture size")).to_be_visible()
    page.keyboard.press("Escape")
    button(page, "Stop").click()
    wait_until(page, lambda: page.evaluate("!document.fullscreenElement"), "the page again")


def test_the_next_camera_by_one_press(playwright: Playwright, double: ServerProcess) -> None:
    two = "--use-fake-device-for-media-stream=device-count=2"
    with chromium(playwright, None, flags=(two,)) as browser:
        page = browser.new_page()
        start(page, double.url)
        used = (
            "document.querySelector('[data-video]').srcObject?.getVideoTracks()[0]"
            ".getSettings().deviceId"
        )
        before = page.evaluate(used)
        button(page, "Other camera").click()
        wait_until(page, lambda: page.evaluate(used) not in (before, None), "the other camera")


def test_a_video_file_is_paused_sought_and_still_read(page: Page, double: ServerProcess) -> None:
    page.goto(double.url)
    movie = bytes(page.evaluate(_RECORD))
    video = {"name": "recorded.webm", "mimeType": "video/webm", "buffer": movie}
    page.locator("[data-file]").set_input_files(video)  # type: ignore[arg-type]
    wait_until(page, lambda: state(page)["stats"]["answered"] > 3, "answers")
    seek = page.get_by_role("slider", name="Place in the video")
    expect(seek).to_be_enabled()  # once it ran through, its length is known
    button(page, "Pause").click()
    expect(button(page, "Play")).to_be_visible()
    seek.focus()
    page.keyboard.press("Home")
    at = "document.querySelector('[data-video]').currentTime"
    wait_until(page, lambda: page.evaluate(at) == 0, "the beginning")
    answered = state(page)["stats"]["answered"]
    wait_until(page, lambda: state(page)["stats"]["answered"] > answered + 5, "more answers")
    assert state(page)["phase"] == "running"
    expect(page.locator("[data-headline]")).to_have_text("Happy")
    button(page, "Play").click()
    wait_until(page, lambda: page.evaluate(at) > 0.2, "the video going on")


@pytest.mark.parametrize("size", [(390, 844), (844, 390), (360, 740)])
def test_picture_and_reading_are_on_one_screen_of_a_phone(
    page: Page, double: ServerProcess, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    running(page, double)
    targets = page.locator(".toolbar button:visible")
    for place in ("[data-stage]", "[data-headline]", ".bars"):
        box = page.locator(place).bounding_box()
        assert box is not None
        assert box["x"] >= 0 and box["x"] + box["width"] <= size[0], place
        assert box["y"] >= 0 and box["y"] + box["height"] <= size[1], place
    for index in range(targets.count()):
        box = targets.nth(index).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    tops = {round(box["y"]) for box in (t.bounding_box() for t in targets.all()) if box}
    assert len(tops) == 1, "one row"
