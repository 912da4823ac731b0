"""A survey of videos in a real browser: curves over time, and videos that resemble each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import shot
from tests.e2e.servers import ServerProcess
from tests.e2e.test_survey import PATIENCE_MS, create, export
from tests.support.clips import make_clips

EACH = 8  # of each kind: fewer do not prove that there are two
pytestmark = pytest.mark.slow


def test_videos_from_upload_to_curves_and_clusters(
    page: Page, real: ServerProcess, tmp_path: Path
) -> None:
    folder = make_clips(tmp_path / "Clips", EACH)
    create(page, real.url, "Two advertisements", keep=True)
    page.locator("[data-folder]").set_input_files(str(folder))
    expect(page.locator("[data-uploaded]")).to_have_text(str(2 * EACH))
    page.get_by_role("button", name="Start analysis").click()
    page.wait_for_url("**/report", timeout=PATIENCE_MS)

    # a curve for each group, each with its table
    expect(page.get_by_role("heading", name="Course over time")).to_be_visible()
    curves = page.locator("[data-chart=curve]")
    expect(curves).to_have_count(2)
    for index in range(2):
        expect(curves.nth(index).locator("svg")).to_be_visible()
    table = page.locator("details", has=page.get_by_text("Table of the curve")).first
    table.locator("summary").click()
    expect(table).to_have_attribute("open", "")
    expect(table.locator("tbody tr")).to_have_count(4)  # four seconds

    # a curve for each video, drawn when it is opened
    each = page.locator("details:has([data-chart=video])")
    expect(each).to_have_count(2 * EACH)
    each.first.locator("summary").click()
    expect(each.first.locator("[data-chart=video] svg")).to_be_visible()

    # videos that resemble each other, with a frame that stands for them
    expect(page.get_by_text("Silhouette")).to_be_visible()
    frames = page.locator(".clusters img")
    report = json.loads(export(page, "JSON"))
    video = report["video"]
    expect(frames).to_have_count(len(video["clusters"]["clusters"]))
    for index in range(frames.count()):
        frames.nth(index).scroll_into_view_if_needed()
        expect(frames.nth(index)).to_have_js_property("complete", True)
        assert frames.nth(index).evaluate("image => image.naturalWidth") == 640
    shot(page, "survey-video-wide")

    # the figures are those of the videos
    assert report["ledger"]["counts"]["used"] == 2 * EACH
    assert {group["name"] for group in video["groups"]} == {"Ad A", "Ad B"}
    happy = report["emotions"].index("happy")
    means = {
        group["name"]: sum(point["means"][happy] for point in group["curve"]) / len(group["curve"])
        for group in video["groups"]
    }
    assert means["Ad A"] > means["Ad B"] + 0.3
    assert 0 < video["clusters"]["silhouette"] <= 1
    listed = [path for cluster in video["clusters"]["clusters"] for path in cluster["videos"]]
    assert len(listed) == len(set(listed)) == 2 * EACH
    assert report["method"]["cluster_unit"] == "file"
    assert report["overall"]["clusters"] == 2 * EACH

    page.set_viewport_size({"width": 390, "height": 844})
    expect(curves.first.locator("svg")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "survey-video-phone")

    # frames go with the pictures, figures stay
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("link", name="Survey", exact=True).click()
    expect(page.locator("html[data-ready]")).to_have_count(1)
    page.get_by_role("button", name="Delete pictures").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("The pictures were deleted on")).to_be_visible()
    page.get_by_role("link", name="Open report").click()
    expect(page.get_by_text("Silhouette")).to_be_visible()
    expect(frames).to_have_count(0)
