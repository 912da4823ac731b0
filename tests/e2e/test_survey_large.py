"""A large ZIP in a real browser: cut off, the page loaded again, and no part sent twice."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, Response, Route, expect

from tests.e2e.browser import chromium, shot, wait_until
from tests.e2e.servers import ServerProcess, real_server
from tests.e2e.test_survey import create
from tests.support.pictures import face_frames

pytestmark = pytest.mark.slow

PART_BYTES = 65_536
CUT_OFF_AFTER = 12
PART_URL = re.compile(r"/large/[0-9a-f]+/\d+$")


@pytest.fixture(scope="module")
def server(any_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("large") / "server.log"
    started = real_server(any_models, log, MIEN_SURVEY_PART_BYTES=str(PART_BYTES))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def page(playwright: Playwright) -> Iterator[Page]:
    with chromium(playwright, None) as opened:
        browser: Browser = opened
        yield browser.new_page(viewport={"width": 1280, "height": 900})


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A ZIP of about 2 MB: five pictures with a face and a large one of noise."""
    path = tmp_path / "set.zip"
    noise = np.random.default_rng(0).bytes(1_900_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        for number, jpeg in enumerate(face_frames()[:5]):
            packed.writestr(f"Package A/{number}.jpg", jpeg)
        packed.writestr("Package A/noise.bin", noise)
    return path


def test_a_cut_off_upload_goes_on_after_a_reload(
    page: Page, server: ServerProcess, archive: Path
) -> None:
    parts = -(-archive.stat().st_size // PART_BYTES)
    stored: list[str] = []

    def note(response: Response) -> None:
        if response.request.method == "PUT" and "/large/" in response.url and response.ok:
            stored.append(response.url.rpartition("/")[2])

    page.on("response", note)
    create(page, server.url, "One large file", keep=True)

    def cut(route: Route) -> None:
        number = int(route.request.url.rpartition("/")[2])
        if number >= CUT_OFF_AFTER:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(PART_URL, cut)
    page.locator("[data-files]").set_input_files(str(archive))
    expect(page.locator("[data-send-rate]")).to_contain_text(
        f"{CUT_OFF_AFTER * PART_BYTES / 1e6:.1f} MB of"
    )
    shot(page, "survey-large-cut-off")
    page.on("dialog", lambda dialog: dialog.accept())  # "leave the page?": an upload is under way
    page.reload()
    # only now: a part tried again just before the reload would be stored with nobody to see it
    page.unroute(PART_URL)
    expect(page.locator("html[data-ready]")).to_have_count(1)
    before = len(stored)
    page.locator("[data-files]").set_input_files(str(archive))
    expect(page.locator("[data-uploaded]")).to_have_text("6")
    expect(page.locator("[data-send-count]")).to_contain_text("were here already")
    shot(page, "survey-large-resumed")

    assert before >= CUT_OFF_AFTER
    wait_until(page, lambda: len(stored) >= parts, "the answers to all parts")
    assert sorted(map(int, stored)) == list(range(parts))  # every part once

    # and once more: nothing at all is sent
    page.reload()
    page.locator("[data-files]").set_input_files(str(archive))
    expect(page.locator("[data-send-count]")).to_contain_text("1 were here already")
    assert len(stored) == parts


def test_the_server_is_killed_in_the_middle(
    page: Page, server: ServerProcess, archive: Path
) -> None:
    create(page, server.url, "Killed", keep=True)
    held: list[Route] = []

    def hold(route: Route) -> None:
        number = int(route.request.url.rpartition("/")[2])
        if number == CUT_OFF_AFTER and not held:
            held.append(route)  # answered when the server is up again
            server.kill()
            server.start()
        route.continue_()

    page.route(PART_URL, hold)
    page.locator("[data-files]").set_input_files(str(archive))
    expect(page.locator("[data-uploaded]")).to_have_text("6")
    assert held
