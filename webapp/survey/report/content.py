"""The report of a job as one plain dictionary: what the page, the files and the API show.

Everything random uses a seed that follows from the job, so that a report can be made again to the
last digit from the same database.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from webapp.domain import EMOTIONS, UNCERTAIN
from webapp.languages import ENGLISH, LANGUAGES, N_, speaking
from webapp.settings import Settings
from webapp.survey.purposes import PURPOSES
from webapp.survey.report.checks import exclusion, unlike_test_set
from webapp.survey.report.compare import compare_groups
from webapp.survey.report.narrative import plain_words, story_of
from webapp.survey.report.people import figures_of, people_table, segments
from webapp.survey.report.quantify import Confusion, confusion_of_labels
from webapp.survey.report.records import FaceRecord, Records
from webapp.survey.report.statistics import summarise
from webapp.survey.report.timeline import video_section

REPORT_SCHEMA = 2
EXAMPLES = 6
UNCERTAIN_LISTED = 24


def build_report(
    records: Records, settings: Settings, earlier: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The whole report; every share and probability in ``[0, 1]``, times in UTC ISO 8601.

    ``earlier`` are the figures of one's earlier surveys (:func:`people.figures_of`).
    """
    survey, job = records.survey, records.job
    rng = np.random.default_rng(job.id)
    unlike = unlike_test_set(records)
    confusion, withheld = _confusion(records, unlike)
    sample = records.sample()
    report: dict[str, Any] = {
        "schema": REPORT_SCHEMA,
        "survey": {
            "id": survey.id,
            "name": survey.name,
            "purpose": next(p.label for p in PURPOSES if p.key == survey.purpose),
            "purpose_text": survey.purpose_text,
            "consent_at": survey.consent_at.isoformat(),
            "created_at": survey.created_at.isoformat(),
            "groups": list(records.groups),
            "several_faces": survey.several_faces,
            "respondent_rule": survey.respondent_rule,
            "video_fps": survey.video_fps,
            "primary_outcome": survey.primary_outcome or None,
            "tags": [tag for tag in (survey.tags or "").split(",") if tag],
        },
        "job": {
            "id": job.id,
            "started_at": None if job.started_at is None else job.started_at.isoformat(),
            "software": job.software,
            "busy_s": round(job.busy_s, 2),
        },
        "model": {k: v for k, v in job.model.items() if k != "confusion"},
        "emotions": list(EMOTIONS),
        "ledger": records.ledger.to_json(),
        "exclusion": exclusion(records),
    }
    if records.faces:
        count = len(records.groups)
        report["overall"] = summarise(sample, count, confusion, rng)
        report["groups"] = [summarise(sample, g, confusion, rng) for g in range(count)]
        report["comparison"] = compare_groups(
            sample, settings.survey_min_cell, survey.primary_outcome or ""
        )
    else:
        report["overall"] = {
            "name": "All",
            "faces": 0,
            "clusters": 0,
            "uncertain": 0,
            "emotions": [],
        }
        report["groups"] = []
        report["comparison"] = {"rows": [], "tests": 0, "primary": None}
    report["method"] = {
        "interval": "95 %; shares: Korn and Graubard's exact interval; means: t interval; both by "
        "clusters",
        "seed": job.id,
        "cluster_unit": "file" if records.people == "unknown" else "respondent",
        "people": records.people,
        "guess": None if records.guess is None else records.guess.words,
        "weighting": "respondent" if records.by_respondent else "face",
        "correction": _correction_words(report, confusion, withheld),
        "confusion": None if confusion is None else confusion.counts.round(3).tolist(),
        "confusion_source": None if confusion is None else confusion.source,
        "unlike_test_set": unlike,
        "min_cell": settings.survey_min_cell,
    }
    report["people"] = people_table(records, sample)
    report["segments"] = segments(records, sample)
    report["figures"] = figures_of(report)
    report["norms"] = _norms(report["figures"], earlier or [])
    report["video"] = video_section(records)
    report["examples"] = _examples(records)
    report["uncertain"] = [
        _pointer(face)
        for face in sorted(
            (face for face in records.faces if face.label == UNCERTAIN),
            key=lambda face: face.confidence,
        )[:UNCERTAIN_LISTED]
    ]
    report["story"] = story_of(report)
    report["stories"] = {name: _story_in(name, report) for name in LANGUAGES if name != ENGLISH}
    report["plain"] = plain_words(report["story"])
    return report


def _story_in(language: str, report: dict[str, Any]) -> dict[str, Any]:
    with speaking(language):
        return story_of(report)


def _confusion(records: Records, unlike: list[str]) -> tuple[Confusion | None, str | None]:
    """The matrix to correct with, or None and the reason.

    The survey's own review labels come first, because they know its light and its faces; the
    card's matrix holds only for pictures like those of the test set.
    """
    model = records.job.model
    card = None
    if model.get("confusion") is not None:
        counts = np.asarray(model["confusion"], dtype=np.float64)
        card = Confusion(counts, str(model.get("confusion_source")))
    if records.labels is not None:
        own = confusion_of_labels(records.labels, card)
        if own is not None:
            return own, None
    if card is None:
        return None, N_("the model's card holds no usable confusion matrix")
    if unlike:
        return None, N_(f"these pictures differ from the model's test set: {', '.join(unlike)}")
    return card, None


def _correction_words(
    report: dict[str, Any], confusion: Confusion | None, withheld: str | None
) -> dict[str, Any]:
    """Whether corrected shares are shown anywhere, and why not where they are not."""
    corrections = [
        group["correction"] for group in (report["overall"], *report["groups"]) if group["faces"]
    ]
    shown = any(one["shown"] for one in corrections)
    reason = withheld or next((one["reason"] for one in corrections if one["reason"]), None)
    return {"shown": shown, "reason": reason, "available": confusion is not None}


MIN_EARLIER = 5


def _norms(figures: dict[str, Any], earlier: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Each figure as a percentile of earlier surveys, from ``MIN_EARLIER`` of them on.

    The percentile counts surveys that lie below, and half of those that are equal.
    """
    if len(earlier) < MIN_EARLIER or not figures:
        return None
    percentiles = {}
    for name, value in figures.items():
        others = np.array([other[name] for other in earlier if name in other])
        if len(others) >= MIN_EARLIER:
            rank = (others < value).sum() + (others == value).sum() / 2
            percentiles[name] = round(float(100 * rank / len(others)))
    return {"surveys": len(earlier), "percentiles": percentiles}


def _pointer(face: FaceRecord) -> dict[str, Any]:
    return {
        "face": face.face,
        "upload": face.upload,
        "path": face.path,
        "group": face.group,
        "kind": face.kind,
        "t_ms": face.t_ms,
        "box": [round(value, 1) for value in face.box],
        "emotion": face.emotion,
        "confidence": round(face.confidence, 4),
    }


def _examples(records: Records) -> dict[str, list[dict[str, Any]]]:
    """The faces with the highest probability of each emotion, one for each file at most."""
    found: dict[str, list[dict[str, Any]]] = {}
    for emotion in EMOTIONS:
        faces = [f for f in records.faces if f.emotion == emotion and f.label != UNCERTAIN]
        chosen: dict[int, FaceRecord] = {}
        for face in sorted(faces, key=lambda face: -face.confidence):
            chosen.setdefault(face.upload, face)
            if len(chosen) == EXAMPLES:
                break
        found[emotion] = [_pointer(face) for face in chosen.values()]
    return found
