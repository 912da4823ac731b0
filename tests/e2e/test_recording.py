"""Recording on the live page, its exports, playback, suggestions, and sharing the mood."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import complaints, start, state, wait_until
from tests.e2e.servers import ROOT, ServerProcess
from tests.support.live_double import face
from tests.support.sse import EventStream
from webapp.domain import EMOTIONS

SCHEMA = json.loads((ROOT / "docs" / "recording.schema.json").read_text(encoding="utf-8"))
_KEPT = """() => new Promise((resolve) => {
  const request = indexedDB.open('mien-recordings');
  request.onsuccess = () => {
    const all = request.result.transaction('recordings').objectStore('recordings').getAll();
    all.onsuccess = () => { request.result.close(); resolve(all.result.map((r) => r.count)); };
  };
})"""

_CHANGES = "window.mienPlayback.state.changes.some(({t_ms}) => t_ms % 100 === 0)"


@pytest.fixture
def page(camera_page: Page, double: ServerProcess) -> Iterator[Page]:
    show(double, face([180, 140, 330, 290], "happy", 0.83))
    yield camera_page


def show(double: ServerProcess, *faces: dict[str, Any]) -> None:
    double.post_json("double", {"fault": None, "faces": list(faces), "model": "double-1"})


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def more_answers(page: Page, count: int = 3) -> None:
    before = state(page)["stats"]["answered"]
    wait_until(page, lambda: state(page)["stats"]["answered"] >= before + count, "more answers")


def export(page: Page, kind: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        button(page, f"Export {kind}").click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_a_recording_holds_what_was_shown_and_comes_back_in_playback(
    page: Page, double: ServerProcess, tmp_path: Path
) -> None:
    asked: list[str] = []
    start(page, double.url)
    page.on("request", lambda request: asked.append(request.method + " " + request.url))
    button(page, "Record").click()
    expect(page.locator("[data-rec-pill]")).to_contain_text("Recording 00:")
    page.get_by_text("Names of the markers").click()
    name = page.get_by_role("textbox", name="Name of marker 1")
    name.fill("Advert m1")  # the keys mean letters here
    name.press("Enter")
    name.blur()
    more_answers(page)
    page.keyboard.press("m")
    expect(page.locator("[data-rec-status]")).to_contain_text("Marker 1")
    expect(page.locator("[data-headline]")).to_have_text("Happy")
    shown = state(page)["result"]["faces"][0]
    show(
        double,
        face([180, 140, 330, 290], "sad", 0.61),
        face([430, 160, 530, 260], "neutral", 0.7, track=2, advice="Come closer: it is small."),
    )
    expect(page.locator("[data-headline]")).to_have_text("Sad")
    page.keyboard.press("1")
    more_answers(page)
    button(page, "Pause").click()
    kept = page.evaluate(_KEPT)
    more_answers(page, 5)
    button(page, "Go on").click()
    show(double)
    wait_until(page, lambda: state(page)["result"]["faces"] == [], "a result without a face")
    more_answers(page)
    button(page, "End recording").click()
    expect(page.locator("[data-rec-status]")).to_contain_text("2 markers")
    assert len(kept) == 1

    recording = json.loads(export(page, "JSON", tmp_path).read_text(encoding="utf-8"))
    jsonschema.validate(recording, SCHEMA)
    assert recording["emotions"] == list(EMOTIONS)
    assert [(m["key"], m["name"]) for m in recording["markers"]] == [
        ("M", "Marker 1"),
        ("1", "Advert m1"),
    ]
    kinds = [event["kind"] for event in recording["events"]]
    assert kinds == ["started", "paused", "resumed", "stopped"]
    first = recording["results"][0]["faces"][0]
    assert first["label"] == shown["label"] == "happy"
    assert first["confidence"] == pytest.approx(shown["confidence"], abs=1e-4)
    assert first["scores"] == pytest.approx(shown["scores"], abs=1e-4)
    assert first["raw"] == pytest.approx(shown["raw"], abs=1e-4)
    assert first["valence"] == shown["valence"]
    labels = [[f["label"] for f in result["faces"]] for result in recording["results"]]
    assert labels == sorted(labels, key=[["happy"], ["sad", "neutral"], []].index)
    # nothing was kept between pause and going on
    paused, resumed = (e["t_ms"] for e in recording["events"] if e["kind"] in ("paused", "resumed"))
    assert not [r for r in recording["results"] if paused < r["t_ms"] < resumed]

    rows = table(export(page, "CSV", tmp_path))
    assert len(rows) == sum(max(1, len(result["faces"])) for result in recording["results"])
    assert rows[0]["time"].endswith("Z") and rows[0]["label"] == "happy"
    assert float(rows[0]["score_happy"]) == pytest.approx(0.83)
    assert {row["marker"] for row in rows} == {"", "Marker 1", "Advert m1"}
    small = next(row for row in rows if row["track"] == "2")
    assert (small["quality_ok"], small["advice"]) == ("false", "Come closer: it is small.")
    assert rows[-1]["track"] == "" and rows[-1]["label"] == ""
    assert [url for url in asked if not url.startswith("GET blob:")] == [], "nothing was sent"

    # asked before it is deleted, also where it was made
    button(page, "Delete").click()
    question = page.get_by_role("dialog", name="Delete the recording?")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(button(page, "Delete")).to_be_focused()
    assert len(page.evaluate(_KEPT)) == 1
    button(page, "Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(page.locator("[data-rec-status]")).to_have_text("Deleted.")
    expect(button(page, "Record")).to_be_focused()
    assert page.evaluate(_KEPT) == []

    exported = next(tmp_path.glob("*.json"))
    page.goto(double.url + "recordings")
    page.locator("[data-file]").set_input_files(exported)
    expect(page.locator("[data-title]")).to_contain_text("Recording of")
    again = export(page, "JSON", tmp_path)
    assert json.loads(again.read_text(encoding="utf-8")) == recording
    expect(page.locator("[data-segments]")).to_contain_text("Advert m1")

    # evenly in time, since on a busy machine results lie so far apart that nothing is between
    for number, result in enumerate(recording["results"]):
        result["t_ms"] = number * 100
    for event in recording["events"][1:]:  # a pause may not fall on the change itself
        event["t_ms"] = 100 * len(recording["results"])
    exported.write_text(json.dumps(recording), encoding="utf-8")
    page.locator("[data-file]").set_input_files(exported)
    wait_until(page, lambda: page.evaluate(_CHANGES), "the changes of the second file")
    button(page, "Next change").click()
    change = next(
        result["t_ms"]
        for result in recording["results"]
        if result["faces"] and result["faces"][0]["label"] == "sad"
    )
    held = page.evaluate("window.mienPlayback.state")
    assert held["playhead"] == held["changes"][0]["t_ms"] == change
    expect(page.locator("[data-now-faces]")).to_contain_text("sad 61 %")
    expect(page.locator("[data-lead]")).to_contain_text("Face 1 was in view")
    page.get_by_text("Markers and events").click()
    page.locator("[data-happened] button").first.click()
    assert page.evaluate("window.mienPlayback.state.playhead") == 0


@pytest.mark.slow
def test_an_interrupted_recording_is_offered_and_can_be_opened_and_deleted(
    page: Page, double: ServerProcess
) -> None:
    start(page, double.url)
    button(page, "Record").click()
    wait_until(page, lambda: sum(page.evaluate(_KEPT)) > 0, "readings in the browser's database")
    page.reload()
    offer = page.locator("[data-rec-offer]")
    expect(offer).to_contain_text("was interrupted")
    offer.get_by_role("link", name="Open it").click()
    expect(page.locator("[data-lead]")).to_contain_text("until it was interrupted")
    page.get_by_text("Markers and events").click()
    expect(page.locator("[data-happened]")).to_contain_text("closed or reloaded")
    page.get_by_role("button", name="Delete the recording").click()
    question = page.get_by_role("dialog", name="Delete the recording?")
    question.get_by_role("button", name="Delete").click()
    expect(page.locator("[data-nothing]")).to_be_visible()
    expect(button(page, "Open a JSON export")).to_be_focused()
    assert page.evaluate(_KEPT) == []
    page.goto(double.url)
    expect(page.locator("[data-rec-offer]")).to_be_hidden()


@pytest.mark.slow
def test_a_lost_connection_and_a_new_model_are_events_and_the_gap_stays(
    page: Page, double: ServerProcess, tmp_path: Path
) -> None:
    start(page, double.url)
    button(page, "Record").click()
    more_answers(page)
    double.post_json("double", {"model": "double-2"})
    wait_until(page, lambda: state(page)["model"] == "double-2", "the other model")
    double.kill()
    try:
        expect(page.locator("[data-connection-text]")).to_have_text("Reconnecting")
    finally:
        double.start()
    more_answers(page)
    button(page, "End recording").click()
    recording = json.loads(export(page, "JSON", tmp_path).read_text(encoding="utf-8"))
    happened = {event["kind"]: event for event in recording["events"]}
    assert list(happened)[:4] == ["started", "model_changed", "connection_lost", "connection_back"]
    assert recording["models"] == ["double-1", "double-2"]
    lost, back = (happened[f"connection_{what}"]["t_ms"] for what in ("lost", "back"))
    assert lost < back
    assert not [r for r in recording["results"] if lost < r["t_ms"] < back]
    assert sorted({result["part"] for result in recording["results"]}) == [0, 1]


def test_a_lost_camera_is_an_event_and_the_recording_goes_on(
    page: Page, double: ServerProcess, tmp_path: Path
) -> None:
    start(page, double.url)
    button(page, "Record").click()
    more_answers(page)
    page.evaluate(
        "document.querySelector('[data-video]').srcObject.getVideoTracks()[0]"
        ".dispatchEvent(new Event('ended'))"
    )
    expect(page.get_by_role("alert")).to_contain_text("disconnected")
    expect(page.locator("[data-rec-clock]")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    wait_until(page, lambda: state(page)["stats"]["answered"] > 3, "answers again")
    button(page, "Stop").click()
    recording = json.loads(export(page, "JSON", tmp_path).read_text(encoding="utf-8"))
    kinds = [event["kind"] for event in recording["events"]]
    assert kinds == ["started", "camera_lost", "camera_started", "stopped"]
    assert sorted({result["part"] for result in recording["results"]}) == [0, 1]


def test_files_that_are_no_recording_are_refused_with_the_reason(
    page: Page, double: ServerProcess
) -> None:
    page.goto(double.url + "recordings")
    problem = page.locator("[data-problem]")
    for body, words in (
        (b"\x00\x01garbage", "not JSON"),
        (b'{"a": 1}', "not a recording"),
        (b'{"format": "mien-recording", "schema": 9}', "format version 9"),
        (b'{"format": "mien-recording", "schema": 1}', "recording.id"),
    ):
        page.locator("[data-file]").set_input_files(
            {"name": "bad.json", "mimeType": "application/json", "buffer": body}
        )
        expect(problem).to_contain_text(words)
        expect(page.locator("[data-viewer]")).to_be_hidden()


def test_suggestions_follow_the_settled_mood_from_a_list_of_ones_own(
    page: Page, double: ServerProcess
) -> None:
    def give(text: str) -> None:
        page.locator("[data-suggest-file]").set_input_files(
            {"name": "list.csv", "mimeType": "text/csv", "buffer": text.encode()}
        )

    start(page, double.url)
    give("just words")
    expect(page.locator("[data-suggest-status]")).to_contain_text("first line must name")
    expect(page.locator("[data-suggest-with]")).to_be_hidden()
    give(
        '\ufefftitle;kind;link;moods\n"A ""glad"" song";music;https://a.example/x;happy\n'
        "A sad one;music;;sad\nBad;music;javascript:alert(1);happy\nWorse;;;bored\n"
    )
    suggestions = page.locator("[data-suggest-list]")
    expect(suggestions).to_have_text('A "glad" songmusic')
    link = suggestions.get_by_role("link")
    assert link.get_attribute("href") == "https://a.example/x"
    assert link.get_attribute("rel") == "noopener noreferrer"
    page.get_by_text("2 rows were left out").click()
    expect(page.locator("[data-suggest-problem-rows]")).to_contain_text("Row 4: the link")
    expect(page.locator("[data-suggest-problem-rows]")).to_contain_text("Row 5: “bored”")
    show(double, face([180, 140, 330, 290], "sad", 0.7))
    expect(suggestions).to_have_text("A sad onemusic")
    page.get_by_role("radio", name="Lift the mood").check()
    expect(suggestions).to_have_text('A "glad" songmusic')
    show(double)
    expect(page.locator("[data-suggest-mood-text]")).to_contain_text("No face now")
    expect(suggestions).to_have_text('A "glad" songmusic')
    page.reload()
    expect(page.locator("[data-suggest-name]")).to_contain_text("2 entries from list.csv")
    button(page, "Forget the list").click()
    expect(page.locator("[data-suggest-with]")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('mien.catalogue')") is None


def test_the_mood_is_shared_only_while_the_person_lets_it(
    real: ServerProcess, camera_page: Page
) -> None:
    page = camera_page
    start(page, real.url)
    expect(page.locator("[data-share-pill]")).to_be_hidden()
    button(page, "Share my mood").click()
    pill = page.locator("[data-share-pill]")
    expect(pill).to_be_visible()
    address = page.locator("[data-share-url]").inner_text()
    stream = EventStream(address, timeout_s=90)
    assert stream.status == 200
    event = stream.next()
    assert event is not None and event.name == "mood"
    assert event.data["faces"] >= 1
    expect(page.locator("[data-share-who]")).to_contain_text("One program listens")
    expect(page.locator("[data-share-mood]")).to_contain_text("Shared now")
    pill.click()
    expect(pill).to_be_hidden()
    while (event := stream.next()) and event.name == "mood":
        pass
    assert event is not None and event.data == {"reason": "stopped"}
    assert stream.next() is None
    stream.close()
    gone = EventStream(address)
    assert gone.status == 404
    gone.close()

    button(page, "Share my mood").click()
    expect(pill).to_be_visible()
    other = page.locator("[data-share-url]").inner_text()
    assert other != address
    stream = EventStream(other, timeout_s=90)
    button(page, "Stop").click()
    while (event := stream.next()) and event.name == "mood":
        pass
    assert event is not None and event.data == {"reason": "left"}
    stream.close()
    expect(pill).to_be_hidden()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(
    page: Page, double: ServerProcess, tmp_path: Path, theme: Any
) -> None:
    page.emulate_media(color_scheme=theme)

    start(page, double.url)
    button(page, "Record").click()
    button(page, "Share my mood").click()
    page.locator("[data-suggest-file]").set_input_files(
        {
            "name": "a.csv",
            "mimeType": "text/csv",
            "buffer": b"title,kind,link,moods\nA,b,,happy\n,,,\n",
        }
    )
    expect(page.locator("[data-suggest-list]")).to_have_text("Ab")
    page.get_by_text("Names of the markers").click()
    page.keyboard.press("3")
    assert complaints(page) == []
    button(page, "End recording").click()
    assert complaints(page) == []
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Timeline and summary").click()
    viewer = opened.value
    expect(viewer.locator("[data-title]")).to_contain_text("Recording of")
    assert complaints(viewer) == []
    viewer.close()
