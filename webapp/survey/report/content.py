"""The report of a job as one plain dictionary: what the page, the files and the API show.

Everything random uses a seed that follows from the job, so that a report can be made again to the
last digit from the same database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from webapp.card import ModelCard
from webapp.domain import EMOTIONS, UNCERTAIN
from webapp.settings import Settings
from webapp.survey.purposes import PURPOSES
from webapp.survey.report.compare import compare_groups
from webapp.survey.report.narrative import plain_words
from webapp.survey.report.quantify import Confusion, confusion_from_card
from webapp.survey.report.records import FaceRecord, Records
from webapp.survey.report.statistics import bootstrap, summarise
from webapp.survey.report.timeline import video_section

REPORT_SCHEMA = 1
EXAMPLES = 6
UNCERTAIN_LISTED = 24


def model_facts(card: ModelCard) -> dict[str, Any]:
    """What a job keeps of its model, so that its report needs neither the model nor its card."""
    confusion = confusion_from_card(card.metrics, card.serving_head)
    return {
        "version": card.version,
        "recipe": card.recipe,
        "created": card.created,
        "head": card.serving_head,
        "files": dict(card.files),
        "uncertain_below": card.uncertain_below,
        "crop": asdict(card.crop),
        "accuracy": _accuracy(card.metrics),
        "confusion": None if confusion is None else confusion.counts.tolist(),
        "confusion_source": None if confusion is None else confusion.source,
    }


def _accuracy(metrics: Mapping[str, Any]) -> Any:
    test = metrics.get("test")
    return (test if isinstance(test, Mapping) else metrics).get("accuracy")


def _confusion(model: dict[str, Any]) -> Confusion | None:
    if model.get("confusion") is None:
        return None
    counts = np.asarray(model["confusion"], dtype=np.float64)
    return Confusion(counts, str(model.get("confusion_source")))


def build_report(records: Records, settings: Settings) -> dict[str, Any]:
    """The whole report; every share and probability in ``[0, 1]``, times in UTC ISO 8601."""
    survey, job = records.survey, records.job
    draws_count = int(settings.survey_bootstrap)
    rng = np.random.default_rng(job.id)
    confusion = _confusion(job.model)
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
        },
        "job": {
            "id": job.id,
            "started_at": None if job.started_at is None else job.started_at.isoformat(),
            "software": job.software,
            "busy_s": round(job.busy_s, 2),
        },
        "model": {k: v for k, v in job.model.items() if k != "confusion"},
        "method": {
            "interval": "95 % percentile interval of a cluster bootstrap",
            "draws": draws_count,
            "seed": job.id,
            "cluster_unit": "respondent" if records.respondents_known else "file",
            "correction": None
            if confusion is None
            else "posterior mean and shortest 95 % interval, given the confusion matrix of the "
            "model's card",
            "confusion": job.model.get("confusion"),
            "confusion_source": job.model.get("confusion_source"),
            "min_cell": int(settings.survey_min_cell),
        },
        "emotions": list(EMOTIONS),
        "ledger": records.ledger.to_json(),
    }
    if records.faces:
        draws = bootstrap(sample, draws_count, rng)
        count = len(records.groups)
        report["overall"] = summarise(sample, draws, count, confusion, rng)
        report["groups"] = [summarise(sample, draws, g, confusion, rng) for g in range(count)]
        report["comparison"] = compare_groups(sample, draws, int(settings.survey_min_cell))
    else:
        report["overall"] = {
            "name": "All",
            "faces": 0,
            "clusters": 0,
            "uncertain": 0,
            "emotions": [],
        }
        report["groups"] = []
        report["comparison"] = {"rows": [], "tests": 0}
    report["video"] = video_section(records)
    report["examples"] = _examples(records)
    report["uncertain"] = [
        _pointer(face)
        for face in sorted(
            (face for face in records.faces if face.label == UNCERTAIN),
            key=lambda face: face.confidence,
        )[:UNCERTAIN_LISTED]
    ]
    report["plain"] = plain_words(report)
    return report


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


def compare_reports(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """What two reports of one survey (under two models) say of each group and emotion."""
    rows = []
    others = {group["name"]: group for group in [second["overall"], *second["groups"]]}
    for group in [first["overall"], *first["groups"]]:
        other = others.get(group["name"], {"emotions": []})
        theirs = {row["emotion"]: row for row in other["emotions"]}
        for row in group["emotions"]:
            if row["emotion"] in theirs:
                that = theirs[row["emotion"]]
                rows.append(
                    {
                        "group": group["name"],
                        "emotion": row["emotion"],
                        "first": row["share"],
                        "second": that["share"],
                        "difference": that["share"] - row["share"],
                        "first_corrected": row["corrected"],
                        "second_corrected": that["corrected"],
                    }
                )
    return rows
