"""How a report was made, in words: for its page, its file and its workbook."""

from __future__ import annotations

from typing import Any, Final

from webapp.languages import N_, day, emotion_name, minute, ngettext, number, said, served_heads
from webapp.languages import gettext as _
from webapp.survey.report.formats import share

_UNITS: Final = {"people": N_("people"), "videos": N_("videos"), "files": N_("files")}


def unit_of(method: dict[str, Any]) -> str:
    """What varies independently: a key of ``_UNITS``."""
    if method["people"] != "unknown":
        return "people"
    return "videos" if method["weighting"] == "respondent" else "files"


def method_facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Terms and what is to be said of each, in today's language, in the order of reading."""
    survey, model, job = report["survey"], report["model"], report["job"]
    purpose = said(survey["purpose"])
    if survey["purpose_text"]:
        purpose += f": {survey['purpose_text']}"
    facts = [
        (_("Purpose"), purpose),
        (_("Consent confirmed"), day(survey["consent_at"])),
        (_("Model"), f"{model['version']}: {served_heads(model['head'], model.get('mixture'))}"),
        (_("Thresholds"), _thresholds(report)),
        (_("People"), _people(report["method"])),
        (_("Intervals"), _intervals(report["method"])),
    ]
    if report["comparison"]["rows"]:
        facts.append((_("Tests"), _tests(report["comparison"])))
    return [
        *facts,
        (_("Correction"), _correction(report["method"])),
        (
            _("Valence"),
            _("P(happy) minus P(angry, disgust, fear, sad); surprise and neutral count as 0"),
        ),
        (
            _("Software"),
            _(
                "Mien %(software)s, analysis %(id)s, started %(started_at)s UTC",
                software=job["software"],
                id=job["id"],
                started_at=minute(job["started_at"]),
            ),
        ),
    ]


def _thresholds(report: dict[str, Any]) -> str:
    below = share(report["model"]["uncertain_below"])
    if report["survey"]["several_faces"] == "exclude":
        words = _("“Not sure” below %(share)s; several faces in a picture: left out", share=below)
    else:
        words = _(
            "“Not sure” below %(share)s; several faces in a picture: the largest is used",
            share=below,
        )
    if report.get("video"):
        rate = number(report["survey"]["video_fps"], 1)
        words += _("; videos sampled at %(rate)s frames a second", rate=rate)
    return words


def _people(method: dict[str, Any]) -> str:
    if method["people"] == "named":
        who = _("Named for each file")
    elif method["people"] == "guessed":
        who = _(
            "Guessed from the paths and not confirmed: %(guess)s",
            guess=said(method.get("guess") or "–"),
        )
    else:
        who = _("Not known: every file counts as another person")
    once = (
        _("each counts once") if method["weighting"] == "respondent" else _("each face counts once")
    )
    return f"{who}; {once}"


def _intervals(method: dict[str, Any]) -> str:
    return _(
        "95 %%, and none for fewer than five %(units)s. Shares: exact intervals for as many "
        "independent faces as vary like these (Korn and Graubard); means: t intervals between "
        "%(units)s",
        units=_(_UNITS[unit_of(method)]),
    )


def _tests(comparison: dict[str, Any]) -> str:
    plain = _("Plain shares are compared: the model misreads every group in the same way")
    if not comparison["tests"]:
        return " ".join((_("None: the groups are too small."), plain))
    if comparison.get("primary"):
        together = _(
            "The main question, chosen beforehand (%(primary)s), is tested on its own, at 0.04; "
            "the others share the rest of 0.05, or all of it where the main difference is clear "
            "(Holm).",
            primary=emotion_name(comparison["primary"]),
        )
    else:
        together = _("All are corrected together (Holm).")
    tests = ngettext(
        "%(num)s test that lets faces of one person depend on each other.",
        "%(num)s tests that let faces of one person depend on each other.",
        comparison["tests"],
    )
    level = _(
        "Each interval is at the level of its test, so that it leaves zero out exactly where a "
        "difference is clear. Groups of fewer than five people, and expressions that fewer than "
        "%(min_cell)s faces show, are not tested.",
        min_cell=comparison.get("min_cell"),
    )
    return f"{tests} {together} {level} {plain}"


def _correction(method: dict[str, Any]) -> str:
    if not method["correction"]["shown"]:
        return _("Not shown: %(reason)s.", reason=said(method["correction"].get("reason") or ""))
    return _(
        "Posterior mean and interval of the true shares, given how often the model takes one "
        "expression for another (%(confusion_source)s). Shown where it moves the shares by "
        "clearly more than its own uncertainty.",
        confusion_source=said(method.get("confusion_source") or ""),
    )
