"""What a report says first: the answer, how certain it is, and what it must not claim."""

from __future__ import annotations

import re
from typing import Any

import pytest

from webapp.domain import EMOTIONS
from webapp.languages import speaking
from webapp.survey.report.narrative import percent, plain_words, story_of


def row(emotion: str, share: float, interval: list[float] | None, faces: int) -> dict[str, Any]:
    return {
        "emotion": emotion,
        "share": share,
        "count": round(share * faces),
        "people": round(share * faces),
        "share_interval": interval,
        "corrected": None,
    }


def difference(
    measure: str, first: float, second: float, significant: bool = True, **more: Any
) -> dict[str, Any]:
    value = first - second
    return {
        "groups": ["Package A", "Package B"],
        "measure": measure,
        "first": first,
        "second": second,
        "difference": value,
        "effect": 2 * value,
        "significant": significant,
        "interval": [value - 0.11, value + 0.12],
        "untested": None,
        "primary": False,
    } | more


def report(
    rows: list[dict[str, Any]] | None = None,
    *,
    shares: dict[str, tuple[float, list[float] | None]] | None = None,
    clusters: int = 100,
    faces: int = 100,
    uploaded: int | None = None,
    people: str = "named",
    weighting: str = "face",
    **more: Any,
) -> dict[str, Any]:
    told = shares or {"happy": (0.5, [0.45, 0.55]), "sad": (0.3, [0.25, 0.35])}
    emotions = [row(e, *told.get(e, (0.0, [0.0, 0.1])), faces) for e in EMOTIONS]
    size = {"faces": faces, "clusters": clusters}
    return {
        "ledger": {"uploaded": uploaded or faces, "counts": {"used": faces, "no_face": 0}},
        "overall": size | {"emotions": emotions, "uncertain": 0},
        "groups": [size, size] if rows else [size],
        "comparison": {"rows": rows or [], "min_cell": 5},
        "method": {
            "people": people,
            "guess": "30 people, 6 pictures each",
            "weighting": weighting,
            "unlike_test_set": [],
        },
        "exclusion": {"uneven": [], "rates": []},
    } | more


def said(*args: Any, **options: Any) -> str:
    return " ".join(plain_words(story_of(report(*args, **options)))).replace("\u00a0", " ")


def test_the_headline_is_the_answer():
    story = story_of(report([difference("happy", 0.41, 0.22), difference("sad", 0.1, 0.12, False)]))
    assert story["headline"].replace("\u00a0", " ") == (
        "“Package A” drew more happy faces than “Package B”: 41 % against 22 %, "
        "8 to 31 points more."
    )
    assert story["certainty"] == "clear"
    assert [one["text"].replace("\u00a0", " ") for one in story["takeaways"]] == [
        "No other difference is clear (1 test).",
        "50 % of all faces looked happy.",
    ]
    assert len(" ".join(plain_words(story)).split()) < 60


def test_a_difference_is_told_from_its_larger_side():
    text = said([difference("valence", -0.02, 0.38, interval=[-0.65, -0.15])])
    assert (
        "“Package B” drew more positive faces than “Package A”: valence +0.38 against "
        "\u22120.02, 0.15 to 0.65 more." in text
    )


def test_further_differences_are_counted_in_the_right_grammar():
    rows = [difference(e, 0.2 + n / 10, 0.1) for n, e in enumerate(("sad", "fear", "happy"))]
    assert "; 1 more difference is clear." in said(rows)
    assert "; 2 more differences are clear." in said([*rows, difference("angry", 0.15, 0.1)])
    assert "more difference" not in said(rows[:2])


def test_no_clear_difference_is_not_no_difference():
    text = said([difference("happy", 0.3, 0.25, False)])
    assert text.startswith("No clear difference between “Package A” and “Package B”.")
    assert "does not show that the groups are the same" in text


def test_the_main_question_is_answered_first():
    rows = [
        difference("happy", 0.3, 0.25, False, primary=True),
        difference("sad", 0.9, 0.1),
    ]
    text = said(rows)
    assert text.startswith(
        "No clear difference in happy faces between “Package A” and “Package B”: "
        "30 % against 25 % (difference \u22126 to +17 points)."
    )
    assert "“Package A” also drew more sad faces: 90 % against 10 %." in text
    rows[0]["untested"] = "fewer than 5 faces show it"
    assert said(rows).startswith("Happy faces could not be compared: fewer than 5")


def test_small_groups_are_not_compared_and_no_test_is_counted():
    rows = [difference(e, 0.5, 0.1, False, untested="few", interval=None) for e in EMOTIONS]
    text = said(rows, clusters=4)
    assert text.startswith("The groups are too small to be compared: it takes five people")
    assert "test" not in text


def test_one_face_and_two_people_say_nothing_about_others():
    one = said(shares={"happy": (1.0, None)}, clusters=1, faces=1, people="unknown")
    assert one.startswith("The one face that could be read looked happy; one face says nothing")
    two = said(shares={"happy": (0.75, None)}, clusters=2, faces=4)
    assert two.startswith("3 of 4 faces of 2 people looked happy: too few to say anything")
    assert "%" not in two


def test_one_group_gets_its_most_frequent_expression_and_the_next():
    text = said(clusters=100, faces=100)
    assert text.startswith("50 % of the faces looked happy (45 % to 55 %).")
    assert "No other expression came to more than 30 % (sad)." in text
    open_ = said(shares={"happy": (0.5, [0.3, 0.7]), "sad": (0.3, [0.1, 0.5])})
    assert "which of the two is really more frequent is open" in open_


def test_people_are_counted_beside_faces_and_alone_for_videos():
    text = said(clusters=20, faces=120, shares={"happy": (0.5, [0.4, 0.6])})
    assert "; 60 of 20 people smiled" in text  # the double counts faces as people
    video = said(clusters=10, faces=600, shares={"happy": (0.01, [0, 0.1])}, weighting="respondent")
    assert "6 of 10 people smiled for at least a third of the time." in video
    unnamed = said(
        clusters=10,
        faces=600,
        shares={"happy": (0.01, [0, 0.1])},
        weighting="respondent",
        people="unknown",
    )
    assert "In 6 of 10 videos faces looked happy for at least a third of the time." in unnamed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"people": "unknown"}, "Who is who is not known; people in several pictures"),
        ({"people": "guessed"}, "guessed from file names: 30 people, 6 pictures each."),
        ({"clusters": 12}, "Only 12 people: others may react differently."),
        ({"uploaded": 130}, "100 of 130 files could be used."),
    ],
)
def test_what_a_reader_must_know_is_said(options, words):
    assert words in said(**options)
    assert words not in said()


def test_a_tilt_is_said_in_place_of_smallness():
    tilt = {
        "uneven": [{"groups": ["A", "B"], "p_holm": 0.01}],
        "rates": [{"group": "A", "left_out": 0.11}, {"group": "B", "left_out": 0.29}],
    }
    text = said(exclusion=tilt, clusters=12)
    assert text.startswith("50 % of the faces looked happy")
    assert "29 % of the files of “B” were left out, 11 % of “A”: that may tilt the result." in text
    assert "Only 12 people" not in text


def test_the_longest_story_has_about_sixty_words():
    tilt = {
        "uneven": [{"groups": ["Apple", "Pear"], "p_holm": 0.01}],
        "rates": [{"group": "Apple", "left_out": 0.11}, {"group": "Pear", "left_out": 0.29}],
    }
    rows = [
        difference("happy", 0.4, 0.2, primary=True),
        *(difference(e, 0.2 + n / 10, 0.1) for n, e in enumerate(("sad", "fear", "angry"))),
    ]
    for row in rows:
        row["groups"] = ["Apple", "Pear"]
    for main in (True, False):
        rows[0]["significant"] = main
        for people in ("guessed", "unknown"):
            text = said(rows, exclusion=tilt, clusters=12, people=people, uploaded=120)
            assert len(text.replace(" %", "%").split()) <= 70, text


def test_nothing_used_says_nothing_else():
    nothing = report(faces=0, uploaded=1)
    assert story_of(nothing)["headline"].startswith("The one uploaded file could not be used")
    assert story_of(report(faces=0, uploaded=3))["headline"].startswith(
        "None of the 3 uploaded files"
    )
    assert story_of(nothing)["takeaways"] == []


def test_a_small_share_is_not_rounded_to_nothing():
    assert percent(0.001) == "under 1\u00a0%"
    assert percent(0.0) == "0\u00a0%"


def german(*args: Any, **options: Any) -> str:
    with speaking("de"):
        return said(*args, **options)


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (
            [difference("happy", 0.41, 0.22)],
            {},
            "„Package A“ rief mehr fröhliche Gesichter hervor als „Package B“: "
            "41 % gegenüber 22 %, 8 bis 31 Punkte mehr.",
        ),
        (
            [difference("valence", -0.02, 0.38, interval=[-0.65, -0.15])],
            {},
            "mehr positive Gesichter hervor als „Package A“: Valenz +0,38 gegenüber \u22120,02, "
            "0,15 bis 0,65 mehr.",
        ),
        (
            [difference("happy", 0.3, 0.25, False, primary=True)],
            {},
            "Kein klarer Unterschied zwischen „Package A“ und „Package B“ (fröhliche Gesichter): "
            "30 % gegenüber 25 % (Unterschied \u22126 bis +17 Punkte).",
        ),
        (
            [
                difference("sad", 0.9, 0.1),
                difference("happy", 0.6, 0.2),
                difference("fear", 0.3, 0),
            ],
            {},
            "„Package A“ rief auch mehr fröhliche Gesichter hervor: 60 % gegenüber 20 %; "
            "1 weiterer Unterschied ist klar.",
        ),
        (None, {}, "50 % der Gesichter wirkten fröhlich (45 % bis 55 %)."),
        (None, {"clusters": 12}, "Nur 12 Personen: Andere reagieren vielleicht anders."),
        (None, {"people": "guessed"}, "erraten: 30 Personen, je 6 Bilder."),
        (None, {"uploaded": 130}, "100 von 130 Dateien konnten verwendet werden."),
        (
            None,
            {"clusters": 10, "faces": 600, "weighting": "respondent"},
            "300 von 10 Personen lächelten, mindestens ein Drittel der Zeit.",
        ),
        (None, {"faces": 1, "clusters": 1}, "Das eine lesbare Gesicht wirkte fröhlich;"),
        (
            None,
            {"faces": 2, "clusters": 2, "shares": {"sad": (0.5, None), "happy": (0.4, None)}},
            "1 von 2 Gesichtern von 2 Personen wirkte traurig: zu wenige",
        ),
    ],
)
def test_the_sentences_in_german(rows: Any, options: dict[str, Any], words: str) -> None:
    assert words in german(rows, **options)


def test_no_sentence_stays_english_in_german() -> None:
    tilt = {
        "uneven": [{"groups": ["A", "B"], "p_holm": 0.01}],
        "rates": [{"group": "A", "left_out": 0.11}, {"group": "B", "left_out": 0.29}],
    }
    found = [
        german([difference("happy", 0.3, 0.25, False)], exclusion=tilt, people="unknown"),
        german(clusters=12, people="unknown", weighting="respondent"),
        german(faces=0, uploaded=3),
    ]
    for text in found:
        assert not re.search(r"\b(the|of|were|faces|is|and)\b", text), text
