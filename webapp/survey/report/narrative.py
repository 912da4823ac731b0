"""What a report says first: a headline with the answer, and what goes with it. No statistics words.

Every sentence is a template that a test reads. About sixty words in all.
"""

from __future__ import annotations

from typing import Any

from webapp.languages import N_, ngettext, number, said
from webapp.languages import gettext as _
from webapp.survey.report.phrases import (
    SHOWED,
    counted,
    inner_measure_name,
    looking,
    measure_name,
    percent,
    signed,
    value,
)

FEW_CLUSTERS = 20
MIN_CLUSTERS = 5
# what the page translates when it shows them; the report keeps them in English
CLEAR, FIRST, NOT_CLEAR, NOT_TESTED, CAUTION = (
    N_("clear"),
    N_("first impression"),
    N_("not clear"),
    N_("not tested"),
    N_("caution"),
)


def plain_words(story: dict[str, Any]) -> list[str]:
    """The story as sentences."""
    return [story["headline"], *(one["text"] for one in story["takeaways"]), story["note"]]


def story_of(report: dict[str, Any]) -> dict[str, Any]:
    """``{"headline", "certainty", "takeaways": [{"text", "certainty"}], "note"}`` of a report."""
    ledger = report["ledger"]
    uploaded, used = ledger["uploaded"], ledger["counts"]["used"]
    if used == 0:
        return {
            "headline": ngettext(
                "The one uploaded file could not be used, so this survey says nothing.",
                "None of the %(num)s uploaded files could be used, so this survey says nothing.",
                uploaded,
            ),
            "certainty": NOT_TESTED,
            "takeaways": [],
            "note": _("The ledger below gives the reason for every file."),
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
    feeling = _("This describes faces, not feelings.")
    return {
        "headline": headline,
        "certainty": certainty,
        "takeaways": takeaways[:3],
        "note": " ".join(filter(None, [_unknown_people(report), _used(report), feeling])),
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
            text = _(
                "%(what)s could not be compared: %(reason)s.",
                what=measure_name(main[0]["measure"]),
                reason=said(main[0]["untested"]),
            )
            return text, NOT_TESTED, main[0]
        text = _(
            "The groups are too small to be compared: it takes five people and %(faces)s faces in "
            "each.",
            faces=comparison["min_cell"],
        )
        return text, NOT_TESTED, None
    if len({tuple(row["groups"]) for row in rows}) > 1:
        if main:
            what = inner_measure_name(main[0]["measure"])
            text = _("No clear difference in %(what)s between the groups.", what=what)
            return text, NOT_CLEAR, None
        return _("No clear difference between the groups."), NOT_CLEAR, None
    row = main[0] if main else max(tested, key=lambda one: abs(one["effect"]))
    first, second = row["groups"]
    if not main:
        text = _(
            "No clear difference between “%(first)s” and “%(second)s”.", first=first, second=second
        )
        return text, NOT_CLEAR, None
    values = {
        "what": inner_measure_name(row["measure"]),
        "first": first,
        "second": second,
        "one": value(row, "first"),
        "other": value(row, "second"),
    }
    if row["interval"] is None:
        text = _(
            "No clear difference in %(what)s between “%(first)s” and “%(second)s”: %(one)s against "
            "%(other)s.",
            **values,
        )
    else:
        low, high = (signed(end, row) for end in row["interval"])
        span = _("%(low)s to %(high)s", low=low, high=high)
        if row["measure"] != "valence":
            span = _("%(low)s to %(high)s points", low=low, high=high)
        text = _(
            "No clear difference in %(what)s between “%(first)s” and “%(second)s”: %(one)s against "
            "%(other)s (difference %(span)s).",
            span=span,
            **values,
        )
    return text, NOT_CLEAR, row


def _difference(report: dict[str, Any], row: dict[str, Any], short: bool = False) -> str:
    """As "“A” drew more happy faces than “B”: 41 % against 22 %, 8 to 31 points more".

    ``short`` leaves the interval out, and the other group where there are only two.
    """
    swap = row["difference"] < 0
    more, less = reversed(row["groups"]) if swap else row["groups"]
    high, low = ("second", "first") if swap else ("first", "second")
    values = {"more": more, "less": less, "high": value(row, high), "low": value(row, low)}
    two = len({tuple(one["groups"]) for one in report["comparison"]["rows"]}) == 1
    if row["measure"] == "valence":
        text = (
            _(
                "“%(more)s” also drew more positive faces: valence %(high)s against %(low)s",
                **values,
            )
            if short and two
            else _(
                "“%(more)s” drew more positive faces than “%(less)s”: valence %(high)s against "
                "%(low)s",
                **values,
            )
        )
    else:
        values["adjective"] = looking(row["measure"])
        text = (
            _("“%(more)s” also drew more %(adjective)s faces: %(high)s against %(low)s", **values)
            if short and two
            else _(
                "“%(more)s” drew more %(adjective)s faces than “%(less)s”: %(high)s against "
                "%(low)s",
                **values,
            )
        )
    if row["interval"] is None or short:
        return text
    ends = sorted(abs(end) for end in row["interval"])
    if row["measure"] == "valence":
        first, last = (number(end, 2) for end in ends)
        return _("%(text)s, %(low)s to %(high)s more", text=text, low=first, high=last)
    points = [round(100 * end) for end in ends]
    return _(
        "%(text)s, %(low)s to %(high)s points more",
        text=text,
        low=max(1, points[0]),
        high=points[1],
    )


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
        text = _difference(report, row, short=True)
        if rest:
            text = ngettext(
                "%(text)s; %(num)s more difference is clear.",
                "%(text)s; %(num)s more differences are clear.",
                rest,
                text=text,
            )
        else:
            text = f"{text}."
        return [{"text": text, "certainty": CLEAR}]
    tested = sum(row["untested"] is None for row in rows)
    if not tested:
        return []
    if headline_row is None or not headline_row["significant"]:
        if headline_row and headline_row["primary"] and headline_row["interval"]:
            return []  # the interval in the headline says so
        return [
            {
                "text": _("That does not show that the groups are the same."),
                "certainty": NOT_CLEAR,
            }
        ]
    text = ngettext(
        "No other difference is clear (%(num)s test).",
        "No other difference is clear (%(num)s tests).",
        tested,
    )
    return [{"text": text, "certainty": NOT_CLEAR}]


def _overall(report: dict[str, Any], short: bool = False) -> dict[str, str]:
    """What most faces, or most people, showed; ``short`` without the interval."""
    everyone, method = report["overall"], report["method"]
    row = max(everyone["emotions"], key=lambda one: (one["share"], one["count"]))
    name, faces, people = row["emotion"], everyone["faces"], everyone["clusters"]
    if faces == 1:
        text = _(
            "The one face that could be read looked %(adjective)s; one face says nothing about "
            "other people.",
            adjective=looking(name),
        )
        return {"text": text, "certainty": NOT_TESTED}
    word = _people_word(report)
    if people < MIN_CLUSTERS:
        text = ngettext(
            "%(num)s of %(faces)s faces of %(who)s looked %(adjective)s: too few to say anything "
            "about others.",
            "%(num)s of %(faces)s faces of %(who)s looked %(adjective)s: too few to say anything "
            "about others.",
            row["count"],
            faces=faces,
            who=counted(word, people),
            adjective=looking(name),
        )
        return {"text": text, "certainty": NOT_TESTED}
    certainty = CLEAR if people >= FEW_CLUSTERS else FIRST
    if method["weighting"] == "respondent":
        row = max(everyone["emotions"], key=lambda one: (one["people"], one["share"]))
        who = counted(word, people)
        if word == "person":
            text = _(
                "%(count)s of %(who)s %(showed)s for at least a third of the time.",
                count=row["people"],
                who=who,
                showed=SHOWED[row["emotion"]](row["people"]),
            )
        else:
            text = _(
                "In %(count)s of %(who)s faces looked %(adjective)s for at least a third of the "
                "time.",
                count=row["people"],
                who=who,
                adjective=looking(row["emotion"]),
            )
        return {"text": text, "certainty": certainty}
    share = percent(row["share"])
    if short:
        text = _(
            "%(share)s of all faces looked %(adjective)s.", share=share, adjective=looking(name)
        )
        return {"text": text, "certainty": certainty}
    text = _("%(share)s of the faces looked %(adjective)s", share=share, adjective=looking(name))
    if band := row["share_interval"]:
        low, high = (percent(end) for end in band)
        text = _("%(text)s (%(low)s to %(high)s)", text=text, low=low, high=high)
    if method["people"] != "unknown" and people != faces:
        text = _(
            "%(text)s; %(count)s of %(who)s %(showed)s",
            text=text,
            count=row["people"],
            who=counted("person", people),
            showed=SHOWED[name](row["people"]),
        )
    return {"text": f"{text}.", "certainty": certainty}


def _second(report: dict[str, Any]) -> list[dict[str, str]]:
    """The next most frequent expression, and whether the order of the two is clear."""
    everyone = report["overall"]
    rows = sorted(everyone["emotions"], key=lambda one: -float(one["share"]))
    first, second = rows[0], rows[1]
    if everyone["clusters"] < MIN_CLUSTERS or second["share"] == 0:
        return []
    values = {"adjective": looking(second["emotion"]), "share": percent(second["share"])}
    mine, other = first["share_interval"], second["share_interval"]
    if mine and other and other[1] >= mine[0]:
        text = _(
            "Next came %(adjective)s with %(share)s; which of the two is really more frequent is "
            "open.",
            **values,
        )
        return [{"text": text, "certainty": NOT_CLEAR}]
    text = _("No other expression came to more than %(share)s (%(adjective)s).", **values)
    few = everyone["clusters"] < FEW_CLUSTERS
    return [{"text": text, "certainty": FIRST if few else CLEAR}]


def _cautions(report: dict[str, Any]) -> list[dict[str, str]]:
    """What a reader must know before believing it, the gravest first."""
    found = []
    uneven = report.get("exclusion", {}).get("uneven", [])
    if uneven:
        rates = {rate["group"]: rate["left_out"] for rate in report["exclusion"]["rates"]}
        first, second = sorted(uneven[0]["groups"], key=lambda name: -rates[name])
        found.append(
            _(
                "%(more)s of the files of “%(first)s” were left out, %(less)s of “%(second)s”: "
                "that may tilt the result.",
                first=first,
                second=second,
                more=percent(rates[first]),
                less=percent(rates[second]),
            )
        )
    unlike = report["method"].get("unlike_test_set")
    if unlike:
        found.append(_("Read with care: %(reasons)s.", reasons=_(" and ").join(map(said, unlike))))
    sizes = [group["clusters"] for group in report.get("groups", []) if group["faces"]]
    least = min(sizes or [report["overall"]["clusters"]])
    if not found and MIN_CLUSTERS <= least < FEW_CLUSTERS:
        who = counted(_people_word(report), least)
        found.append(
            _("Only %(who)s in a group: others may react differently.", who=who)
            if len(sizes) > 1
            else _("Only %(who)s: others may react differently.", who=who)
        )
    return [{"text": text, "certainty": CAUTION} for text in found]


def _unknown_people(report: dict[str, Any]) -> str:
    """That nobody said who is who, where that matters."""
    method = report["method"]
    if report["overall"]["faces"] < 2:
        return ""
    if method["people"] == "guessed":
        return _("Who is who was guessed from file names: %(guess)s.", guess=said(method["guess"]))
    if method["people"] == "unknown":
        if method["weighting"] == "respondent":
            return _(
                "Who is who is not known; people in several videos make all of this less certain."
            )
        return _(
            "Who is who is not known; people in several pictures make all of this less certain."
        )
    return ""


def _used(report: dict[str, Any]) -> str:
    ledger = report["ledger"]
    uploaded, used = ledger["uploaded"], ledger["counts"]["used"]
    told = report.get("exclusion", {}).get("uneven")  # by the shares left out in each group
    if used == uploaded or told:
        return ""
    return ngettext(
        "%(num)s of %(uploaded)s files could be used.",
        "%(num)s of %(uploaded)s files could be used.",
        used,
        uploaded=uploaded,
    )


def _people_word(report: dict[str, Any]) -> str:
    method = report["method"]
    if method["people"] != "unknown":
        return "person"
    return "video" if method["weighting"] == "respondent" else "file"
