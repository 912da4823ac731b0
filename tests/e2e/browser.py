"""Chromium with a fake camera, and waiting for the page without sleeping blindly."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.e2e.servers import ROOT

PATIENCE_S = 90.0  # for a machine that is busy with other things; nothing waits for it in vain

expect.set_options(timeout=PATIENCE_S * 1000)

_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
)


def chromium_path() -> str:
    """Chromium's path from ``MIEN_TEST_CHROMIUM`` or ``PATH``; skips the test without one."""
    named = os.environ.get("MIEN_TEST_CHROMIUM")
    found = named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if not found:
        pytest.skip("needs browser: no Chromium on PATH; set MIEN_TEST_CHROMIUM to one")
    return found


@contextmanager
def chromium(
    playwright: Playwright,
    camera: Path | None,
    *,
    allow: bool = True,
    flags: Sequence[str] = (),
) -> Iterator[Browser]:
    """A headless browser whose only camera plays ``camera`` (MJPEG).

    ``allow`` answers the browser's question for the camera with yes; otherwise it is denied.
    """
    used = [*_FLAGS, *flags]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        used.append("--no-sandbox")
    if allow:
        used.append("--use-fake-ui-for-media-stream")
    if camera is not None:
        used.append(f"--use-file-for-fake-video-capture={camera}")
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=used)
    try:
        yield browser
    finally:
        browser.close()


def wait_until(
    page: Page, condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S
) -> Any:
    """Polls ``condition`` until it is true and returns its value; fails saying ``what``.

    Playwright's own ``wait_for_function`` needs ``eval``, which the page's policy forbids.
    """
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"Waited {patience_s:.0f} s for: {what}. State: {state(page)}")
        page.wait_for_timeout(20)


def state(page: Page) -> dict[str, Any]:
    """What the page holds now (``window.mien.state``); nothing on a page without it."""
    value: dict[str, Any] = page.evaluate("window.mien ? window.mien.state : {}")
    return value


def start(page: Page, url: str) -> None:
    """Opens the page, starts the camera and waits for the first answers."""
    page.goto(url)
    page.get_by_role("button", name="Start the camera").click()
    wait_until(page, lambda: state(page)["stats"]["answered"] >= 3, "three answered frames")


def collect_problems(page: Page) -> list[str]:
    """A list that fills with every script error and console error of the page."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    return problems


def complaints(page: Page) -> list[str]:
    """What axe finds wrong for people who use a screen reader or a keyboard, one line each."""
    axe = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("needs browser: axe-core is not in node_modules; run npm ci")
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found]


def shot(page: Page, name: str) -> None:
    """A screenshot where ``MIEN_TEST_SCREENSHOTS`` names a folder for them."""
    folder = os.environ.get("MIEN_TEST_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
