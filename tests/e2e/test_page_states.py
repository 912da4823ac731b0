"""What the page says and does when something is wrong, and that everybody can use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.e2e.browser import chromium, complaints, start, state, wait_until
from tests.e2e.servers import ServerProcess
from tests.support.live_double import face, scores_of

_FAIL_CAMERA = """
navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', %s); };
"""
_HIDE_PICTURES = """(() => {
  const read = CanvasRenderingContext2D.prototype.getImageData;
  CanvasRenderingContext2D.prototype.getImageData = function (...place) {
    const picture = read.apply(this, place);
    picture.data.set(crypto.getRandomValues(new Uint8Array(picture.data.length)));
    return picture;
  };
})()"""
_VISIBILITY = """(hidden) => {
  Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
  document.dispatchEvent(new Event('visibilitychange'));
}"""
_VIDEO_FRAMES = """(count) => new Promise((resolve) => {
  const video = document.querySelector('[data-video]');
  const next = () => (count-- > 0 ? video.requestVideoFrameCallback(next) : resolve(true));
  next();
})"""


@pytest.fixture
def page(camera_page: Page, double: ServerProcess) -> Iterator[Page]:
    double.post_json("double", {"fault": None, "faces": None})
    yield camera_page


def alert(page: Page) -> Any:
    return page.get_by_role("alert")


# --- the camera


def test_a_denied_camera_is_explained(double: ServerProcess, playwright: Playwright) -> None:
    with chromium(playwright, None, allow=False) as browser:
        page = browser.new_page()
        page.goto(double.url)
        page.get_by_role("button", name="Start the camera").click()
        expect(alert(page)).to_contain_text("not allowed")
        expect(page.get_by_role("button", name="Try again")).to_be_focused()


def test_an_insecure_address_is_explained(double: ServerProcess, playwright: Playwright) -> None:
    with chromium(
        playwright, None, flags=("--host-resolver-rules=MAP mien.test 127.0.0.1",)
    ) as browser:
        page = browser.new_page()
        page.goto(double.url.replace("127.0.0.1", "mien.test"))
        page.get_by_role("button", name="Start the camera").click()
        expect(alert(page)).to_contain_text("safe address")
        expect(alert(page)).to_contain_text("127.0.0.1")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "in use"),
        ("OverconstrainedError", "No camera was found"),
    ],
)
def test_a_camera_that_does_not_open_is_explained(
    page: Page, double: ServerProcess, error: str, words: str
) -> None:
    page.add_init_script(_FAIL_CAMERA % json.dumps(error))
    page.goto(double.url)
    page.get_by_role("button", name="Start the camera").click()
    expect(alert(page)).to_contain_text(words)


def test_a_browser_that_hides_pictures_is_explained(page: Page, double: ServerProcess) -> None:
    page.add_init_script(_HIDE_PICTURES)
    page.goto(double.url)
    page.get_by_role("button", name="Start the camera").click()
    expect(alert(page)).to_contain_text("hides pictures")


def test_a_camera_pulled_out_in_mid_run_is_explained_and_can_be_tried_again(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    expect(page.locator("[data-summary]")).to_contain_text("%")
    page.evaluate(
        "document.querySelector('[data-video]').srcObject.getVideoTracks()[0]"
        ".dispatchEvent(new Event('ended'))"
    )
    expect(alert(page)).to_contain_text("disconnected")
    assert state(page)["drawn"] == []
    expect(page.get_by_role("heading", name="The 60 seconds before")).to_be_visible()
    expect(page.locator("[data-summary]")).to_contain_text("%")
    page.get_by_role("button", name="Try again").click()
    wait_until(page, lambda: state(page)["stats"]["answered"] > 3, "answers again")


def test_another_camera_can_be_chosen(double: ServerProcess, playwright: Playwright) -> None:
    two = "--use-fake-device-for-media-stream=device-count=2"
    with chromium(playwright, None, flags=(two,)) as browser:
        page = browser.new_page()
        start(page, double.url)
        page.get_by_role("button", name="More").click()
        choice = page.get_by_role("combobox", name="Camera")
        expect(choice.locator("option")).to_have_count(2)
        names = choice.locator("option").all_inner_texts()
        used = (
            "document.querySelector('[data-video]').srcObject?.getVideoTracks()[0]"
            ".getSettings().deviceId"
        )
        before = page.evaluate(used)
        choice.select_option(label=names[1])
        wait_until(page, lambda: page.evaluate(used) not in (before, None), "the other camera")
        wait_until(page, lambda: state(page)["stats"]["answered"] > 3, "answers of the other")
        expect(choice).to_have_value(page.evaluate(used))


def test_nothing_starts_before_consent(page: Page, double: ServerProcess) -> None:
    page.goto(double.url)
    consent = page.locator("[data-panel=idle]")
    for words in ("not feelings", "never stored", "at work or in school"):
        expect(consent).to_contain_text(words)
    held = state(page)
    assert (held["phase"], held["connection"]) == ("idle", "off")
    assert page.evaluate("document.querySelector('[data-video]').srcObject") is None


def test_stop_lets_the_camera_go(page: Page, double: ServerProcess) -> None:
    start(page, double.url)
    stream = page.evaluate_handle("document.querySelector('[data-video]').srcObject")
    page.get_by_role("button", name="Stop").click()
    assert stream.evaluate("s => s.getTracks().map(t => t.readyState)") == ["ended"]
    assert state(page)["connection"] == "off"
    assert state(page)["drawn"] == []


def test_a_hidden_tab_sends_nothing(page: Page, double: ServerProcess) -> None:
    start(page, double.url)
    page.evaluate(_VISIBILITY, True)
    assert state(page)["phase"] == "paused"
    sent = state(page)["stats"]["sent"]
    page.evaluate(_VIDEO_FRAMES, 15)
    assert state(page)["stats"]["sent"] == sent
    page.evaluate(_VISIBILITY, False)
    wait_until(page, lambda: state(page)["stats"]["sent"] > sent + 3, "frames after the return")


# --- the server


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("worker_crashed", "starting again"),
        ("inference_unavailable", "starting again"),
        ("inference_timeout", "too long"),
        ("too_many_sessions", "as many viewers"),
        ("nonsense", "reload the page"),
    ],
)
def test_trouble_of_the_server_is_told_in_words_and_ends(
    page: Page, double: ServerProcess, fault: str, words: str
) -> None:
    start(page, double.url)
    double.post_json("double", {"fault": fault})
    notice = page.locator("[data-notice]")
    expect(notice).to_contain_text(words)
    wait_until(page, lambda: state(page)["drawn"] == [], "no box without results")
    double.post_json("double", {"fault": None})
    wait_until(page, lambda: state(page)["drawn"], "boxes again")
    expect(notice).not_to_contain_text(words)


def test_a_new_model_is_told(page: Page, double: ServerProcess) -> None:
    start(page, double.url)
    status = {
        "reason": "model_changed",
        "model": "other-2",
        "workers": {"ready": 1, "total": 1},
    }
    double.post_json("double", {"status": status})
    expect(page.locator("[data-notice]")).to_contain_text("other-2")


def test_doubt_is_shown_as_doubt_and_advice_instead_of_a_label(
    page: Page, double: ServerProcess
) -> None:
    doubtful = face([180, 140, 330, 290], "uncertain", 0.3)
    double.post_json("double", {"faces": [doubtful]})
    start(page, double.url)
    expect(page.locator("[data-headline]")).to_have_text("Unclear")
    expect(page.locator("[data-subline]")).to_contain_text("perhaps happy")
    small = face([180, 140, 230, 190], "angry", 0.9, advice="Come closer: the face is small.")
    double.post_json("double", {"faces": [small]})
    expect(page.locator("[data-subline]")).to_have_text("Come closer: the face is small.")
    expect(page.locator("[data-reading]")).not_to_contain_text("90 %")
    expect(page.locator("[data-headline]")).not_to_contain_text("Angry")


def test_scores_before_and_after_the_resting_face_are_both_shown(
    page: Page, double: ServerProcess
) -> None:
    box = [180.0, 140.0, 330.0, 290.0]
    adjusted = face(box, "happy", 0.6)
    adjusted["unadjusted"] = scores_of("happy", 0.8)
    double.post_json("double", {"faces": [adjusted]})
    start(page, double.url)
    mark = page.locator(".bar--happy .bar__mark")
    expect(mark).to_be_visible()
    expect(mark).to_have_attribute("style", re.compile("left: 80"))
    double.post_json("double", {"faces": [face(box, "happy", 0.6)]})
    expect(mark).to_be_hidden()


def test_a_face_is_chosen_by_keyboard_and_by_click(page: Page, double: ServerProcess) -> None:
    two = [face([100, 140, 250, 290], "happy", 0.8, 1), face([400, 140, 500, 240], "sad", 0.7, 2)]
    double.post_json("double", {"faces": two})
    start(page, double.url)
    headline = page.locator("[data-headline]")
    expect(headline).to_have_text("Happy")
    page.get_by_role("radio", name="Face 1: Happy").focus()
    page.keyboard.press("ArrowRight")
    expect(headline).to_have_text("Sad")
    expect(page.get_by_role("radio", name="Face 2: Sad")).to_be_checked()

    def clicked() -> bool:
        # on a busy machine a box may have faded out by the time the click arrives
        for drawn in state(page)["drawn"]:
            if drawn["key"] == "1":
                x1, y1, x2, y2 = drawn["box"]
                x, y = (x1 + x2) / 2, (y1 + y2) / 2
                page.locator("[data-stage]").click(position={"x": x, "y": y})
        return bool(state(page)["chosen"] == "1")

    wait_until(page, clicked, "the face that was clicked")
    expect(headline).to_have_text("Happy")


# --- everybody


def test_it_can_be_worked_by_keyboard_alone(page: Page, double: ServerProcess) -> None:
    page.goto(double.url)

    def tab_to(name: str) -> None:
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == name:
                return
        pytest.fail(f"Tab does not reach {name}")

    tab_to("Skip to content")
    tab_to("Start the camera")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    wait_until(page, lambda: state(page)["stats"]["answered"] > 3, "answers")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Mirror")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start the camera")).to_be_focused()


def test_the_screen_reader_hears_changes_only(page: Page, double: ServerProcess) -> None:
    happy = face([100, 140, 250, 290], "happy", 0.8)
    double.post_json("double", {"faces": [happy]})
    page.add_init_script(
        "window.heard = []; addEventListener('DOMContentLoaded', () => new MutationObserver(() =>"
        " heard.push(document.querySelector('[data-announcer]').textContent)).observe("
        "document.querySelector('[data-announcer]'), {childList: true, subtree: true}))"
    )
    start(page, double.url)
    wait_until(page, lambda: state(page)["stats"]["answered"] > 30, "thirty answers")
    double.post_json("double", {"faces": []})
    expect(page.locator("[data-announcer]")).to_have_text("No face in the picture.")
    assert page.evaluate("window.heard") == ["One face. Happy.", "No face in the picture."]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(page: Page, double: ServerProcess, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)

    page.goto(double.url)
    assert complaints(page) == []
    start(page, double.url)
    expect(page.locator("[data-headline]")).not_to_contain_text("Looking")
    assert complaints(page) == []
    double.post_json("double", {"fault": "worker_crashed"})
    expect(page.locator("[data-notice]")).to_contain_text("starting again")
    assert complaints(page) == []
    double.post_json("double", {"fault": None})


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_nothing_is_cut_off_at_any_width(page: Page, double: ServerProcess, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(double.url)
    overflow = "document.documentElement.scrollWidth - window.innerWidth"
    assert page.evaluate(overflow) <= 0
    start(page, double.url)
    assert page.evaluate(overflow) <= 0


def test_a_missing_page_is_an_error_page_of_ours(page: Page, double: ServerProcess) -> None:
    page.goto(double.url)
    answer = page.request.get(double.url + "nowhere")
    assert answer.status == 404
    assert "There is no page here" in answer.text()
