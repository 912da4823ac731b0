"""The admin area in a real browser: set up, look around, compare, measure, log out, be refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import complaints, shot, wait_until
from tests.e2e.servers import ServerProcess, real_server
from tests.support.admin import PASSWORD, add_people
from tests.support.models import activate, make_version
from tests.support.pictures import blank_jpeg
from webapp.card import ModelCard
from webapp.database.store import Store, database_url

PAGES = ("status", "models", "models/test-1", "models/compare?a=test-1&b=test-2", "audit", "access",
         "account")  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    models = tmp_path_factory.mktemp("models")
    make_version(models, "test-1")
    make_version(models, "test-2", seed=1)
    activate(models, "test-1")
    (models / "half").mkdir()
    folder = tmp_path_factory.mktemp("admin")
    store = Store(database_url(folder / "instance"))
    store.migrate()
    add_people(store, {"admin": "admin"})
    store.close()
    started = real_server(models, folder / "server.log")
    started.start()
    yield started
    started.stop()


@pytest.fixture
def new_server(server: ServerProcess, tmp_path: Path) -> Iterator[ServerProcess]:
    """Another server on the models of ``server``, where no account has a password."""
    started = real_server(server.models_dir, tmp_path / "server.log")
    started.start()
    yield started
    started.stop()


def log_in(page: Page, url: str, password: str = PASSWORD) -> None:
    page.goto(f"{url}admin/login")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def setup_link(page: Page, server: ServerProcess) -> str:
    def printed() -> str:
        log = (server.log_folder / "server.log").read_text(errors="replace")
        found = re.findall(r"http://\S+/admin/setup#\S+", log)
        return found[-1] if found else ""

    return str(wait_until(page, printed, "the set-up link in the server's log"))


def test_from_the_first_start_to_the_log_out(page: Page, new_server: ServerProcess) -> None:
    server = new_server
    page.goto(f"{server.url}admin/models")
    expect(page.get_by_text("Nobody can log in yet")).to_be_visible()
    link = setup_link(page, server)
    page.goto(link)
    expect(page).to_have_url(f"{server.url}admin/setup")  # the token is out of sight
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill("something else")
    page.get_by_role("button", name="Save and log in").click()
    expect(page.get_by_role("alert")).to_have_text("The two passwords differ.")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Save and log in").click()

    expect(page.get_by_role("heading", name="Status")).to_be_visible()
    expect(page.get_by_text("All is well.")).to_be_visible()
    rows = page.locator("[data-speed] tr").filter(has_text="Programs")
    expect(rows.locator("td").first).to_have_text("0")
    answer = page.request.post(
        f"{server.url}api/v1/analyze", data=blank_jpeg(64), headers={"Content-Type": "image/jpeg"}
    )
    assert answer.status == 200
    expect(rows.locator("td").first).to_have_text("1")  # the page has refreshed itself
    shot(page, "admin-status")

    page.get_by_role("navigation", name="Admin").get_by_role("link", name="Models").click()
    expect(page.locator("tr[data-version='test-1']")).to_contain_text("Serving")
    expect(page.locator("tr[data-broken='half']")).to_contain_text("lacks")
    page.get_by_role("button", name="Measure test-2").click()
    expect(page.locator("[data-done]")).to_contain_text("ms for a face here")
    expect(page.locator("tr[data-version='test-2'] [data-measured]")).to_contain_text("ms")
    shot(page, "admin-models")
    page.locator("select[name=a]").select_option("test-1")
    page.locator("select[name=b]").select_option("test-2")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="test-1 and test-2")).to_be_visible()
    page.get_by_role("link", name="test-2").first.click()
    expect(page.get_by_text("Tests only: the weights are random.")).to_be_visible()

    page.get_by_role("link", name="Access").click()
    page.get_by_text("Make a token").click()
    page.get_by_label("What is it for?").fill("Nightly import")
    page.get_by_label("Read one picture at a time").check()
    page.get_by_role("button", name="Make the token").click()
    token = page.locator("[data-token-text]")
    expect(token).to_have_text(re.compile(r"^mien_\w+"))
    row = page.locator("tr", has_text="Nightly import")
    expect(row).to_contain_text("analyze")
    shot(page, "admin-access")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row.get_by_role("button", name="Revoke")).to_be_visible()
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("Revoked")
    expect(page.get_by_role("region", name="Table of tokens")).to_be_focused()

    page.get_by_label("Name or e-mail").fill("mira")
    page.get_by_role("button", name="Make a link").click()
    expect(page.locator("[data-link]")).to_contain_text("/admin/setup#")
    page.get_by_role("button", name="Log out mira").click()
    question = page.get_by_role("dialog", name="Log mira out?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    question.get_by_role("button", name="Log out").click()
    expect(page.locator("[data-people-done]")).to_have_text("mira is logged out everywhere.")
    expect(page.get_by_role("button", name="Log out mira")).to_be_focused()
    page.get_by_role("link", name="Audit").click()
    for action in ("account.set_up", "model.measure", "token.create", "token.revoke"):
        expect(page.get_by_role("cell", name=action)).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(f"{server.url}admin/audit")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(link)  # used up
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Save and log in").click()
    expect(page.get_by_role("alert")).to_contain_text("used already")


@pytest.mark.slow
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_can_be_used_by_everybody(
    browser: Browser, server: ServerProcess, theme: str, width: int
) -> None:
    """axe has no complaint and nothing is cut off, wide and narrow, light and dark."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=theme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.goto(f"{server.url}admin/login")
    assert complaints(page) == []
    log_in(page, server.url)
    expect(page.get_by_role("heading", name="Status")).to_be_visible()
    for path in PAGES:
        page.goto(f"{server.url}admin/{path}")
        expect(page.locator("h1")).to_be_visible()
        assert complaints(page) == [], path
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{path} at {width}"
        shot(page, f"admin-{re.sub('[^a-z0-9]+', '-', path)}-{theme}-{width}")
    context.close()


@pytest.mark.slow
def test_the_status_page_says_when_it_is_old_and_recovers(
    page: Page, server: ServerProcess
) -> None:
    log_in(page, server.url)
    expect(page.get_by_text("All is well.")).to_be_visible()
    server.kill()
    expect(page.get_by_role("alert")).to_contain_text("figures below are old")
    shot(page, "admin-status-error")
    server.start()
    expect(page.locator("[data-stale]")).to_be_hidden()  # logged in still: the key was kept
    expect(page.get_by_role("heading", name="Status")).to_be_visible()


def test_a_version_is_deleted_from_the_list(page: Page, server: ServerProcess) -> None:
    extra = server.models_dir / "test-3"
    shutil.copytree(server.models_dir / "test-2", extra)
    replace(ModelCard.load(extra), version="test-3").save(extra)
    log_in(page, server.url)
    page.goto(f"{server.url}admin/models")
    page.locator("html[data-ready]").wait_for()
    expect(page.get_by_role("button", name="Delete test-1")).to_have_count(0)  # it serves
    expect(page.get_by_role("button", name="Delete half")).to_be_visible()
    shot(page, "admin-models-delete")
    page.get_by_role("button", name="Delete test-3").click()
    dialog = page.get_by_role("dialog", name="Delete test-3?")
    shot(page, "admin-models-delete-confirm")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("test-3 is deleted.")).to_be_visible()
    expect(page.get_by_role("link", name="test-3")).to_have_count(0)
    assert not extra.exists()


# The last one: nobody from this address logs in after it for a while.
@pytest.mark.slow
def test_wrong_passwords_run_out(page: Page, server: ServerProcess) -> None:
    for _ in range(12):
        log_in(page, server.url, "not the password")
        said = page.get_by_role("alert")
        expect(said).to_be_visible()
        if "Too many attempts" in said.inner_text():
            break
        expect(said).to_have_text("The name or the password is wrong.")
    expect(page.get_by_role("alert")).to_contain_text("Too many attempts")
    log_in(page, server.url)  # even the right one, for a while
    expect(page.get_by_role("alert")).to_contain_text("Too many attempts")
    shot(page, "admin-login-limited")
