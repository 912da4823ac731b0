"""The same pictures under two models in a real browser, and what that changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import shot
from tests.e2e.servers import ServerProcess, real_server
from tests.e2e.test_survey import PATIENCE_MS, create, export
from tests.support.models import activate, make_version
from tests.support.pictures import face_frames

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    models = tmp_path_factory.mktemp("two-models")
    make_version(models, "first-1")
    make_version(models, "second-1", seed=1)
    activate(models, "first-1")
    started = real_server(models, tmp_path_factory.mktemp("rerun") / "server.log")
    started.start()
    yield started
    started.stop()


def test_another_model_reads_the_same_pictures(
    page: Page, server: ServerProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "Set"
    for group in ("A", "B"):
        (folder / group).mkdir(parents=True)
    for number, jpeg in enumerate(face_frames()):
        (folder / "AB"[number % 2] / f"{number}.jpg").write_bytes(jpeg)
    create(page, server.url, "Two models", keep=True)
    page.locator("[data-folder]").set_input_files(str(folder))
    expect(page.locator("[data-uploaded]")).to_have_text("12")
    groups = page.locator("[data-there-rows] tr")
    expect(groups).to_have_count(2)
    expect(groups.first).to_contain_text("6")
    page.get_by_role("button", name="Start analysis").click()
    page.wait_for_url("**/report", timeout=PATIENCE_MS)
    first = json.loads(export(page, "JSON"))

    page.get_by_role("link", name="Survey", exact=True).click()
    expect(page.locator("html[data-ready]")).to_have_count(1)
    page.get_by_label("Model").select_option("second-1")
    page.get_by_role("button", name="Start analysis").click()
    page.wait_for_url("**/report", timeout=PATIENCE_MS)
    second = json.loads(export(page, "JSON"))
    assert (first["model"]["version"], second["model"]["version"]) == ("first-1", "second-1")
    assert first["ledger"]["counts"]["used"] == second["ledger"]["counts"]["used"] == 12

    page.get_by_role("link", name="Compare with first-1").click()
    table = page.get_by_role("region", name="Difference between two analyses")
    expect(table).to_contain_text("first-1 against second-1")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(3 * len(first["emotions"]))  # all faces, and two groups
    for index, emotion in enumerate(first["emotions"]):
        was, now = (one["overall"]["emotions"][index]["share"] for one in (first, second))
        expect(rows.nth(index)).to_contain_text(emotion.capitalize())
        expect(rows.nth(index)).to_contain_text(f"{100 * was:.1f} %")
        expect(rows.nth(index)).to_contain_text(f"{100 * now:.1f} %")
    shot(page, "survey-rerun")

    # both reports stay, and the server still serves the first model to everybody else
    page.get_by_role("link", name="Survey", exact=True).click()
    expect(page.locator("html[data-ready]")).to_have_count(1)
    expect(page.get_by_text("Report ready", exact=True)).to_have_count(2)
    assert server.get_json("api/v1/models")["serving"] == "first-1"
