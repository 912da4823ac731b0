"""Respondents one by one, segments of them, and the few figures that one survey is known by."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from webapp.domain import EMOTIONS
from webapp.survey.report.records import Records
from webapp.survey.report.statistics import SIZE, Sample, people_showing, weighted_mean

MAX_SEGMENTS = 12  # values of one column; more tell people apart, not kinds of people


def people_table(records: Records, sample: Sample) -> list[dict[str, Any]]:
    """One row for each respondent and group: faces, shares and valence. Empty where none is named.

    With videos and unnamed respondents each video is a row.
    """
    if not records.faces or (records.people == "unknown" and not records.videos):
        return []
    members: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, key in enumerate(zip(sample.groups.tolist(), sample.clusters.tolist(), strict=True)):
        members[key].append(place)
    emotions, valence = sample.emotions, sample.valence
    rows = []
    for (group, _), places in members.items():
        counts = np.bincount(emotions[places], minlength=SIZE)
        first = records.faces[places[0]]
        name = records.cluster_of(first)
        rows.append(
            {
                "respondent": name[2:] if name.startswith("r:") else first.path,
                "group": sample.group_names[group],
                "faces": len(places),
                "shares": [round(float(value), 4) for value in counts / len(places)],
                "emotion": EMOTIONS[int(counts.argmax())],
                "valence": round(float(valence[places].mean()), 4),
            }
        )
    return sorted(rows, key=lambda row: (row["group"], str(row["respondent"])))


def segments(records: Records, sample: Sample) -> list[dict[str, Any]]:
    """The figures by each other column of the respondents' CSV, and by group within it.

    Shown and not tested: they were not chosen beforehand. A column with one value, or more than
    ``MAX_SEGMENTS``, tells no segments.
    """
    attributes = {file.upload: file.attributes or {} for file in records.files}
    answers = [attributes.get(face.upload, {}) for face in records.faces]
    found = []
    for column in dict.fromkeys(key for one in answers for key in one):
        values = np.array([one.get(column, "") for one in answers])
        names = sorted(set(values.tolist()) - {""})
        if not 2 <= len(names) <= MAX_SEGMENTS:
            continue
        rows = []
        for name in names:
            everyone = values == name
            rows.append(_segment(sample, name, None, everyone))
            if len(sample.group_names) > 1:
                for group, label in enumerate(sample.group_names):
                    member = everyone & (sample.groups == group)
                    if member.any():
                        rows.append(_segment(sample, name, label, member))
        found.append({"column": column, "rows": rows, "not_told": int((values == "").sum())})
    return found


def _segment(sample: Sample, value: str, group: str | None, member: Any) -> dict[str, Any]:
    happy = (sample.emotions == EMOTIONS.index("happy")).astype(np.float64)
    share = weighted_mean(happy, sample, member)
    valence = weighted_mean(sample.valence, sample, member)
    return {
        "value": value,
        "group": group,
        "faces": share.n,
        "clusters": share.clusters,
        "happy": share.value,
        "happy_interval": share.share_interval(),
        "valence": valence.value,
        "valence_interval": valence.interval(),
        "people_happy": int(people_showing(sample, member)[:, EMOTIONS.index("happy")].sum()),
    }


def figures_of(report: dict[str, Any]) -> dict[str, float]:
    """The figures that one survey is compared with others by; empty without faces."""
    overall = report["overall"]
    if not overall["faces"]:
        return {}
    shares = {row["emotion"]: round(row["share"], 4) for row in overall["emotions"]}
    return shares | {"valence": round(overall["valence"]["mean"], 4)}
