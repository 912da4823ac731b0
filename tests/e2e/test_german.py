"""A browser that asks for German: the live page and the switch (a report: test_survey)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.e2e.browser import chromium, collect_problems, complaints, state, wait_until
from tests.e2e.servers import ServerProcess

NAMES = ["Ärger", "Ekel", "Angst", "Freude", "Trauer", "Überraschung", "Neutral"]


@pytest.fixture
def page(playwright: Playwright, astronaut_mjpeg: Path) -> Iterator[Page]:
    with chromium(playwright, astronaut_mjpeg) as browser:
        context = browser.new_context(locale="de-DE", viewport={"width": 390, "height": 844})
        opened = context.new_page()
        problems = collect_problems(opened)
        yield opened
        assert problems == []


def test_the_live_page_in_german(page: Page, double: ServerProcess) -> None:
    page.goto(double.url)
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == [
        "de",
        "ltr",
    ]
    page.get_by_role("button", name="Kamera starten").click()
    wait_until(page, lambda: state(page)["stats"]["answered"] >= 3, "three answered frames")
    expect(page.locator("[data-connection-text]")).to_have_text("Verbunden")
    expect(page.locator("[data-headline-text]")).to_have_text(re.compile("|".join(NAMES)))
    expect(page.locator("[data-subline]")).to_contain_text("wahrscheinlich")
    names = page.locator(".bar__name")
    expect(names).to_have_text(NAMES)
    for bar in page.locator(".bar").all():  # the longest word does not run into its bar
        name, track = bar.locator(".bar__name"), bar.locator(".bar__track")
        width = name.evaluate("e => { const r = document.createRange(); r.selectNodeContents(e);"
                              " return r.getBoundingClientRect().right; }")  # fmt: skip
        box = track.bounding_box()
        assert box is not None and width <= box["x"]
    assert complaints(page) == []
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("button", name="Start the camera")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"
