"""The report of a study, from records to JSON; the shape is described in docs/studies.md."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from webapp.domain import EMOTIONS, UNCERTAIN
from webapp.errors import Conflict, InvalidRequest
from webapp.languages import N_
from webapp.studies.questions import all_questions
from webapp.studies.report.answers import answers_json
from webapp.studies.report.curves import (
    REPLICATES,
    attention_json,
    curve_json,
    curves_of,
    retention_json,
)
from webapp.studies.report.means import Means, means_json, person_means
from webapp.studies.report.moments import moments_of
from webapp.studies.report.records import Records, Somebody, Trace
from webapp.survey.report.compare import compare_groups
from webapp.survey.report.statistics import LEVEL, MIN_CLUSTERS, Sample, respondent_weights

LEAST_SEEN: Final = 0.5  # of a person's samples with one face in a good picture
LEAST_RATE: Final = 1.0  # results a second
MAX_SEGMENTS: Final = 8
WORDS: Final = {
    "nothing_read": N_("nothing was read"),
    "face_not_seen": N_("in more than half of the readings no single face in a good picture"),
    "too_slow": N_("less than one reading a second"),
}
_SEED: Final = 20_250


@dataclass(frozen=True, slots=True)
class Choice:
    """What a report is narrowed to, and what makes its segments: keys of :func:`part_keys`."""

    by: str = ""
    only: str = ""


def trouble(trace: Trace | None) -> str | None:
    """Why a person's samples of a stimulus are not used, or None where they are."""
    if trace is None or not len(trace.t_ms):
        return "nothing_read"
    if trace.good.mean() < LEAST_SEEN:
        return "face_not_seen"
    if len(trace.t_ms) > 1 and trace.rate < LEAST_RATE:
        return "too_slow"
    return None


def part_keys(records: Records) -> dict[str, str]:
    """What people can be told apart by, and its label: questions with few answers, columns."""
    keys = {
        one["id"]: one["text"]
        for one in all_questions(records.study.questions)
        if one["kind"] in ("choice", "scale")
    }
    columns = dict.fromkeys(name for person in records.people for name in person.columns)
    return keys | {f"column:{name}": name for name in columns}


def part_of(person: Somebody, key: str) -> str | None:
    """The person's value under a key of :func:`part_keys`."""
    if key.startswith("column:"):
        return person.columns.get(key.removeprefix("column:"))
    value = person.answers.get(key)
    return None if value is None else str(value)


def _narrowed(records: Records, only: str) -> tuple[Records, dict[str, str] | None]:
    if not only:
        return records, None
    # a key may hold "=", as a value may: the longest key that fits is meant
    keys = [key for key in part_keys(records) if only.startswith(f"{key}=")]
    if not keys:
        raise InvalidRequest("Expected only as key=value of one of the parts.", field="only")
    key = max(keys, key=len)
    value = only[len(key) + 1 :]
    kept = [person for person in records.people if part_of(person, key) == value]
    return replace(records, people=kept), {"key": key, "value": value}


def _left_out(reasons: Counter[str]) -> list[dict[str, Any]]:
    return [
        {"reason": reason, "words": words, "people": reasons[reason]}
        for reason, words in WORDS.items()
        if reasons[reason]
    ]


def _parts(records: Records) -> list[dict[str, Any]]:
    made = []
    for key, label in part_keys(records).items():
        counts = Counter(part_of(person, key) for person in records.people)
        counts.pop(None, None)
        if counts:
            values = [{"value": v, "people": n} for v, n in counts.most_common(20)]
            made.append({"key": key, "label": label, "values": values})
    return made


def _stimulus(
    records: Records, row: Any, choice: Choice, threshold: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Everything about one stimulus."""
    shown = records.shown_ms(row.id)
    reasons: Counter[str] = Counter()
    used: list[Somebody] = []
    began: list[Trace] = []
    for person in records.people:
        trace = person.traces.get(row.id)
        why = trouble(trace)
        if trace is not None and len(trace.t_ms):
            began.append(trace)
        if why is None:
            used.append(person)
        else:
            reasons[why] += 1
    made: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "media_type": row.media_type,
        "url": f"/api/v1/studies/{records.study.id}/stimuli/{row.id}",
        "width": row.width,
        "height": row.height,
        "duration_ms": shown,
        "people": len(used),
        "left_out": _left_out(reasons),
        "rate": None,
        "curve": None,
        "summary": None,
        "moments": [],
        "attention": attention_json(began, shown) if began else None,
        "retention": retention_json(began, shown) if began else None,
        "segments": [],
    }
    if not used:
        return made
    traces = [person.traces[row.id] for person in used]
    rates = np.array([trace.rate for trace in traces])
    curves = curves_of(traces, shown, threshold)
    made["rate"] = {
        "median": round(float(np.median(rates)), 2),
        "low": round(float(rates.min()), 2),
        "high": round(float(rates.max()), 2),
    }
    made["curve"] = curve_json(curves, rng)
    made["summary"] = means_json(person_means(traces, threshold), np.ones(len(used), dtype=bool))
    made["moments"] = moments_of(curves, rng, len(records.stimuli))
    if choice.by:
        values = [part_of(person, choice.by) for person in used]
        found = Counter(value for value in values if value is not None)
        for value, people in found.most_common(MAX_SEGMENTS):
            members = np.array([one == value for one in values])
            part = curve_json(curves.of(members), rng)
            made["segments"].append({"value": value, "people": people, "curve": part})
    return made


def _comparison(records: Records, threshold: float, min_cell: int) -> dict[str, Any] | None:
    """The survey's tests between stimuli: each person counts once in each, and people who saw
    several are the same persons.
    """
    rows, groups, clusters = [], [], []
    for place, stimulus in enumerate(records.stimuli):
        for number, person in enumerate(records.people):
            trace = person.traces.get(stimulus.id)
            if trace is None or trouble(trace) is not None:
                continue
            scores = trace.scores[trace.good]
            rows.append(scores)
            groups += [place] * len(scores)
            clusters += [number] * len(scores)
    if len(set(groups)) < 2:
        return None
    probabilities = np.concatenate(rows)
    group, cluster = np.array(groups, dtype=np.int64), np.array(clusters, dtype=np.int64)
    names: list[str] = []
    for place, stimulus in enumerate(records.stimuli):
        twice = sum(one.name == stimulus.name for one in records.stimuli) > 1
        names.append(f"{stimulus.name} ({place + 1})" if twice else stimulus.name)
    sample = Sample(
        probabilities,
        group,
        cluster,
        probabilities.max(axis=1) < threshold,
        tuple(names),
        len(records.people),
        respondent_weights(group, cluster),
    )
    return compare_groups(sample, min_cell)


def build_report(
    records: Records, people: dict[str, int], threshold: float, min_cell: int, choice: Choice
) -> dict[str, Any]:
    """The report. ``threshold``: the probability from which an expression counts as shown.

    Raises :class:`InvalidRequest` for a part that is not there, and :class:`Conflict` where
    nobody's samples can be used.
    """
    if choice.by and choice.by not in part_keys(records):
        raise InvalidRequest("Expected by as the key of one of the parts.", field="by")
    parts = _parts(records)
    records, only = _narrowed(records, choice.only)
    rng = np.random.default_rng(_SEED)  # the same study gives the same report
    reasons: Counter[str] = Counter()
    for person in records.people:
        whys = [trouble(person.traces.get(one.id)) for one in records.stimuli]
        if all(whys):
            seen = [why for why in whys if why != "nothing_read"]
            reasons[str(seen[0]) if seen else "nothing_read"] += 1
    used = len(records.people) - sum(reasons.values())
    if not used:
        raise Conflict(
            "Nobody's results can be shown yet.", people=people, left_out=_left_out(reasons)
        )
    stimuli = [_stimulus(records, row, choice, threshold, rng) for row in records.stimuli]
    means: dict[str, Means] = {}
    for row in records.stimuli:
        traces = [
            found if trouble(found := person.traces.get(row.id)) is None else None
            for person in records.people
        ]
        means[row.id] = person_means(traces, threshold)
    return {
        "study": {
            "id": records.study.id,
            "name": records.study.name,
            "state": records.study.state,
            "purpose": records.study.purpose,
        },
        "emotions": list(EMOTIONS),
        "people": people | {"used": used},
        "left_out": _left_out(reasons),
        "method": {
            "level": LEVEL,
            "threshold": threshold,
            "uncertain": UNCERTAIN,
            "models": records.models,
            "replicates": REPLICATES,
            "min_people": MIN_CLUSTERS,
            "min_cell": min_cell,
        },
        "parts": parts,
        "by": choice.by or None,
        "only": only,
        "stimuli": stimuli,
        "comparison": _comparison(records, threshold, min_cell),
        "answers": answers_json(records, means, rng),
    }
