"""What a report says first: a headline with the answer, and what goes with it. No statistics words.

Every sentence is a template that a test reads. About sixty words in all.
"""

from __future__ import annotations

from typing import Any

ADJECTIVES = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happy": "happy",
    "sad": "sad",
    "surprise": "surprised",
    "neutral": "neutral",
}
SHOWED = {
    "angry": "looked angry",
    "disgust": "looked disgusted",
    "fear": "looked fearful",
    "happy": "smiled",
    "sad": "looked sad",
    "surprise": "looked surprised",
    "neutral": "showed no particular expression",
}
FEW_CLUSTERS = 20
MIN_CLUSTERS = 5
FEELING = "This describes faces, not feelings."
CLEAR, FIRST, NOT_CLEAR, NOT_TESTED, CAUTION = (
    "clear",
    "first impression",
    "not clear",
    "not tested",
    "caution",
)


def percent(share: float) -> str:
    """A share as a whole percentage; small ones are not rounded to nothing."""
    if 0 < share < 0.005:
        return "under 1\u00a0%"
    return f"{round(100 * share)}\u00a0%"


def plain_words(story: dict[str, Any]) -> list[str]:
    """The story as sentences."""
    return [story["headline"], *(one["text"] for one in story["takeaways"]), story["note"]]


def story_of(report: dict[str, Any]) -> dict[str, Any]:
    """``{"headline", "certainty", "takeaways": [{"text", "certainty"}], "note"}`` of a report."""
    ledger = report["ledger"]
    uploaded, used = ledger["uploaded"], ledger["counts"]["used"]
    if used == 0:
        nothing = (
            "The one uploaded file could not be used"
            if uploaded == 1
            else f"None of the {uploaded} uploaded files could be used"
        )
        return {
            "headline": f"{nothing}, so this survey says nothing.",
            "certainty": NOT_TESTED,
            "takeaways": [],
            "note": "The ledger below gives the reason for every file.",
        }
    rows = report["comparison"]["rows"]
    takeaways: list[dict[str, str]] = []
    if rows:
        headline, certainty, headline_row = _compared(report)
        takeaways += _other_findings(report, headline_row)
        takeaways += _cautions(report) or [_overall(report, short=True)]
    else:
        first = _overall(report)
        headline, certainty = first["text"], first["certainty"]
        takeaways += _second(report) + _cautions(report)
    return {
        "headline": headline,
        "certainty": certainty,
        "takeaways": takeaways[:3],
        "note": " ".join(filter(None, [_unknown_people(report), _used(report), FEELING])),
    }


def _compared(report: dict[str, Any]) -> tuple[str, str, dict[str, Any] | None]:
    """The headline of a comparison, how certain it is, and the row that it tells of."""
    comparison = report["comparison"]
    rows = comparison["rows"]
    main = [row for row in rows if row.get("primary")]
    clear = [row for row in main or rows if row["significant"]]
    if clear:
        row = max(clear, key=lambda one: abs(one["effect"]))
        return f"{_difference(report, row)}.", CLEAR, row
    tested = [row for row in main or rows if row["untested"] is None]
    if not tested:
        if main and any(row["untested"] is None for row in rows):
            return (
                f"{_name(main[0]['measure']).capitalize()} could not be compared: "
                f"{main[0]['untested']}.",
                NOT_TESTED,
                main[0],
            )
        return (
            "The groups are too small to be compared: it takes five people and "
            f"{comparison['min_cell']} faces in each.",
            NOT_TESTED,
            None,
        )
    if len({tuple(row["groups"]) for row in rows}) > 1:
        about = f" in {_name(main[0]['measure'])}" if main else ""
        return f"No clear difference{about} between the groups.", NOT_CLEAR, None
    row = main[0] if main else max(tested, key=lambda one: abs(one["effect"]))
    first, second = row["groups"]
    size = ""
    if row["interval"] is not None:
        low, high = row["interval"]
        size = f" (difference {_signed(low, row)} to {_signed(high, row)}{_unit(row)})"
    if main:
        return (
            f"No clear difference in {_name(row['measure'])} between “{first}” and "
            f"“{second}”: {_value(row, 'first')} against {_value(row, 'second')}{size}.",
            NOT_CLEAR,
            row,
        )
    return f"No clear difference between “{first}” and “{second}”.", NOT_CLEAR, None


def _difference(report: dict[str, Any], row: dict[str, Any], short: bool = False) -> str:
    """As "“A” drew more happy faces than “B”: 41 % against 22 %, 8 to 31 points more".

    ``short`` leaves the interval out, and the other group where there are only two.
    """
    swap = row["difference"] < 0
    more, less = reversed(row["groups"]) if swap else row["groups"]
    high, low = ("second", "first") if swap else ("first", "second")
    what = (
        "more positive faces"
        if row["measure"] == "valence"
        else f"more {ADJECTIVES[row['measure']]} faces"
    )
    pairs = {tuple(one["groups"]) for one in report["comparison"]["rows"]}
    drew = f"also drew {what}" if short and len(pairs) == 1 else f"drew {what} than “{less}”"
    figures = f"{_value(row, high)} against {_value(row, low)}"
    text = f"“{more}” {drew}: {'valence ' if row['measure'] == 'valence' else ''}{figures}"
    if row["interval"] is None or short:
        return text
    ends = sorted(abs(end) for end in row["interval"])
    if row["measure"] == "valence":
        return f"{text}, {ends[0]:.2f} to {ends[1]:.2f} more"
    points = [round(100 * end) for end in ends]
    return f"{text}, {max(1, points[0])} to {points[1]} points more"


def _value(row: dict[str, Any], side: str) -> str:
    if row["measure"] == "valence":
        return f"{row[side]:+.2f}".replace("-", "\u2212")
    return percent(row[side])


def _signed(value: float, row: dict[str, Any]) -> str:
    text = f"{value:+.2f}" if row["measure"] == "valence" else f"{round(100 * value):+d}"
    return "0" if text == "+0" else text.replace("-", "\u2212")


def _unit(row: dict[str, Any]) -> str:
    return "" if row["measure"] == "valence" else " points"


def _name(measure: str) -> str:
    return "valence" if measure == "valence" else f"{ADJECTIVES[measure]} faces"


def _other_findings(
    report: dict[str, Any], headline_row: dict[str, Any] | None
) -> list[dict[str, str]]:
    """The strongest clear difference beside the headline's, or that there is none."""
    comparison = report["comparison"]
    rows = [row for row in comparison["rows"] if row is not headline_row]
    clear = [row for row in rows if row["significant"]]
    if clear:
        row = max(clear, key=lambda one: abs(one["effect"]))
        rest = len(clear) - 1
        more = f"; {rest} more {'difference is' if rest == 1 else 'differences are'} clear"
        said = _difference(report, row, short=True)
        return [{"text": f"{said}{more if rest else ''}.", "certainty": CLEAR}]
    tested = sum(row["untested"] is None for row in rows)
    if not tested:
        return []
    if headline_row is None or not headline_row["significant"]:
        if headline_row and headline_row["primary"] and headline_row["interval"]:
            return []  # the interval in the headline says so
        return [
            {
                "text": "That does not show that the groups are the same.",
                "certainty": NOT_CLEAR,
            }
        ]
    tests = "1 test" if tested == 1 else f"{tested} tests"
    return [{"text": f"No other difference is clear ({tests}).", "certainty": NOT_CLEAR}]


def _overall(report: dict[str, Any], short: bool = False) -> dict[str, str]:
    """What most faces, or most people, showed; ``short`` without the interval."""
    everyone, method = report["overall"], report["method"]
    row = max(everyone["emotions"], key=lambda one: (one["share"], one["count"]))
    name, faces, people = row["emotion"], everyone["faces"], everyone["clusters"]
    if faces == 1:
        return {
            "text": f"The one face that could be read looked {ADJECTIVES[name]}; "
            "one face says nothing about other people.",
            "certainty": NOT_TESTED,
        }
    word = _people_word(report)
    if people < MIN_CLUSTERS:
        return {
            "text": f"{row['count']} of {faces} faces of {people} {_plural(word, people)} looked "
            f"{ADJECTIVES[name]}: too few to say anything about others.",
            "certainty": NOT_TESTED,
        }
    certainty = CLEAR if people >= FEW_CLUSTERS else FIRST
    if method["weighting"] == "respondent":
        row = max(everyone["emotions"], key=lambda one: (one["people"], one["share"]))
        who = f"{row['people']} of {people} {_plural(word, people)}"
        text = f"{who} {SHOWED[row['emotion']]}"
        if word != "person":
            text = f"In {who} faces looked {ADJECTIVES[row['emotion']]}"
        return {"text": f"{text} for at least a third of the time.", "certainty": certainty}
    if short:
        text = f"{percent(row['share'])} of all faces looked {ADJECTIVES[name]}."
        return {"text": text, "certainty": certainty}
    band = row["share_interval"]
    between = f" ({percent(band[0])} to {percent(band[1])})" if band else ""
    text = f"{percent(row['share'])} of the faces looked {ADJECTIVES[name]}{between}"
    if method["people"] != "unknown" and people != faces:
        text += f"; {row['people']} of {people} people {SHOWED[name]}"
    return {"text": f"{text}.", "certainty": certainty}


def _second(report: dict[str, Any]) -> list[dict[str, str]]:
    """The next most frequent expression, and whether the order of the two is clear."""
    everyone = report["overall"]
    rows = sorted(everyone["emotions"], key=lambda one: -float(one["share"]))
    first, second = rows[0], rows[1]
    if everyone["clusters"] < MIN_CLUSTERS or second["share"] == 0:
        return []
    name = ADJECTIVES[second["emotion"]]
    mine, other = first["share_interval"], second["share_interval"]
    if mine and other and other[1] >= mine[0]:
        text = f"Next came {name} with {percent(second['share'])}; which of the two is really "
        return [{"text": f"{text}more frequent is open.", "certainty": NOT_CLEAR}]
    text = f"No other expression came to more than {percent(second['share'])} ({name})"
    few = everyone["clusters"] < FEW_CLUSTERS
    return [{"text": f"{text}.", "certainty": FIRST if few else CLEAR}]


def _cautions(report: dict[str, Any]) -> list[dict[str, str]]:
    """What a reader must know before believing it, the gravest first."""
    said = []
    uneven = report.get("exclusion", {}).get("uneven", [])
    if uneven:
        rates = {rate["group"]: rate["left_out"] for rate in report["exclusion"]["rates"]}
        first, second = sorted(uneven[0]["groups"], key=lambda name: -rates[name])
        said.append(
            f"{percent(rates[first])} of the files of “{first}” were left out, "
            f"{percent(rates[second])} of “{second}”: that may tilt the result."
        )
    unlike = report["method"].get("unlike_test_set")
    if unlike:
        said.append(f"Read with care: {' and '.join(unlike)}.")
    sizes = [group["clusters"] for group in report.get("groups", []) if group["faces"]]
    least = min(sizes or [report["overall"]["clusters"]])
    if not said and MIN_CLUSTERS <= least < FEW_CLUSTERS:
        word = _people_word(report)
        where = " in a group" if len(sizes) > 1 else ""
        said.append(f"Only {least} {_plural(word, least)}{where}: others may react differently.")
    return [{"text": text, "certainty": CAUTION} for text in said]


def _unknown_people(report: dict[str, Any]) -> str:
    """That nobody said who is who, where that matters."""
    method = report["method"]
    if report["overall"]["faces"] < 2:
        return ""
    if method["people"] == "guessed":
        return f"Who is who was guessed from file names: {method['guess']}."
    if method["people"] == "unknown":
        kind = "video" if method["weighting"] == "respondent" else "picture"
        return f"Who is who is not known; people in several {kind}s make all of this less certain."
    return ""


def _used(report: dict[str, Any]) -> str:
    ledger = report["ledger"]
    uploaded, used = ledger["uploaded"], ledger["counts"]["used"]
    told = report.get("exclusion", {}).get("uneven")  # by the shares left out in each group
    return "" if used == uploaded or told else f"{used} of {uploaded} files could be used."


def _people_word(report: dict[str, Any]) -> str:
    method = report["method"]
    if method["people"] != "unknown":
        return "person"
    return "video" if method["weighting"] == "respondent" else "file"


def _plural(word: str, count: int) -> str:
    if count == 1:
        return word
    return "people" if word == "person" else f"{word}s"
