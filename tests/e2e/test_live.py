"""The live page against the real server and real workers, with a real face before the camera."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import chromium, start, state, wait_until
from tests.e2e.scenes import empty_camera
from tests.e2e.servers import ServerProcess
from tests.e2e.wire import SentFrames
from webapp.domain import EMOTIONS, UNCERTAIN, Box

# Whether the canvas has paint on each edge of the drawn box, and none in its middle.
_PAINT = """() => {
  const canvas = document.querySelector('[data-overlay]');
  const ratio = canvas.width / canvas.clientWidth;
  const context = canvas.getContext('2d');
  const around = (v) => Math.round(v * ratio) - 3;
  const painted = (x, y) => context.getImageData(around(x), around(y), 7, 7)
    .data.some((v, i) => i % 4 == 3 && v);
  return window.mien.state.drawn.map(({box: [x1, y1, x2, y2]}) => {
    const x = (x1 + x2) / 2, y = (y1 + y2) / 2;
    return {edges: [painted(x1, y), painted(x2, y), painted(x, y1), painted(x, y2)],
            middle: painted(x, y)};
  });
}"""

_MIDDLES = """() => {
  const {result, drawn} = window.mien.state;
  if (!result?.faces.length || drawn.length !== 1) return null;
  const middle = ([x1, , x2]) => (x1 + x2) / 2;
  return [middle(result.faces[0].box) / result.frame.width,
          middle(drawn[0].box) / document.querySelector('[data-overlay]').clientWidth];
}"""

# Two seconds of the running camera as WebM, made by the browser itself.
_RECORD = """() => new Promise((resolve) => {
  const recorder = new MediaRecorder(
    document.querySelector('[data-video]').srcObject, {mimeType: 'video/webm;codecs=vp8'});
  const parts = [];
  recorder.ondataavailable = ({data}) => parts.push(data);
  recorder.onstop = async () =>
    resolve([...new Uint8Array(await new Blob(parts).arrayBuffer())]);
  recorder.start();
  setTimeout(() => recorder.stop(), 2000);
})"""


def _dlib_boxes(grey: np.ndarray[Any, np.dtype[np.uint8]]) -> list[Box]:
    import dlib

    found = dlib.get_frontal_face_detector()(grey, 0)
    return [Box(r.left(), r.top(), r.right() + 1, r.bottom() + 1) for r in found]


def _new_result(page: Page, frames: SentFrames, after: int) -> dict[str, Any]:
    """The next result with a face whose JPEG was seen on the way out."""

    def look() -> dict[str, Any] | None:
        result = state(page)["result"]
        ready = result and result["faces"] and result["seq"] > after
        return result if ready and result["seq"] in frames.jpegs else None

    found: dict[str, Any] = wait_until(page, look, "a result with a face")
    return found


def test_the_page_draws_a_box_where_dlib_finds_the_face(
    real: ServerProcess, camera_page: Page
) -> None:
    page, seq = camera_page, 0
    frames = SentFrames(page)
    start(page, real.url)
    overlaps = []
    for _ in range(5):
        result = _new_result(page, frames, seq)
        seq = result["seq"]
        expected = _dlib_boxes(frames.grey(seq))
        assert expected, "dlib finds no face in the frame itself"
        # dlib also sees a face in the mission patch at times, so every box must be one of dlib's
        (face,) = result["faces"]
        assert face["label"] in (*EMOTIONS, UNCERTAIN)
        overlaps.append(max(Box.from_json(face["box"]).iou(other) for other in expected))
    # boxes are smoothed over frames, so a single one may trail a face that moves
    assert min(overlaps) > 0.5 and np.median(overlaps) > 0.7, overlaps


def test_the_box_is_painted_on_the_canvas_and_mirrored_with_the_picture(
    real: ServerProcess, camera_page: Page
) -> None:
    page = camera_page
    start(page, real.url)

    def painted() -> Any:
        boxes = page.evaluate(_PAINT)
        return boxes and all(all(b["edges"]) and not b["middle"] for b in boxes)

    wait_until(page, painted, "paint on all four edges of every box and none inside")

    def off_middle() -> tuple[float, float]:
        """The face's middle in the frame and on the stage, as shares of the width."""

        def look() -> Any:
            places = page.evaluate(_MIDDLES)
            return places if places and abs(places[0] - 0.5) > 0.08 else None

        in_frame, on_stage = wait_until(page, look, "a face away from the middle")
        return in_frame, on_stage

    mirror = page.get_by_role("button", name="Mirror")
    expect(mirror).to_have_attribute("aria-pressed", "true")
    in_frame, on_stage = off_middle()
    assert abs(on_stage - (1 - in_frame)) < 0.07
    mirror.click()
    expect(mirror).to_have_attribute("aria-pressed", "false")
    wait_until(page, lambda: page.evaluate(_PAINT), "a box again")
    in_frame, on_stage = off_middle()
    assert abs(on_stage - in_frame) < 0.07


def test_a_camera_without_a_face_gets_no_box(
    real: ServerProcess, playwright: Any, tmp_path: Path
) -> None:
    with chromium(playwright, empty_camera(tmp_path / "empty.mjpeg")) as browser:
        page = browser.new_page()
        start(page, real.url)
        assert state(page)["result"]["faces"] == []
        assert state(page)["drawn"] == []
        expect(page.locator("[data-headline]")).to_contain_text("No face in view")


@pytest.mark.slow
def test_a_killed_worker_is_told_and_the_page_goes_on(
    real: ServerProcess, camera_page: Page
) -> None:
    page = camera_page
    start(page, real.url)
    workers = [
        child
        for child in psutil.Process(real.pid).children(recursive=True)
        if "webapp.inference.worker" in " ".join(child.cmdline())
    ]
    assert len(workers) == 1
    workers[0].send_signal(signal.SIGKILL)
    notice = page.locator("[data-notice]")
    expect(notice).to_contain_text("reader")
    wait_until(page, lambda: "again" in notice.inner_text(), "words on the reader's return")
    before = state(page)["stats"]["answered"]
    wait_until(page, lambda: state(page)["stats"]["answered"] > before + 5, "more answers")
    assert state(page)["connection"] == "connected"


@pytest.mark.slow
def test_the_page_comes_back_by_itself_after_a_server_restart(
    real: ServerProcess, camera_page: Page
) -> None:
    page = camera_page
    start(page, real.url)
    real.kill()
    try:
        expect(page.locator("[data-notice]")).to_contain_text("connection")
        expect(page.locator("[data-connection-text]")).to_have_text("Reconnecting")
        wait_until(page, lambda: state(page)["drawn"] == [], "no box without results")
    finally:
        real.start()
    # first, since good news is shown for some seconds only
    expect(page.locator("[data-notice]")).to_contain_text("connection is back")
    expect(page.locator("[data-connection-text]")).to_have_text("Connected")
    before = state(page)["stats"]["answered"]
    wait_until(page, lambda: state(page)["stats"]["answered"] > before + 5, "more answers")


def test_a_video_file_is_read_like_a_camera(
    real: ServerProcess, camera_page: Page, tmp_path: Path
) -> None:
    page = camera_page
    start(page, real.url)
    movie = tmp_path / "recorded.webm"
    movie.write_bytes(bytes(page.evaluate(_RECORD)))
    page.locator("[data-file]").set_input_files(movie)
    expect(page.get_by_role("button", name="Mirror")).to_have_attribute("aria-pressed", "false")
    wait_until(page, lambda: (state(page)["result"] or {}).get("faces"), "a face in the video")


def test_a_file_that_is_no_video_is_refused_in_words(
    real: ServerProcess, camera_page: Page, tmp_path: Path
) -> None:
    page = camera_page
    page.goto(real.url)
    text = tmp_path / "notes.mp4"
    text.write_text("This is not a film.")
    page.locator("[data-file]").set_input_files(text)
    expect(page.get_by_role("alert")).to_contain_text("cannot be played")


def test_everything_comes_from_the_server_itself(real: ServerProcess, camera_page: Page) -> None:
    page = camera_page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    start(page, real.url)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((real.url, "blob:", "data:"))] == []
