"""Fixtures of the browser tests: fake cameras, servers, and a page that counts its problems."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.e2e import scenes
from tests.e2e.browser import chromium, chromium_path, collect_problems
from tests.e2e.servers import ROOT, ServerProcess, double_server, real_server
from tests.support.models import activate, make_version


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright, for one module only: while it runs, asyncio.run() cannot be used."""
    chromium_path()
    if not (ROOT / "static" / "vendor" / "versions.json").is_file():
        pytest.skip("needs browser: static/vendor is empty; run make vendor")
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def astronaut_mjpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera file with one moving real face."""
    return scenes.astronaut_camera(tmp_path_factory.mktemp("camera") / "astronaut.mjpeg")


@pytest.fixture(scope="session")
def two_people_mjpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera file with two real faces that sway beside each other."""
    return scenes.two_people_camera(tmp_path_factory.mktemp("camera") / "two.mjpeg")


@pytest.fixture(scope="session")
def any_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped models where there are any, otherwise a tiny untrained one."""
    if (ROOT / "models" / "ACTIVE").is_file():
        return ROOT / "models"
    folder = tmp_path_factory.mktemp("models")
    make_version(folder, "test-1")
    activate(folder, "test-1")
    return folder


@pytest.fixture(scope="module")
def real(any_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The real server with one real worker; tests that kill it start it again."""
    server = real_server(any_models, tmp_path_factory.mktemp("real") / "server.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The double, whose answers the test sets."""
    server = double_server(tmp_path_factory.mktemp("double") / "server.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def camera_page(playwright: Playwright, astronaut_mjpeg: Path) -> Iterator[Page]:
    """A page whose camera shows the astronaut and that had no script error when the test ends."""
    with chromium(playwright, astronaut_mjpeg) as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        problems = collect_problems(page)
        yield page
        # A server killed on purpose leaves failed requests in the console; nothing else may.
        assert [p for p in problems if "net::ERR_" not in p and "WebSocket" not in p] == []


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser without a camera."""
    with chromium(playwright, None) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own that had no script error when the test ends."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    problems = collect_problems(opened)
    yield opened
    context.close()
    # a refused form is answered with 4xx, which Chromium itself reports
    assert [p for p in problems if "Failed to load resource" not in p] == []
