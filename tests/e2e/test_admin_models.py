"""An administrator's way through a model's life: upload, compare, shadow, activate, roll back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.e2e.browser import chromium, collect_problems, start, state, wait_until
from tests.e2e.servers import ServerProcess, real_server
from tests.support.models import activate, make_version
from tests.support.uploads import faces_zip, upload_files
from webapp.access import accounts
from webapp.database.store import Store, database_url

pytestmark = pytest.mark.slow

CHECK_S = 240.0  # a check gives way to everything else on a busy machine
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("admin")
    make_version(folder / "models", "first", 0)
    activate(folder / "models", "first")
    store = Store(database_url(folder / "instance"))
    store.migrate()
    account = accounts.create(store, "ada", "admin")
    accounts.set_password(store, account.id, PASSWORD)
    store.close()
    running = real_server(folder / "models", folder / "server.log", MIEN_SWAP_WATCH_S="5")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(playwright: Playwright, astronaut_mjpeg: Path, server: ServerProcess) -> Iterator[Page]:
    with chromium(playwright, astronaut_mjpeg) as browser:
        # a context of our own, because the test opens the live page beside
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(CHECK_S * 1000)
        opened = context.new_page()
        problems = collect_problems(opened)
        yield opened
        # a refused file is an answer of 422, which the console reports
        assert [p for p in problems if "Failed to load resource" not in p] == []


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}admin/models/upload")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Upload a model")).to_be_visible()
    page.wait_for_load_state("load")  # a file chosen before the script listens is lost


def choose(page: Page, name: str, content: bytes) -> None:
    page.locator("[data-file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


def test_upload_compare_shadow_activate_roll_back(page: Page, server: ServerProcess) -> None:
    files = upload_files()
    log_in(page, server.url)

    # an evaluation set, kept for later uploads
    page.get_by_text("Add an evaluation set").click()
    page.get_by_label("Name of the set").fill("Small faces")
    page.locator("[data-set-zip-file]").set_input_files(
        {"name": "faces.zip", "mimeType": "application/zip", "buffer": faces_zip(3)}
    )
    expect(page.locator("[data-set-state]")).to_contain_text("21 faces kept")
    # a second one, with the name of its file; asked before it is deleted
    page.locator("[data-set-zip-file]").set_input_files(
        {"name": "more faces.zip", "mimeType": "application/zip", "buffer": faces_zip(2)}
    )
    row = page.get_by_role("row", name="more faces")
    row.get_by_role("button", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete more faces?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(row).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(row).to_be_hidden()
    expect(page.get_by_role("row", name="Small faces")).to_be_visible()
    expect(page.locator("select[name=evaluation] option")).to_have_text(
        [re.compile("None"), "Small faces · 21 faces"]
    )
    expect(page.locator("select[name=evaluation] option:checked")).to_contain_text("Small faces")

    # refused, with the reason
    choose(page, "evil.keras", (files / "lambda.keras").read_bytes())
    page.get_by_role("button", name="Upload and check").click()
    evil = page.locator(".upload", has_text="evil")
    expect(evil.locator(".message--bad")).to_contain_text("Lambda layer")
    assert not (files / "hacked").exists()

    # admitted, after the question for its labels
    choose(page, "second.keras", (files / "good.keras").read_bytes())
    page.get_by_label("Version name").fill("second")
    page.get_by_role("button", name="Upload and check").click()
    card = page.locator(".upload", has=page.get_by_role("heading", name="second"))
    card.get_by_role("button", name="Go on with this order").click()
    expect(card.locator(".state")).to_have_text("Ready", timeout=CHECK_S * 1000)
    expect(card).to_contain_text("kernel filter")
    both = card.get_by_role("region", name="Both versions on the same faces")
    expect(both).to_contain_text("first (serves)")
    expect(both).to_contain_text(re.compile("no clear difference|better than|worse than"))

    # compared
    card.get_by_role("link", name="Compare and put into service").click()
    expect(page.get_by_role("heading", name="Put second into service")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Rows: what first says")

    # as a shadow deployment, beside a live camera
    page.get_by_role("link", name="Try it beside the serving model").click()
    page.get_by_label("Share of the live frames").fill("100")
    live = page.context.new_page()
    start(live, server.url)
    page.bring_to_front()
    page.get_by_role("button", name="Start the trial").click()
    expect(page.locator("[data-trial-body] .figures")).to_contain_text("Agreement")
    page.get_by_role("button", name="Stop the trial").click()
    expect(page.locator("[data-trial-state]")).to_contain_text("stopped")

    # into service, under the live page's eyes
    page.get_by_role("link", name="Compare and put into service").click()
    page.get_by_label(re.compile("Why")).fill("a better one")
    page.get_by_role("button", name="Put into service").click()
    expect(page.get_by_role("heading", name="What serves")).to_be_visible()
    expect(page.locator("[data-serving]")).to_have_text("second")
    expect(page.locator("table.data--log")).to_contain_text("a better one")
    wait_until(live, lambda: state(live).get("model") == "second", "the live page's new model")

    # and back
    page.get_by_role("button", name="Roll back to first").click()
    page.locator("[data-confirm-yes]").click()
    expect(page.locator("[data-serving]")).to_have_text("first")
    expect(page.locator("table.data--log")).to_contain_text("Rolled back")
    wait_until(live, lambda: state(live).get("model") == "first", "the live page's old model")
    live.close()

    page.get_by_role("button", name="Log out").click()
    page.goto(f"{server.url}admin/history")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
