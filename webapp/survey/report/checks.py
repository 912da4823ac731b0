"""What could tilt a report: pictures unlike the model's test set, and uneven exclusion."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from webapp.domain import QUALITY_FIGURES, UNCERTAIN
from webapp.languages import N_
from webapp.survey.ledger import LOW_QUALITY, NO_FACE, SEVERAL_FACES, UNREADABLE, USED
from webapp.survey.report.compare import ALPHA, clustered_test, holm, too_small
from webapp.survey.report.records import Records
from webapp.survey.report.statistics import Sample, encode_clusters

SMALL_FACE_PX = 48  # a model's input; smaller faces are enlarged and blurred
# What 98 % of FER2013's faces keep to (the lower and the upper limits), by webapp.vision.quality.
# How often damaged pictures are noticed, and what they cost: bench.shares --damage, docs/surveys.md
LIMITS: tuple[tuple[str, float, float, str], ...] = (
    ("sharpness", 0.24, np.inf, N_("many faces are blurred or have few pixels")),
    ("sharpness", 0, 2.25, N_("many faces are grainy")),
    ("noise", 0, 5.4, N_("many faces are grainy")),
    ("light", 47.0, 196.0, N_("many faces are dark or bright")),
    ("side_light", 0, 0.93, N_("many faces are lit from one side")),
    ("blockiness", 0, 2.04, N_("many faces show the blocks of strong compression")),
)
MANY = 0.2  # a fifth of the faces or files
UNSURE_FACTOR = 2.0
MIN_FACES = 20
JUDGED = (USED, NO_FACE, SEVERAL_FACES, LOW_QUALITY, UNREADABLE)
MIN_FILES = 5


def unlike_test_set(records: Records) -> list[str]:
    """In what the pictures differ from those the model's mistakes were measured on, in words.

    Looked at: how many faces are smaller than the model's input or beyond the ``LIMITS``, how many
    files were set aside as too dark, bright or blurred, and how many faces the model is not sure
    of.
    """
    faces = records.faces
    if len(faces) < MIN_FACES:
        return []
    found = []
    sides = np.array([face.box[2] - face.box[0] for face in faces])
    if (sides < SMALL_FACE_PX).mean() > MANY:
        found.append(N_("many faces are small"))
    found += beyond_limits(np.array([face.quality for face in faces], dtype=np.float64))
    counts = records.ledger.counts
    if counts[LOW_QUALITY] > MANY * (counts[LOW_QUALITY] + counts[USED]):
        found.append(N_("many pictures are dark, bright or blurred"))
    expected = records.job.model.get("uncertain_share")
    unsure = np.mean([face.label == UNCERTAIN for face in faces])
    if expected is not None and unsure > max(MANY, UNSURE_FACTOR * expected):
        found.append(N_("the model is unsure of many faces"))
    return found


def beyond_limits(figures: npt.NDArray[np.float64]) -> list[str]:
    """In what more than ``MANY`` of the faces lie beyond the ``LIMITS``.

    ``figures`` ``[n, 5]`` in the order of ``QUALITY_FIGURES``; NaN where not measured.
    """
    found: list[str] = []
    for name, low, high, words in LIMITS:
        values = figures[:, QUALITY_FIGURES.index(name)]
        if ((values < low) | (values > high)).mean() > MANY and words not in found:
            found.append(words)
    return found


def exclusion(records: Records) -> dict[str, Any]:
    """Shares of files left out by group, and the pairs of groups in which they differ.

    Duplicates do not count. Tested as a comparison of groups is: files of one respondent belong
    together, pairs are corrected by Holm.
    """
    files = [file for file in records.files if file.category in JUDGED]
    index = {name: number for number, name in enumerate(records.groups)}
    clusters, count = encode_clusters([records.cluster_of(file) for file in files])
    groups = np.array([index[file.group] for file in files], dtype=np.int64)
    left_out = np.array([file.category != USED for file in files], dtype=np.float64)
    sample = Sample(
        np.zeros((len(files), 7)),
        groups,
        clusters,
        np.zeros(len(files), dtype=bool),
        records.groups,
        count,
    )
    rates = [
        {
            "group": name,
            "files": int((groups == number).sum()),
            "left_out": float(left_out[groups == number].mean()),
        }
        for name, number in index.items()
        if (groups == number).any()
    ]
    pairs = []
    present = [number for number in index.values() if (groups == number).any()]
    for a, b in itertools.combinations(present, 2):
        first, second = groups == a, groups == b
        if too_small(sample, first, second, MIN_FILES) is None:
            test = clustered_test(left_out, first, second, sample, score=True)
            if test is not None:
                pairs.append((records.groups[a], records.groups[b], test.p))
    adjusted = holm([p for _, _, p in pairs])
    return {
        "rates": rates,
        "tests": len(pairs),
        "uneven": [
            {"groups": [a, b], "p_holm": p}
            for (a, b, _), p in zip(pairs, adjusted, strict=True)
            if p < ALPHA
        ],
    }
