"""``python -m bench.overlay --json -``: how far does the drawn box trail a moving head?

Chromium plays a camera file in which a head moves to and fro at an even speed; a strip of squares
below it carries the number of each frame, so that what is on the screen is known. At each repaint
the page's drawn box is compared with where the head is in the picture shown at that moment. The
real server and worker read the frames. ``--beta`` and ``--glide-ms`` try other values of
``static/js/lib/face-motion.js`` than the shipped ones; ``rest_px`` is the box's trembling on a head
that does not move.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt

from bench.support.heldout import Program
from bench.support.server import running_server

WIDTH, HEIGHT, FPS = 640, 480, 30
CELL, BITS = 20, 10  # of the strip that numbers the frames, px
STRIP = {"WIDTH": WIDTH, "HEIGHT": HEIGHT, "CELL": CELL, "BITS": BITS}
LEFT, RIGHT = 150, 490  # the head's middle moves between, px
SECONDS_OF_FILM = 8
MOTION_FILE = "**/js/lib/face-motion.js"

# At each repaint: the number in the strip, and the middle of the drawn box in pixels of the frame.
_SAMPLE = """({seconds, WIDTH, HEIGHT, CELL, BITS}) => new Promise((resolve) => {
  const video = document.querySelector('[data-video]');
  const stage = document.querySelector('[data-overlay]');
  const canvas = new OffscreenCanvas(WIDTH, CELL);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const rows = [], ends = performance.now() + seconds * 1000;
  const look = () => {
    if (performance.now() > ends) return resolve(rows);
    requestAnimationFrame(look);
    const {drawn, result, meters} = window.mien.state;
    if (drawn.length !== 1 || drawn[0].opacity < 1) return;
    const {videoWidth: w, videoHeight: h} = video;
    const cell = h * CELL / HEIGHT;
    context.drawImage(video, 0, h - cell, w, cell, 0, 0, WIDTH, CELL);
    const {data} = context.getImageData(0, 0, WIDTH, CELL);
    let number = 0;
    for (let bit = 0; bit < BITS; bit += 1) {
      const at = 4 * (WIDTH * CELL / 2 + bit * CELL + CELL / 2);
      number += (data[at] > 127) << bit;
    }
    const {width, height} = result.frame;
    const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    const [x1, , x2] = drawn[0].box;
    const middle = ((x1 + x2) / 2 - (stage.clientWidth - scale * width) / 2) / scale;
    rows.push([number, middle * WIDTH / width, (x2 - x1) / scale, meters.ageMs]);
  };
  requestAnimationFrame(look);
})"""


def place(speed: float, index: int) -> float:
    """Where the head's middle is in frame ``index``, px; it turns at both ends."""
    if not speed:
        return (LEFT + RIGHT) / 2
    way = RIGHT - LEFT
    there_s = way / speed
    turns = max(1, round(SECONDS_OF_FILM / (2 * there_s)))  # so that the film's end meets its start
    phase = (index * turns / (SECONDS_OF_FILM * FPS)) % 1.0
    return LEFT + way * (1 - abs(1 - 2 * phase))


def film(path: Path, speed: float) -> Path:
    """An MJPEG of the moving head, numbered."""
    import skimage.data

    rgb: npt.NDArray[np.uint8] = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    head = np.ascontiguousarray(rgb[:270, 90:350, ::-1])
    rng = np.random.default_rng(1)
    with path.open("wb") as stream:
        for index in range(SECONDS_OF_FILM * FPS):
            frame = np.full((HEIGHT, WIDTH, 3), 130, np.uint8)
            move = np.array(
                [[1, 0, place(speed, index) - head.shape[1] / 2], [0, 1, 90]], np.float32
            )
            cv2.warpAffine(
                head, move, (WIDTH, HEIGHT), dst=frame, borderMode=cv2.BORDER_TRANSPARENT
            )
            noisy = frame + rng.normal(0, 2, frame.shape)
            for bit in range(BITS):
                noisy[-CELL:, bit * CELL : (bit + 1) * CELL] = 255 * (index >> bit & 1)
            done, data = cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8))
            if not done:
                raise RuntimeError("OpenCV could not write a JPEG.")
            stream.write(data.tobytes())
    return path


@contextmanager
def page_with(camera: Path, beta: float | None, glide_ms: float | None) -> Iterator[Any]:
    """A page whose camera plays ``camera``, with other values of the motion if given."""
    from playwright.sync_api import Route, sync_playwright

    from tests.e2e.browser import chromium

    def changed(route: Route) -> None:
        text = route.fetch().text()
        for name, value in (("beta", beta), ("glideMs", glide_ms)):
            if value is not None:
                text, count = re.subn(rf"{name}: [\d.]+", f"{name}: {value:g}", text)
                if count != 1:
                    raise RuntimeError(f"Expected one {name} in face-motion.js. Found {count}.")
        route.fulfill(body=text, content_type="text/javascript")

    with sync_playwright() as playwright, chromium(playwright, camera) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.route(MOTION_FILE, changed)
        yield page


def errors(rows: npt.NDArray[np.float64], speed: float) -> dict[str, Any]:
    """Figures of one run from rows of (frame, drawn middle, box width, age of the result in ms)."""
    frames = rows[:, 0].astype(int)
    true = np.array([place(speed, index) for index in frames])
    way = np.array([place(speed, index + 1) - place(speed, index - 1) for index in frames])
    off = rows[:, 1] - true
    off -= off.mean()  # the detector's box need not sit on the picture's middle
    found = {
        "repaints": len(rows),
        "box_px": round(float(np.median(rows[:, 2])), 1),
        "result_age_ms": round(float(np.median(rows[:, 3]))),
        "off_px": {
            "median": round(float(np.median(np.abs(off))), 1),
            "p95": round(float(np.quantile(np.abs(off), 0.95)), 1),
        },
    }
    if speed:
        even = np.abs(way) > 0.99 * np.abs(way).max()  # not where it turns
        behind = -off[even] * np.sign(way[even])
        found["behind_ms"] = round(float(np.median(behind)) / speed * 1000, 1)
    return found


@click.command(cls=Program, help=__doc__)
@click.option("--speed", "speeds", multiple=True, type=float, default=(0.0, 220.0, 590.0))
@click.option("--seconds", default=12.0, show_default=True)
@click.option("--beta", type=float, help="How far a result corrects the speed; the shipped value.")
@click.option("--glide-ms", type=float, help="Decay of a correction; the shipped value.")
@click.option("--json", "target", type=click.File("w"), default="-")
def main(
    speeds: tuple[float, ...],
    seconds: float,
    beta: float | None,
    glide_ms: float | None,
    target: Any,
) -> None:
    from tests.e2e.browser import start

    runs = {}
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        for speed in speeds:
            camera = film(Path(folder) / f"{speed:g}.mjpeg", speed)
            with page_with(camera, beta, glide_ms) as page:
                start(page, server.url)
                page.evaluate("document.querySelector('[data-action=mirror]').click()")
                page.wait_for_timeout(2000)  # the filters settle
                rows = np.array(page.evaluate(_SAMPLE, {"seconds": seconds, **STRIP}), float)
            if len(rows) < 20:
                raise click.ClickException(f"Only {len(rows)} repaints had a box.")
            runs[f"{speed:g}"] = errors(rows, speed)
    shipped = "shipped"
    report = {"beta": beta or shipped, "glide_ms": glide_ms or shipped, "by_px_per_s": runs}
    json.dump(report, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
