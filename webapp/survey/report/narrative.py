"""The paragraph on top of a report, for a person who knows no statistics: cautious and correct."""

from __future__ import annotations

from typing import Any

from webapp.survey.ledger import NO_FACE

NOUNS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "no particular expression (neutral)",
}
FEW_CLUSTERS = 20


def percent(share: float) -> str:
    """A share as a whole percentage; small ones are not rounded to nothing."""
    if 0 < share < 0.005:
        return "under 1\u00a0%"
    return f"{round(100 * share)}\u00a0%"


def plain_words(report: dict[str, Any]) -> list[str]:
    """Sentences about a report (see :func:`webapp.survey.report.content.build_report`)."""
    ledger, everyone = report["ledger"], report["overall"]
    uploaded, used = ledger["uploaded"], ledger["counts"]["used"]
    if used == 0:
        nothing = (
            "The one uploaded file could not be used"
            if uploaded == 1
            else f"None of the {uploaded} uploaded files could be used"
        )
        return [
            f"{nothing}, so this survey says nothing. "
            "The ledger below gives the reason for every file."
        ]
    sentences = [_used(uploaded, used, everyone, ledger["counts"][NO_FACE])]
    sentences.append(_strongest(everyone))
    sentences.extend(_groups(report["comparison"]))
    if everyone["uncertain"]:
        share = percent(everyone["uncertain"] / everyone["faces"])
        sentences.append(
            f"In {share} of the faces the model was not sure; they are counted by their most "
            "probable expression and can be reviewed."
        )
    if everyone["clusters"] < FEW_CLUSTERS:
        unit = "respondents" if report["method"]["cluster_unit"] == "respondent" else "files"
        sentences.append(
            f"With only {everyone['clusters']} {unit} these figures are a first impression: "
            "the ranges are rough, and other people may well react differently."
        )
    sentences.append(
        "All of this is about what faces did in the pictures, not about what people felt."
    )
    return sentences


def _used(uploaded: int, used: int, everyone: dict[str, Any], no_face: int) -> str:
    if used == uploaded > 1:
        text = f"All {uploaded} uploaded files could be used"
    else:
        text = f"Of {uploaded} uploaded files, {used} could be used"
    if everyone["faces"] != used:
        text += f" ({everyone['faces']} faces in them)"
    if uploaded - used:
        text += f" and {uploaded - used} were left out"
        if no_face:
            text += f", {no_face} of them because no face was found"
    return text + "."


def _strongest(everyone: dict[str, Any]) -> str:
    rows = sorted(everyone["emotions"], key=lambda row: -float(_best(row)))
    first = rows[0]
    text = f"The most frequent expression was {NOUNS[first['emotion']]}: "
    if first["corrected"] is not None:
        text += (
            f"about {percent(first['corrected'])} of the faces after correcting for the model's "
            f"known mistakes{_range(first['corrected_interval'])}"
        )
        text += f"; without the correction {percent(first['share'])}."
    else:
        text += f"{percent(first['share'])} of the faces{_range(first['share_interval'])}."
    if len(rows) > 1 and _best(rows[1]) > 0:
        second = rows[1]
        text += f" Next came {NOUNS[second['emotion']]} with {percent(_best(second))}"
        if _overlap(first, second):
            text += "; the two are too close to say which of them is really more frequent"
        text += "."
    return text


def _overlap(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether the second could be as frequent as the first, as far as their intervals tell."""
    key = "share_interval" if first["corrected"] is None else "corrected_interval"
    mine, other = first[key], second[key]
    return mine is None or other is None or bool(other[1] >= mine[0])


def _best(row: dict[str, Any]) -> float:
    return float(row["share"] if row["corrected"] is None else row["corrected"])


def _range(interval: list[float] | None) -> str:
    if interval is None:
        return ""
    return f" (95\u00a0% interval {percent(interval[0])} to {percent(interval[1])})"


def _differ(count: int) -> str:
    return "difference stands out" if count == 1 else "differences stand out"


def _groups(comparison: dict[str, Any]) -> list[str]:
    rows = comparison["rows"]
    if not rows:
        return []
    clear = sorted(
        (row for row in rows if row["significant"] and row["measure"] != "valence"),
        key=lambda row: -abs(row["difference"]),
    )
    if clear:
        said = []
        for row in clear[:2]:
            first, second = row["groups"]
            more, less = (first, second) if row["difference"] > 0 else (second, first)
            high, low = max(row["first"], row["second"]), min(row["first"], row["second"])
            said.append(
                f"“{more}” showed more {NOUNS[row['measure']]} than “{less}” "
                f"({percent(high)} against {percent(low)})"
            )
        more_of_them = len(clear) - len(said)
        rest = f"; {more_of_them} more {_differ(more_of_them)} clearly" if more_of_them else ""
        return [
            f"Between the groups, counted without the correction, {' and '.join(said)}{rest}. "
            "Differences this large are unlikely to be chance, even allowing for the number of "
            "comparisons made."
        ]
    brighter = [row for row in rows if row["significant"]]  # no expression, so valence alone
    if brighter:
        row = max(brighter, key=lambda row: abs(row["difference"]))
        first, second = row["groups"]
        more, less = (first, second) if row["difference"] > 0 else (second, first)
        return [
            f"No single expression differs clearly between the groups, but all together “{more}” "
            f"looked more positive than “{less}”; that is unlikely to be chance."
        ]
    if comparison["tests"]:
        return [
            "No difference between the groups is clear enough to rule out chance; that does not "
            "show that the groups are the same."
        ]
    return ["The groups are too small to be compared with each other."]
