"""A server for a team in a real browser: one shares a survey, the other sees it until it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import collect_problems, complaints, shot
from tests.e2e.servers import ServerProcess, real_server
from tests.support.admin import PASSWORD, TEAM, add_people
from webapp.database.store import Store, database_url
from webapp.survey.catalog import Catalog, NewSurvey

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def team(any_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that asks for a login; Mira has made a survey, Tom none."""
    folder = tmp_path_factory.mktemp("team")
    store = Store(database_url(folder / "instance"))
    store.migrate()
    ids = add_people(store, TEAM)
    catalog = Catalog(store, folder / "instance")
    catalog.create(NewSurvey("Packages", "product", True, ("A", "B")), ids["mira"])
    store.close()
    started = real_server(any_models, folder / "server.log", MIEN_REQUIRE_LOGIN="true")
    started.start()
    yield started
    started.stop()


def enter(browser: Browser, team: ServerProcess, name: str, width: int = 1280) -> Page:
    """A browser of its own in which somebody has logged in."""
    page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto(f"{team.url}surveys")
    shot(page, f"sharing-login-{width}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{team.url}surveys")
    return page


def open_sharing(page: Page) -> None:
    page.get_by_role("link", name="Packages").click()
    page.locator("html[data-ready]").wait_for()
    page.get_by_role("button", name="Share").click()


def test_a_survey_is_shared_used_and_left(browser: Browser, team: ServerProcess) -> None:
    mira, tom = enter(browser, team, "mira"), enter(browser, team, "tom", width=390)
    problems = collect_problems(mira)
    expect(tom.get_by_text("There is no survey yet.")).to_be_visible()
    open_sharing(mira)
    dialog = mira.get_by_role("dialog", name="Who sees this survey")
    expect(dialog.get_by_text("It is yours.")).to_be_visible()
    expect(dialog.get_by_text("Nobody is invited yet.")).to_be_visible()
    shot(mira, "sharing-empty")
    dialog.get_by_label("Name of an account").fill("nobody-here")
    dialog.get_by_role("button", name="Invite").click()
    expect(dialog.get_by_role("alert")).to_have_text("There is no account of that name.")
    shot(mira, "sharing-refused")
    dialog.get_by_label("Name of an account").fill("Tom")
    mira.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Remove tom")).to_be_visible()
    assert complaints(mira) == []
    shot(mira, "sharing-invited")

    tom.reload()
    open_sharing(tom)
    theirs = tom.get_by_role("dialog", name="Who sees this survey")
    expect(theirs.get_by_text("It belongs to mira.")).to_be_visible()
    expect(theirs.get_by_label("Name of an account")).to_be_hidden()
    shot(tom, "sharing-guest")
    theirs.get_by_role("button", name="Leave this survey").click()
    expect(tom.get_by_text("There is no survey yet.")).to_be_visible()

    dialog.get_by_role("button", name="Close").click()
    mira.get_by_role("button", name="Share").click()  # asks the server again
    expect(dialog.get_by_text("Nobody is invited yet.")).to_be_visible()
    for page in (mira, tom):
        page.context.close()
    # a refused request is answered with 4xx, which Chromium itself reports
    assert [p for p in problems if "Failed to load resource" not in p] == []


def test_administrators_see_whose_surveys_there_are(browser: Browser, team: ServerProcess) -> None:
    page = enter(browser, team, "admin")
    row = page.get_by_role("row", name="Packages")
    expect(row.get_by_role("cell", name="mira")).to_be_visible()
    shot(page, "sharing-list")
    page.context.close()


def test_a_member_makes_a_token_and_revokes_it(browser: Browser, team: ServerProcess) -> None:
    page = enter(browser, team, "tom", width=390)
    page.get_by_role("link", name="Account").click()
    page.locator("html[data-ready]").wait_for()
    page.get_by_text("Make a token").click()
    expect(page.get_by_label("Upload, activate and roll back models")).to_have_count(0)
    page.get_by_label("What is it for?").fill("Nightly import")
    page.get_by_label("See surveys, their progress and their reports").check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("Copy the token now.")).to_be_visible()
    assert complaints(page) == []
    shot(page, "sharing-token")
    page.get_by_role("button", name="Revoke Nightly import").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("cell", name="Revoked")).to_be_visible()
    page.context.close()
