"""In which language a page is answered, by browser and by hand; what comes with it."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp import languages
from webapp.app import create_app
from webapp.languages import (
    LANGUAGES,
    browser_script,
    day,
    gettext,
    minute,
    number,
    said,
    second,
    speaking,
)
from webapp.settings import Settings

LAMBDA = (
    "Such a layer holds program code that would run on this server when it is loaded, so it is "
    "refused and was not run. Replace it by Keras' own layers (Rescaling, for example) and save "
    "the model again."
)


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(Settings(async_mode="threading"))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr, de;q=0.5", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("fr", "en"),
    ],
)
def test_a_page_speaks_what_the_browser_asks_for(
    client: FlaskClient, asked: str, spoken: str
) -> None:
    answer = client.get("/privacy", headers={"Accept-Language": asked})
    page = answer.get_data(as_text=True)
    assert f'<html lang="{spoken}" dir="ltr">' in page
    assert answer.headers["Content-Language"] == spoken
    assert {"Accept-Language", "Cookie"} <= set(answer.vary)
    assert ("Datenschutz" in page) == (spoken == "de")


def test_what_is_chosen_by_hand_goes_before_the_browser(client: FlaskClient) -> None:
    german = {"Accept-Language": "de"}
    assert 'data-language="en"' in client.get("/privacy", headers=german).get_data(as_text=True)
    answer = client.get("/language/en?back=/privacy", headers=german)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/privacy")
    assert '<html lang="en"' in client.get("/privacy", headers=german).get_data(as_text=True)
    client.get("/language/de?back=/privacy")
    assert '<html lang="de"' in client.get("/privacy").get_data(as_text=True)


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "\\\\evil"]
)
def test_the_switch_leads_nowhere_else(client: FlaskClient, back: str) -> None:
    answer = client.get("/language/de", query_string={"back": back})
    assert answer.headers["Location"] == "/"


def test_a_language_that_is_not_there_is_refused(client: FlaskClient) -> None:
    assert client.get("/language/xx").status_code == 404
    assert client.get("/words/xx-0.js").status_code == 404


@pytest.mark.parametrize(
    ("way", "path", "words"),
    [("get", "/nowhere", "Prüfen Sie die Adresse"), ("post", "/privacy", "über ihren Link")],
)
def test_error_pages_speak_the_language_of_their_reader(
    client: FlaskClient, way: str, path: str, words: str
) -> None:
    answer = client.open(path, method=way.upper(), headers={"Accept-Language": "de"})
    page = answer.get_data(as_text=True)
    assert words in page
    assert "requested URL" not in page


def test_the_switch_works_before_a_login() -> None:
    closed = create_app(Settings(async_mode="threading", require_login=True)).test_client()
    assert closed.get("/language/de?back=/admin/login").status_code == 302
    assert "Kennwort" in closed.get("/admin/login").get_data(as_text=True)


def test_the_browsers_texts_come_in_one_script_that_is_kept(client: FlaskClient) -> None:
    english = client.get("/").get_data(as_text=True)
    assert "/words/" not in english, "English needs none"
    page = client.get("/", headers={"Accept-Language": "de"}).get_data(as_text=True)
    address = page.partition('<script src="/words/')[2].partition('"')[0]
    assert page.index("/words/") < page.index('type="module"'), "it is there before the modules"
    answer = client.get(f"/words/{address}", headers={"Accept-Encoding": "gzip"})
    assert answer.mimetype == "text/javascript"
    assert "immutable" in answer.headers["Cache-Control"]
    assert len(answer.data) < 20_000
    plain = client.get(f"/words/{address}").get_data(as_text=True)
    texts = json.loads(plain[plain.index("texts:") + 6 : plain.rindex("}")])
    assert texts["Happy"] == "Freude"
    stale = client.get("/words/de-0123456789ab.js")
    assert stale.headers["Location"] == f"/words/{address}"


def test_errors_for_programs_keep_their_code_in_every_language(client: FlaskClient) -> None:
    english = client.get("/api/v1/surveys/no-such").get_json()["error"]
    german = client.get("/api/v1/surveys/no-such", headers={"Accept-Language": "de"}).get_json()
    assert german["error"]["code"] == english["code"] == "not_found"
    assert german["error"]["message"] != english["message"]


def test_a_message_with_values_is_said_in_german() -> None:
    with speaking("de"):
        assert said("a group has fewer than 5 faces") == "eine Gruppe hat weniger als 5 Gesichter"
        assert said("of {1} nobody knows") == "of {1} nobody knows"
    assert said("a group has fewer than 5 faces") == "a group has fewer than 5 faces"


def test_an_empty_text_stays_empty() -> None:
    with speaking("de"):
        assert (gettext(""), said("")) == ("", "")


def test_what_the_server_writes_down_in_english_is_shown_in_german() -> None:
    with speaking("de"):
        assert said(
            "Expected a whole JPEG picture. Received one that cannot be decoded: it ends "
            "before its first scan."
        ).endswith(": Es endet vor dem ersten Durchlauf.")
        assert said("evaluating on 21 faces") == "Auswertung an 21 Gesichtern"
        assert said(f"The network has a Lambda layer. {LAMBDA}").startswith(
            "Das Netz hat eine Schicht Lambda. Sie enthält Programmcode"
        )
        assert said("Some CPU @ 2.4 GHz, 2 processor cores") == (
            "Some CPU @ 2.4 GHz, 2 Prozessorkerne"
        )
        assert said("Mien went back to a by itself. 9 of 10 frames failed with b in its first "
                    "minute (90%; 0% before, 5% allowed).") == (
            "Mien ist von selbst zu a zurückgekehrt. 9 von 10 Bildern scheiterten mit b in der "
            "ersten Minute (90%; vorher 0%, erlaubt 5%)."
        )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "digits", "sign", "english", "german"),
    [
        (0.0384, 3, False, "0.038", "0,038"),
        (1234567, 0, False, "1,234,567", "1.234.567"),
        (-0.25, 2, True, "\u22120.25", "\u22120,25"),
        (0.25, 2, True, "+0.25", "+0,25"),
        (-0.0001, 2, True, "0.00", "0,00"),
    ],
)
def test_numbers(value: float, digits: int, sign: bool, english: str, german: str) -> None:
    for spoken, expected in (("en", english), ("de", german)):
        with speaking(spoken):
            assert number(value, digits, sign) == expected


def test_dates() -> None:
    with speaking("de"):
        assert (day("2026-11-27T08:05:00"), day(None)) == ("27.11.2026", "–")
        assert minute("2026-11-27T08:05:00+00:00") == "27.11.2026, 08:05"
        assert second("2026-11-27T08:05:09+00:00") == "27.11.2026, 08:05:09"
    with speaking("en"):
        assert minute("2026-11-27T08:05:00+00:00") == "2026-11-27 08:05"
        assert second("2026-11-27T08:05:09+00:00") == "2026-11-27 08:05:09"
        assert minute("last week") == "last week", "as a card says it"


def test_every_language_has_a_catalogue_and_a_plural_rule() -> None:
    for name in LANGUAGES:
        if name != languages.ENGLISH:
            assert languages.catalogue(name).num_plurals >= 1
            assert browser_script(name).startswith("globalThis.mienWords={")
