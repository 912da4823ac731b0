"""What studies say to whoever asks for German: whole sentences of it, whatever stands in them."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.studies.people import API, Person, Researcher
from webapp.languages import said, speaking

GERMAN = {"Accept-Language": "de"}


def test_what_a_study_lacks_is_said_in_one_language(
    client: FlaskClient, researcher: Researcher
) -> None:
    path = f"{API}/{researcher.draft(notice_text='', contact='')['id']}/open"
    english, german = (client.post(path, headers=h).json["error"] for h in ({}, GERMAN))
    assert english["message"] == (
        "Before it can be open this study needs at least one picture or video, the notice that "
        "people agree to, whom people can write to."
    )
    assert german["message"] == (
        "Bevor sie geöffnet werden kann, braucht diese Studie mindestens ein Bild oder Video, den "
        "Hinweis, dem die Teilnehmenden zustimmen, eine Angabe, an wen sie schreiben können."
    )
    assert german["detail"] == english["detail"]


def test_refused_answers_and_files_are_said_in_german(
    client: FlaskClient, researcher: Researcher
) -> None:
    person = Person(client, researcher.open(1))
    headers = person.headers | GERMAN
    for answers, words in (
        ({"liking": 6}, "„Liked it?“: Erwartet wurde eine ganze Zahl von 1 bis 5."),
        ({"age": "ancient"}, "„Age?“: Erwartet wurde eine der Möglichkeiten."),
        ({"why": "x" * 3000}, "„Why?“: Erwartet wurde Text von höchstens 2000 Zeichen."),
    ):
        path = "/api/v1/participations/me/answers"
        refused = client.put(path, json=answers, headers=headers)
        assert refused.json["error"]["message"] == words
    draft = researcher.draft()
    wrong: dict[str, Any] = {"before": [{"id": "a", "kind": "text", "text": ""}], "after": []}
    path = f"{API}/{draft['id']}"
    refused = client.patch(path, json={"questions": wrong}, headers=GERMAN)
    assert refused.json["error"]["message"] == (
        "Erwartet wurde der Text einer Frage als Text mit 1 bis 500 Zeichen."
    )
    with speaking("de"):
        assert said("Expected at most 200,000,000 bytes.").count("200.000.000") == 1


@pytest.mark.parametrize(
    ("asked", "language", "name", "question", "stimulus"),
    [
        ("de", "de", "Demo: die Schachtel", "Wie hat Ihnen gefallen", "Die Schachtel"),
        ("en", "en", "Demo: the box", "How did you like", "The box"),
        ("fr", "en", "Demo: the box", "How did you like", "The box"),
    ],
)
def test_the_demo_study_speaks_the_language_of_who_makes_it(
    client: FlaskClient, asked: str, language: str, name: str, question: str, stimulus: str
) -> None:
    study = client.post(f"{API}/demo", headers={"Accept-Language": asked}).json
    assert (study["notice_language"], study["name"]) == (language, name)
    assert study["questions"]["after"][0]["text"].startswith(question)
    assert study["stimuli"][0]["name"] == stimulus
    assert ("Gesicht" in study["notice_text"]) is (language == "de")
    assert study["state"] == "open"
