"""A survey in a real browser: create, upload, watch, read the report, export, delete."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import collect_problems, shot
from tests.e2e.servers import ServerProcess
from tests.support.reactions import make_reactions

PATIENCE_MS = 240_000


@pytest.fixture(scope="module")
def reactions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("reactions")
    return folder / "Reactions", make_reactions(folder / "Reactions", 24)


def create(page: Page, url: str, name: str, keep: bool) -> None:
    page.goto(f"{url.rstrip('/')}/surveys")
    page.get_by_role("link", name="Make the first survey").or_(
        page.get_by_role("link", name="New survey")
    ).click()
    page.get_by_label("Name", exact=True).fill(name)
    if keep:
        page.get_by_label("Keep them until a date").check()
        page.get_by_label("Keep until", exact=True).fill(str(date.today() + timedelta(days=30)))
    page.get_by_label("Everybody in these pictures agreed").check()
    page.get_by_role("button", name="Create survey").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.locator("html[data-ready]")).to_have_count(1)


def export(page: Page, label: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("link", name=label, exact=True).click()
    return Path(download.value.path()).read_bytes()


def read_in_german(browser: Browser, url: str) -> None:
    """The same report for a reader whose browser asks for German: words, numbers, files."""
    context = browser.new_context(locale="de-DE", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems = collect_problems(page)
    page.goto(url)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", name="Was die Gesichter zeigten")).to_be_visible()
    expect(page.get_by_role("heading", name="Der Verbleib jeder Datei")).to_be_visible()
    expect(page.locator("[data-chart=shares] svg")).to_contain_text("Freude")
    expect(page.locator("td strong").first).to_have_text(re.compile(r"^\d+,\d %$"))
    expect(page.locator(".story__headline")).not_to_contain_text(re.compile(r"\b(the|faces)\b"))
    assert b'lang="de"' in export(page, "HTML")[:200]
    with zipfile.ZipFile(io.BytesIO(export(page, "XLSX"))) as book:
        assert "Überblick" in book.read("xl/workbook.xml").decode()
    shot(page, "survey-report-german")
    context.close()
    assert problems == []


def test_a_survey_from_the_first_page_to_every_export(
    browser: Browser, page: Page, real: ServerProcess, reactions: tuple[Path, dict[str, int]]
) -> None:
    folder, expected = reactions
    page.goto(f"{real.url}surveys")
    shot(page, "survey-empty")
    create(page, real.url, "Two packages", keep=True)
    page.locator("[data-folder]").set_input_files(str(folder))
    sent = page.locator("[data-send-count]")
    expect(sent).to_contain_text(
        f"{expected['files']} of {expected['files']} files", timeout=60_000
    )
    expect(page.locator("[data-uploaded]")).to_have_text(str(expected["files"]))
    shot(page, "survey-uploaded")

    # after a reload the same folder is recognised and nothing is sent again
    page.reload()
    page.locator("[data-folder]").set_input_files(str(folder))
    expect(sent).to_contain_text(f"{expected['files']} were here already", timeout=60_000)
    expect(page.locator("[data-uploaded]")).to_have_text(str(expected["files"]))

    page.get_by_role("button", name="Start analysis").click()
    expect(page.locator("[data-progress-rate]")).to_contain_text("files/s", timeout=60_000)
    shot(page, "survey-busy")
    page.wait_for_url("**/report", timeout=PATIENCE_MS)
    expect(page.locator("[data-chart=shares] svg")).to_be_visible()
    shot(page, "survey-report-wide")

    ledger = {
        cell.get_attribute("data-category"): int(cell.inner_text())
        for cell in page.locator("[data-category]").all()
    }
    uploaded = ledger.pop("uploaded")
    assert uploaded == expected["files"] == sum(ledger.values())
    assert ledger["unreadable"] == expected["unreadable"]
    assert ledger["duplicate"] == expected["duplicate"]
    assert ledger["no_face"] >= expected["no_face_at_least"]
    assert ledger["used"] >= 20

    report: dict[str, Any] = json.loads(export(page, "JSON"))
    assert report["ledger"]["uploaded"] == uploaded
    pictures = list(
        csv.DictReader(io.StringIO(export(page, "CSV of pictures").decode("utf-8-sig")))
    )
    assert len(pictures) == uploaded
    assert {row["group"] for row in pictures} == {"Package A", "Package B"}
    faces = list(csv.DictReader(io.StringIO(export(page, "CSV of faces").decode("utf-8-sig"))))
    assert len(faces) == report["overall"]["faces"] == ledger["used"]
    assert zipfile.is_zipfile(io.BytesIO(export(page, "XLSX")))
    html = export(page, "HTML")
    read_in_german(browser, page.url)

    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("[data-chart=shares] svg")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "survey-report-phone")

    # the exported file works without a server
    alone = Path(real.log_folder) / "report.html"
    alone.write_bytes(html)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(alone.as_uri())
    expect(page.locator("[data-chart=shares] svg")).to_be_visible()
    expect(page.get_by_text(f"add up to the {uploaded} uploaded files")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".chart-tools").first).to_be_hidden()
    expect(page.get_by_role("heading", name="How this was made")).to_be_visible()
    shot(page, "survey-report-print")


def test_review_by_keyboard_and_delete(
    page: Page, real: ServerProcess, reactions: tuple[Path, dict[str, int]]
) -> None:
    create(page, real.url, "To be reviewed", keep=True)
    pictures = sorted((reactions[0] / "Package A").glob("p*.jpg"))
    page.locator("[data-files]").set_input_files([str(path) for path in pictures])
    expect(page.locator("[data-uploaded]")).to_have_text(str(len(pictures)))
    page.get_by_role("button", name="Start analysis").click()
    page.wait_for_url("**/report", timeout=PATIENCE_MS)

    page.goto(f"{real.url}surveys")
    shot(page, "survey-list")
    row = page.get_by_role("row").filter(has_text="To be reviewed")
    row.get_by_role("link", name="Report ready").click()
    page.get_by_role("link", name="Review faces").click()
    expect(page.locator("[data-stage] img")).to_be_visible()
    shot(page, "survey-review")
    for count in range(1, 4):
        page.keyboard.press(str(count))
        expect(page.locator("[data-status]")).to_contain_text(f"{count} of")
    page.keyboard.press("u")
    expect(page.locator("[data-status]")).to_contain_text("2 of")
    page.go_back()
    page.get_by_role("link", name="Survey", exact=True).click()
    expect(page.locator("html[data-ready]")).to_have_count(1)
    survey_id = page.url.rstrip("/").rsplit("/", 1)[-1]
    page.get_by_role("button", name="Delete survey").click()
    question = page.get_by_role("dialog", name="Delete the survey?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(page.get_by_role("button", name="Delete survey")).to_be_focused()
    page.keyboard.press("Enter")
    question.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/surveys")
    expect(row).to_have_count(0)
    folder = real.log_folder / "instance" / "surveys"
    assert [path for path in folder.rglob("*") if survey_id in str(path)] == []


def test_a_refused_purpose_says_why(page: Page, real: ServerProcess) -> None:
    page.goto(f"{real.url}surveys/new")
    page.get_by_label("Judging employees or applicants").check()
    expect(page.get_by_role("alert").filter(has_text="Article 5(1)(f)")).to_be_visible()
    expect(page.get_by_role("button", name="Create survey")).to_be_disabled()
    shot(page, "survey-refused")
    page.get_by_label("Reactions to a product").check()
    page.get_by_label("Name", exact=True).fill("No consent")
    page.get_by_role("button", name="Create survey").click()
    expect(page.get_by_text("Confirm that everybody in the pictures agreed")).to_be_visible()


def test_a_dropped_zip_and_a_survey_without_a_face(page: Page, real: ServerProcess) -> None:
    create(page, real.url, "Nobody", keep=False)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("one.txt", "nothing")
        archive.writestr("two.jpg", b"\xff\xd8\xff\xe0 torn")
    page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "set.zip"));
            document.querySelector("[data-drop]").dispatchEvent(
                new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        list(target.getvalue()),
    )
    expect(page.locator("[data-uploaded]")).to_have_text("2")
    page.get_by_role("button", name="Start analysis").click()
    page.wait_for_url("**/report", timeout=PATIENCE_MS)
    expect(page.get_by_text("None of the 2 uploaded files could be used")).to_be_visible()
    shot(page, "survey-nobody")
