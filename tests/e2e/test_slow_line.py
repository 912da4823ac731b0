"""The live page over 400 kbit/s: what it takes until Start can be pressed, and until a reading."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.e2e.browser import chromium, state, wait_until
from tests.e2e.servers import ServerProcess

LINE = {"offline": False, "downloadThroughput": 50_000, "uploadThroughput": 50_000, "latency": 40}

pytestmark = pytest.mark.slow


class Traffic:
    """Counts what the browser receives, in requests and in bytes as they came over the line."""

    def __init__(self, page: Page) -> None:
        self.requests = 0
        self.received_bytes = 0.0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", LINE)
        session.on("Network.loadingFinished", self._finished)

    def _finished(self, event: dict[str, float]) -> None:
        self.requests += 1
        self.received_bytes += event["encodedDataLength"]


def test_start_works_long_before_the_whole_page_is_here(
    real: ServerProcess, playwright: Playwright, astronaut_mjpeg: Path
) -> None:
    with chromium(playwright, astronaut_mjpeg) as browser:
        page = browser.new_page()
        traffic = Traffic(page)
        page.goto(real.url, wait_until="commit")
        button = page.get_by_role("button", name="Start the camera")
        expect(button).to_be_enabled()
        requests, received = traffic.requests, traffic.received_bytes
        # all of it takes about 60 requests and 220 kB; what comes after Start may have begun
        assert requests <= 35, requests
        assert received < 120_000, received
        button.click()
        wait_until(page, lambda: state(page)["stats"]["answered"] >= 1, "a reading")
        assert traffic.received_bytes > received, "the rest came later"
