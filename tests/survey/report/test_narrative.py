"""The paragraph on top of a report: what it claims, and what it must not claim."""

from __future__ import annotations

from typing import Any

from webapp.domain import EMOTIONS
from webapp.survey.report.narrative import plain_words


def row(emotion: str, share: float, interval: list[float] | None) -> dict[str, Any]:
    return {
        "emotion": emotion,
        "share": share,
        "share_interval": interval,
        "corrected": None,
        "corrected_interval": None,
    }


def difference(measure: str, value: float, significant: bool) -> dict[str, Any]:
    return {
        "groups": ["A", "B"],
        "measure": measure,
        "first": 0.5 + value / 2,
        "second": 0.5 - value / 2,
        "difference": value,
        "significant": significant,
    }


def report(
    happy: list[float] | None = None,
    sad: list[float] | None = None,
    rows: list[dict[str, Any]] | None = None,
    clusters: int = 100,
    uploaded: int = 100,
    used: int = 100,
) -> dict[str, Any]:
    shares = {"happy": (0.5, happy or [0.45, 0.55]), "sad": (0.3, sad or [0.25, 0.35])}
    emotions = [row(e, *shares.get(e, (0.04, [0.0, 0.1]))) for e in EMOTIONS]
    return {
        "ledger": {"uploaded": uploaded, "counts": {"used": used, "no_face": uploaded - used}},
        "overall": {"emotions": emotions, "faces": used, "uncertain": 0, "clusters": clusters},
        "comparison": {"rows": rows or [], "tests": len(rows or [])},
        "method": {"cluster_unit": "respondent"},
    }


def said(**options: Any) -> str:
    return " ".join(plain_words(report(**options))).replace("\u00a0", " ")


def test_the_order_of_two_is_claimed_only_where_it_is_clear():
    assert "too close" not in said()
    assert "too close to say" in said(happy=[0.3, 0.7], sad=[0.1, 0.5])


def test_differences_are_named_with_their_direction_and_the_right_grammar():
    rows = [difference(e, d, True) for e, d in (("happy", 0.4), ("sad", -0.3), ("fear", 0.1))]
    text = said(rows=rows)
    assert "“A” showed more happiness than “B” (70 % against 30 %)" in text
    assert "“B” showed more sadness than “A” (65 % against 35 %)" in text
    assert "1 more difference stands out" in text
    assert "2 more differences stand out" in said(rows=[*rows, difference("angry", 0.1, True)])
    assert "more difference" not in said(rows=rows[:2])


def test_valence_alone_is_not_called_no_difference():
    rows = [difference("happy", 0.1, False), difference("valence", -0.4, True)]
    text = said(rows=rows)
    assert "“B” looked more positive than “A”" in text
    assert "No difference between the groups" not in text
    assert "No difference between the groups is clear" in said(rows=rows[:1])


def test_few_people_are_a_first_impression():
    assert "With only 12 respondents" in said(clusters=12)
    assert "first impression" not in said(clusters=20)


def test_nothing_used_says_nothing_else():
    assert plain_words(report(uploaded=1, used=0))[0].startswith("The one uploaded file could not")
    assert plain_words(report(uploaded=3, used=0))[0].startswith("None of the 3 uploaded files")
    assert len(plain_words(report(uploaded=3, used=0))) == 1
