"""Several people, nobody, and the dark: colours and lanes of faces, advice instead of labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Playwright, expect

from tests.e2e import scenes
from tests.e2e.browser import chromium, collect_problems, complaints, start, state, wait_until
from tests.e2e.servers import ServerProcess
from tests.support.live_double import face
from webapp.domain import EMOTIONS

pytestmark = pytest.mark.slow

# For each drawn box its number, and whether the canvas has that face's colour on the box's edges.
# A doubtful face has a dashed outline, so that one point alone may lie between two strokes.
_OUTLINES = """() => {
  const canvas = document.querySelector('[data-overlay]');
  const ratio = canvas.width / canvas.clientWidth;
  const context = canvas.getContext('2d');
  const style = getComputedStyle(canvas);
  const has = (x, y, hex) => {
    const wanted = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    const [left, top] = [x, y].map((v) => Math.round(v * ratio) - 8);
    const {data} = context.getImageData(left, top, 17, 17);
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] > 250 && wanted.every((v, k) => Math.abs(v - data[i + k]) < 4)) return true;
    }
    return false;
  };
  return window.mien.state.drawn.map(({number, box: [x1, y1, x2, y2], opacity}) => {
    const hex = style.getPropertyValue(`--face-${number}`).trim();
    const edges = [[x1, (y1 + y2) / 2], [x2, (y1 + y2) / 2], [(x1 + x2) / 2, y2]];
    return {number, hex, painted: opacity === 1 && edges.every(([x, y]) => has(x, y, hex))};
  });
}"""

# Whether a lane's drawing has paint on it.
_PAINTED = """(canvas) => canvas.getContext('2d')
  .getImageData(0, 0, canvas.width, canvas.height).data.some((v, i) => i % 4 === 3 && v > 100)"""

_SECONDS = re.compile(r"^[A-Z][a-z]+ \d+ s(, [a-z ]+ \d+ s)*\.$")  # "Neutral 12 s, happy 3 s."
_AWAY = re.compile(r"^Sad \d+ s, not seen \d+ s\.$")


@contextmanager
def camera(playwright: Playwright, file: Path) -> Iterator[Page]:
    """A page whose camera plays ``file`` and that had no script error when the block ends."""
    with chromium(playwright, file) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        problems = collect_problems(page)
        yield page
        assert problems == []


def lanes(page: Page) -> Locator:
    """The lanes' radio buttons."""
    group = page.get_by_role("radiogroup", name="Last 60 seconds of each face")
    return group.get_by_role("radio")


def chosen_number(page: Page) -> int | None:
    held = state(page)
    numbers = {lane["key"]: lane["number"] for lane in held["lanes"]}
    return numbers.get(held["chosen"])


# --- before the real server


def test_two_people_have_a_colour_a_number_and_a_lane_each(
    real: ServerProcess, playwright: Playwright, two_people_mjpeg: Path
) -> None:
    with camera(playwright, two_people_mjpeg) as page:
        start(page, real.url)
        expect(lanes(page)).to_have_count(2)

        def both_painted() -> Any:
            found = page.evaluate(_OUTLINES)
            return len(found) == 2 and all(box["painted"] for box in found) and found

        outlines = wait_until(page, both_painted, "two outlines, each in its face's colour")
        assert {box["number"] for box in outlines} == {1, 2}
        assert len({box["hex"] for box in outlines}) == 2

        for number in (1, 2):
            lane = page.get_by_role("radio", name=f"Face {number}, in view")
            expect(lane).to_have_accessible_description(_SECONDS)
            drawing = lane.locator("xpath=..").locator("canvas")
            assert drawing.evaluate(_PAINTED), "nothing is painted in the lane"

        page.get_by_role("radio", name="Face 1, in view").focus()
        page.keyboard.press("Space")
        wait_until(page, lambda: chosen_number(page) == 1, "face 1 chosen")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("radio", name="Face 2, in view")).to_be_checked()
        expect(page.get_by_role("radio", name="Face 2, in view")).to_be_focused()
        assert chosen_number(page) == 2
        expect(page.locator("[data-reading-tag]")).to_have_text("2")
        expect(page.locator("[data-faces]").get_by_role("radio").nth(1)).to_be_checked()


def test_a_dark_face_gets_advice_and_never_a_label(
    real: ServerProcess, playwright: Playwright, tmp_path: Path
) -> None:
    file = scenes.dark_camera(tmp_path / "dark.mjpeg", light=0.2, noise=3)
    with camera(playwright, file) as page:
        start(page, real.url)
        expect(page.locator("[data-headline]")).to_have_text("Hard to read")
        expect(page.locator("[data-subline]")).to_contain_text("More light on the face")
        seen: dict[int, list[dict[str, Any]]] = {}

        def enough() -> bool:
            result = state(page)["result"]
            seen[result["seq"]] = result["faces"]
            words = page.locator("[data-headline]").inner_text()
            assert words.lower() not in EMOTIONS, f"a label in the dark: {words}"
            return len(seen) >= 15

        wait_until(page, enough, "fifteen results in the dark")
        read = [found for result in seen.values() for found in result]
        assert read, "no face at all was found"
        assert [found for found in read if found["quality"]["ok"]] == []


def test_a_picture_too_dark_for_any_face_gets_advice(
    real: ServerProcess, playwright: Playwright, tmp_path: Path
) -> None:
    file = scenes.dark_camera(tmp_path / "darker.mjpeg", light=0.05, noise=10)
    with camera(playwright, file) as page:
        start(page, real.url)
        expect(page.locator("[data-headline]")).to_have_text("Too dark to find a face")
        expect(page.locator("[data-subline]")).to_contain_text("More light")
        expect(page.locator("[data-announcer]")).to_contain_text("more light would help")
        assert state(page)["drawn"] == []


def test_nobody_in_a_light_room_is_told_without_talk_of_light(
    real: ServerProcess, playwright: Playwright, tmp_path: Path
) -> None:
    with camera(playwright, scenes.empty_camera(tmp_path / "empty.mjpeg")) as page:
        start(page, real.url)
        expect(page.locator("[data-headline]")).to_have_text("No face in view")
        expect(page.locator("[data-subline]")).to_contain_text("come a little closer")
        expect(page.locator("[data-announcer]")).to_have_text("No face in the picture.")
        expect(lanes(page)).to_have_count(0)
        held = state(page)
        assert (held["drawn"], held["lanes"]) == ([], [])


# --- before the double, whose people come and go when told

ONE = face([90, 140, 250, 300], "happy", 0.8, 1)
TWO = face([400, 140, 500, 240], "sad", 0.7, 2)


@pytest.fixture
def page(camera_page: Page, double: ServerProcess) -> Iterator[Page]:
    double.post_json("double", {"fault": None, "faces": [ONE, TWO]})
    yield camera_page
    double.post_json("double", {"faces": None})


def test_one_face_alone_has_no_lane_and_no_number(page: Page, double: ServerProcess) -> None:
    double.post_json("double", {"faces": [ONE]})
    start(page, double.url)
    wait_until(page, lambda: len(state(page)["lanes"]) == 1, "a face seen for a second")
    expect(page.locator("[data-lanes]")).to_be_hidden()
    expect(page.locator("[data-reading-tag]")).to_be_hidden()


def test_a_face_that_left_keeps_its_lane_and_can_be_looked_at(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    expect(lanes(page)).to_have_count(2)
    double.post_json("double", {"faces": [ONE]})
    gone = page.get_by_role("radio", name="Face 2, away")
    expect(gone).to_be_visible()
    expect(gone).to_have_accessible_description(_AWAY)
    expect(page.locator("[data-headline]")).to_have_text("Happy")
    page.locator(".lane--away").click()
    expect(page.locator("[data-headline]")).to_have_text("Face 2 is not in view")
    expect(page.locator("[data-summary]")).to_have_text("Sad 100 %")
    before = state(page)["stats"]["answered"]
    wait_until(page, lambda: state(page)["stats"]["answered"] > before + 10, "more answers")
    expect(gone).to_be_checked()
    double.post_json("double", {"faces": [ONE, TWO]})
    expect(page.locator("[data-headline]")).to_have_text("Sad")
    page.get_by_role("radio", name="Face 1, in view").focus()
    page.keyboard.press("Space")
    expect(page.locator("[data-headline]")).to_have_text("Happy")


def test_after_a_new_connection_nobody_goes_on_in_the_lane_of_another(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    expect(lanes(page)).to_have_count(2)
    double.kill()
    try:
        expect(page.locator("[data-connection-text]")).to_have_text("Reconnecting")
    finally:
        double.start()  # it counts its faces from 1 again
    expect(page.get_by_role("radio", name=re.compile("Face [34], in view"))).to_have_count(2)
    expect(page.get_by_role("radio", name=re.compile("Face [12], away"))).to_have_count(2)


def test_stop_takes_the_lanes_away(page: Page, double: ServerProcess) -> None:
    start(page, double.url)
    expect(lanes(page)).to_have_count(2)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("[data-lanes]")).to_be_hidden()
    expect(page.locator("[data-reading-tag]")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about_with_lanes(
    page: Page, double: ServerProcess, theme: Any
) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    start(page, double.url)
    expect(lanes(page)).to_have_count(2)
    double.post_json("double", {"faces": [ONE]})
    expect(page.get_by_role("radio", name="Face 2, away")).to_be_visible()
    assert complaints(page) == []


@pytest.mark.parametrize("width", [360, 1440])
def test_eight_faces_have_eight_colours_and_nothing_is_cut_off(
    page: Page, double: ServerProcess, width: int
) -> None:
    crowd = [
        face([20 + 155 * (i % 4), 60 + 220 * (i // 4), 130 + 155 * (i % 4), 170 + 220 * (i // 4)],
             EMOTIONS[i % 7], 0.8, i + 1)
        for i in range(8)
    ]  # fmt: skip
    double.post_json("double", {"faces": crowd})
    page.set_viewport_size({"width": width, "height": 900})
    start(page, double.url)
    expect(lanes(page)).to_have_count(8)
    outlines = wait_until(page, lambda: page.evaluate(_OUTLINES), "boxes")
    assert len({box["hex"] for box in outlines}) == 8
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
