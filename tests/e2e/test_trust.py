"""Steadiness and the resting face on the real page, before the real server."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import start, state, wait_until
from tests.e2e.servers import ServerProcess

pytestmark = pytest.mark.slow


def test_a_resting_face_is_measured_shown_and_forgotten(
    camera_page: Page, real: ServerProcess
) -> None:
    page = camera_page
    start(page, real.url)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Measure resting face").click()
    text = page.locator("[data-baseline-text]")
    expect(text).to_contain_text("to go")
    page.get_by_role("button", name="Cancel").click()
    expect(text).to_have_text("")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Measure resting face").click()
    expect(text).to_contain_text("adjusted to your resting face")
    wait_until(
        page,
        lambda: any(face["unadjusted"] for face in state(page)["result"]["faces"]),
        "scores with and without it",
    )
    # how much it changes depends on the model and the face: here only that it ends when told
    page.get_by_role("button", name="Forget").click()
    wait_until(
        page,
        lambda: all(not face["unadjusted"] for face in state(page)["result"]["faces"]),
        "the end of the adjustment",
    )


def test_the_steadiness_is_sent_and_remembered(camera_page: Page, real: ServerProcess) -> None:
    page = camera_page
    start(page, real.url)
    page.get_by_role("button", name="More").click()
    choice = page.get_by_role("combobox", name="Labels")
    expect(choice).to_have_value("balanced")
    choice.select_option("calm")
    expect(page.locator("[data-steadiness]")).to_have_attribute("data-applied", "calm")
    start(page, real.url)
    page.get_by_role("button", name="More").click()
    expect(choice).to_have_value("calm")
    expect(page.locator("[data-steadiness]")).to_have_attribute("data-applied", "calm")
