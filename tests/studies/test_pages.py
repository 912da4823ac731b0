"""The pages of studies: what they show in each state, and what is never shown to whom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.studies.people import API, Person, Researcher


def config_of(page: str) -> dict[str, Any]:
    """The JSON block that a page's scripts read."""
    found = re.search(r'id="config">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def text_of(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, path
    return answer.get_data(as_text=True)


def test_the_list_begins_empty_and_then_counts_people(
    client: FlaskClient, researcher: Researcher
) -> None:
    assert "There is no study yet." in text_of(client, "/studies")
    study = researcher.open(target=5)
    Person(client, study)
    page = text_of(client, "/studies")
    assert "Two films" in page
    assert f"/studies/{study['id']}/report" in page


def test_a_draft_says_what_is_missing(client: FlaskClient, researcher: Researcher) -> None:
    study = researcher.draft(contact="")
    page = text_of(client, f"/studies/{study['id']}")
    assert 'data-act="open"' not in page
    assert page.count('data-done="no"') == 2  # nothing to watch, nobody responsible
    researcher.add(study["id"])
    client.patch(f"{API}/{study['id']}", json={"contact": "Mira"})
    assert 'data-act="open"' in text_of(client, f"/studies/{study['id']}")


def test_an_open_study_shows_its_link_and_the_same_as_a_code(
    client: FlaskClient, researcher: Researcher
) -> None:
    study = researcher.open()
    page = text_of(client, f"/studies/{study['id']}")
    assert f"http://localhost{study['link']}" in page
    code = client.get(f"/studies/{study['id']}/qr.svg")
    assert code.mimetype == "image/svg+xml"
    assert code.data.startswith(b"<svg")
    assert code.headers["Cache-Control"] == "private, no-store"
    client.delete(f"{API}/{study['id']}/link")
    assert client.get(f"/studies/{study['id']}/qr.svg").status_code == 404
    assert "the last one was revoked" in text_of(client, f"/studies/{study['id']}")


def test_the_set_up_page_holds_everything_and_says_what_is_fixed(
    client: FlaskClient, researcher: Researcher
) -> None:
    study = researcher.draft()
    page = text_of(client, f"/studies/{study['id']}/edit")
    assert "data-drop" in page
    assert config_of(page)["study"]["questions"] == study["questions"]
    assert set(config_of(page)["notices"]) == {"en", "de"}
    opened = researcher.open()
    page = text_of(client, f"/studies/{opened['id']}/edit")
    assert "data-drop" not in page
    assert "stay as they are" in page


def test_people_read_who_what_how_long_and_their_rights_first(
    client: FlaskClient, researcher: Researcher
) -> None:
    study = researcher.open(keep_days=40)
    page = text_of(client, f"{study['link']}?pid=P-7&group=b&return=https://panel.example/x")
    for words in ("research@example.org", "facial", "deleted 40 days", "code", "You see two"):
        assert words in page
    given = config_of(page)
    assert given["pid"] == "P-7"
    assert given["columns"] == {"group": "b"}
    assert given["return"] == "https://panel.example/x"
    assert given["notice"]["version"] == study["notice_version"]
    assert study["id"] not in page, "the link is all that people need"
    assert 'href="/studies"' not in page, "people are not led to the researcher's pages"


def test_a_preview_works_before_the_study_is_open(
    client: FlaskClient, researcher: Researcher
) -> None:
    study = researcher.draft()
    page = text_of(client, f"/studies/{study['id']}/preview")
    assert "Preview" in page
    assert config_of(page)["preview"] is True


@pytest.mark.parametrize("path", ["/s/nowhere", "/s/" + "a" * 32])
def test_a_link_that_leads_nowhere_is_said_kindly(client: FlaskClient, path: str) -> None:
    assert "leads to no study" in text_of(client, path, 404)


def test_closed_full_and_ended_have_words_of_their_own(
    client: FlaskClient, researcher: Researcher
) -> None:
    full = researcher.open(target=1)
    Person(client, full)
    assert "Enough people" in text_of(client, full["link"], 410)
    closed = researcher.open()
    client.post(f"{API}/{closed['id']}/close")
    page = text_of(client, closed["link"], 410)
    assert "is closed" in page
    assert "/withdraw" in page


def test_the_page_to_withdraw_is_always_there(client: FlaskClient) -> None:
    assert "withdrawal code" in text_of(client, "/withdraw")


@pytest.mark.parametrize("path", ["", "/edit", "/report", "/preview", "/qr.svg"])
def test_a_study_that_is_not_there_has_no_page(client: FlaskClient, path: str) -> None:
    assert client.get(f"/studies/{'0' * 32}{path}").status_code == 404


def test_where_a_login_is_required_people_need_none(make_studies: Callable[..., Flask]) -> None:
    client = make_studies(require_login=True).test_client()
    headers = {"Accept": "text/html"}
    for path in ("/studies", "/studies/new"):
        assert "/admin/" in client.get(path, headers=headers).headers["Location"], path
    assert client.get("/withdraw", headers=headers).status_code == 200
    assert client.get("/s/nowhere", headers=headers).status_code == 404
