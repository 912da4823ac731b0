"""A camera that stands still, a hidden tab, a lost server: no old reading is shown as a new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import complaints, start, state, wait_until
from tests.e2e.servers import ServerProcess
from tests.support.live_double import face

# A camera whose frames can be held back: the track stays live and no event tells of it.
_FAUCET = """(() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    window.camera = {open: true};
    const [track] = (await open(wanted)).getVideoTracks();
    const out = new MediaStreamTrackGenerator({kind: 'video'});
    const pass = (frame, next) => window.camera.open ? next.enqueue(frame) : frame.close();
    new MediaStreamTrackProcessor({track}).readable
      .pipeThrough(new TransformStream({transform: pass})).pipeTo(out.writable).catch(() => {});
    out.getSettings = () => track.getSettings();
    return new MediaStream([out]);
  };
})()"""
_VISIBILITY = """(hidden) => {
  Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event('visibilitychange'));
}"""
_TRACK = "document.querySelector('[data-video]').srcObject.getVideoTracks()[0]"


@pytest.fixture
def page(camera_page: Page, double: ServerProcess) -> Iterator[Page]:
    double.post_json("double", {"fault": None, "faces": [face([180, 140, 330, 290], "happy", 1)]})
    camera_page.add_init_script(_FAUCET)
    yield camera_page
    double.post_json("double", {"faces": None})


def expect_no_reading(page: Page, headline: str) -> None:
    expect(page.locator("[data-headline]")).to_have_text(headline)
    expect(page.locator("[data-reading]")).to_have_attribute("data-has-face", "no")
    expect(page.locator(".bar--happy .bar__value")).to_have_text("–")
    wait_until(page, lambda: state(page)["drawn"] == [], "no box of an old result")


def expect_reading(page: Page) -> None:
    expect(page.locator("[data-headline]")).to_have_text("Happy")
    wait_until(page, lambda: state(page)["drawn"], "a box again")


def test_a_frozen_camera_takes_the_reading_away_and_says_so(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    expect_reading(page)
    page.evaluate("camera.open = false")
    expect_no_reading(page, "The picture stands still")
    expect(page.get_by_role("alert")).to_contain_text("sends nothing new")
    expect(page.locator("[data-announcer]")).to_contain_text("stands still")
    assert page.evaluate(f"{_TRACK}.readyState") == "live"
    page.evaluate("camera.open = true")
    expect_reading(page)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_frozen_camera_can_be_started_again(page: Page, double: ServerProcess) -> None:
    start(page, double.url)
    page.evaluate("camera.open = false")
    again = page.get_by_role("button", name="Start the camera again")
    expect(again).to_be_visible()
    again.click()  # and the new track sends
    expect_reading(page)


def test_a_muted_camera_is_told_even_while_black_pictures_come(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    mute = (
        f"(muted) => Object.defineProperty({_TRACK}, 'muted',"
        " {configurable: true, get: () => muted})"
    )
    page.evaluate(mute, True)
    expect_no_reading(page, "The picture stands still")
    page.evaluate(mute, False)
    expect_reading(page)


def test_a_tab_that_comes_back_to_a_dead_camera_shows_no_old_reading(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    expect_reading(page)
    page.evaluate(_VISIBILITY, True)
    expect_no_reading(page, "Paused")
    page.evaluate("camera.open = false")
    page.evaluate(_VISIBILITY, False)
    expect(page.locator("[data-headline]")).not_to_have_text("Happy")
    expect_no_reading(page, "The picture stands still")


def test_a_tab_that_comes_back_to_an_ended_camera_says_so(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    page.evaluate(_VISIBILITY, True)
    page.evaluate(f"{_TRACK}.stop()")  # without an event, as a system that slept does it
    page.evaluate(_VISIBILITY, False)
    expect(page.get_by_role("alert")).to_contain_text("disconnected")
    expect_no_reading(page, "No picture")


@pytest.mark.slow
def test_a_killed_server_takes_the_reading_away(page: Page, double: ServerProcess) -> None:
    start(page, double.url)
    expect_reading(page)
    double.kill()
    try:
        expect_no_reading(page, "No connection")
    finally:
        double.start()
        double.post_json("double", {"faces": [face([180, 140, 330, 290], "happy", 1)]})
    expect_reading(page)


@pytest.mark.slow
def test_a_server_that_stops_answering_takes_the_reading_away(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    double.post_json("double", {"fault": "inference_timeout"})
    expect_no_reading(page, "No fresh reading")
    double.post_json("double", {"fault": None})
    expect_reading(page)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_a_frozen_picture_nor_under_more(
    page: Page, double: ServerProcess, theme: Any
) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    start(page, double.url)

    page.get_by_role("button", name="More").click()
    expect(page.get_by_role("dialog", name="Picture and reading")).to_be_visible()
    assert complaints(page) == []
    page.keyboard.press("Escape")
    page.evaluate("camera.open = false")
    expect(page.get_by_role("alert")).to_contain_text("sends nothing new")
    assert complaints(page) == []
