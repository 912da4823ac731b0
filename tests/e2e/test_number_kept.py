"""A lone person keeps the number: away for 3 and for 12 s, and with a phone that is turned."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright

from tests.e2e.browser import chromium, start, state, wait_until
from tests.e2e.scenes import FPS, Picture, astronaut, background, moving_scene, write_mjpeg
from tests.e2e.servers import ServerProcess

pytestmark = pytest.mark.slow

# Every change between "somebody" and "nobody" in the results, with its time and the numbers drawn.
_WATCH = """() => {
  window.changes = [];
  let seen = null;
  setInterval(() => {
    const {result} = window.mien.state;
    if (!result || seen === result.faces.length > 0) return;
    seen = result.faces.length > 0;
    window.changes.push({seen, ms: result.capturedMs});
  }, 30);
}"""

# A camera that can be turned: upright it sends the middle of the same picture, 360 x 480.
_TURNED = """(() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.turned = false;
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const video = document.createElement('video');
    video.muted = true;
    video.srcObject = await open(wanted);
    await video.play();
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    const paint = () => {
      const width = window.turned ? 360 : 640;
      if (canvas.width !== width) canvas.width = width;
      canvas.height = 480;
      context.drawImage(video, window.turned ? 140 : 0, 0, width, 480, 0, 0, width, 480);
    };
    paint();
    setInterval(paint, 40);
    return canvas.captureStream(25);
  };
})()"""


def _still(t: float) -> tuple[float, float, float]:
    return 320.0, 252.0, 1.12


def _scene() -> Iterable[Picture]:
    """Here for 3 s, away for 3.5 s, here for 3 s, away for 12.5 s; then from the beginning."""
    (here,) = moving_scene(astronaut()[:390], _still, 1 / FPS)
    for picture, seconds in ((here, 3), (background(), 3.5), (here, 3), (background(), 12.5)):
        yield from [picture] * round(seconds * FPS)


def numbers(page: Page) -> set[int]:
    return {drawn["number"] for drawn in state(page)["drawn"]}


def test_a_lone_person_keeps_the_number_while_away(
    real: ServerProcess, playwright: Playwright, tmp_path: Path
) -> None:
    with chromium(playwright, write_mjpeg(tmp_path / "away.mjpeg", _scene())) as browser:
        page = browser.new_page()
        start(page, real.url)
        page.evaluate(_WATCH)

        def gaps() -> list[float]:
            changes: list[dict[str, Any]] = page.evaluate("window.changes")
            return [
                (after["ms"] - before["ms"]) / 1000
                for before, after in pairwise(changes)
                if after["seen"]
            ]

        def both() -> bool:
            assert numbers(page) <= {1}, state(page)
            found = gaps()
            return any(2 < gap < 6 for gap in found) and any(10 < gap < 15 for gap in found)

        wait_until(page, both, "a return after 3 s and one after 12 s")
        wait_until(page, lambda: numbers(page) == {1}, "the same number")


def test_a_phone_that_is_turned_keeps_the_number(real: ServerProcess, camera_page: Page) -> None:
    page = camera_page
    page.add_init_script(_TURNED)
    start(page, real.url)
    wait_until(page, lambda: numbers(page) == {1}, "the first number")
    for turned, width in ((True, 360), (False, 640), (True, 360)):
        page.evaluate("(turned) => (window.turned = turned)", turned)

        def there(width: int = width) -> bool:
            result = state(page)["result"]
            assert numbers(page) <= {1}, state(page)
            return bool(result and result["frame"]["width"] == width and numbers(page))

        wait_until(page, there, f"a face in a picture {width} wide")
