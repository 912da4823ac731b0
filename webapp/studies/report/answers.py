"""What people answered, beside what their faces showed.

Whether answers on a scale go along with expressions is said by Spearman's rank correlation over
people. Its p-value comes from dealing the answers out anew, Holm's correction covers all of a
study's correlations together, and its interval is Fisher's with the variance of Bonett and Wright
(Psychometrika 65, 2000).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from webapp.domain import EMOTIONS
from webapp.studies.questions import PLACES
from webapp.studies.report.means import Means, mean_interval, means_json
from webapp.studies.report.records import Array, Records
from webapp.survey.report.compare import ALPHA, holm
from webapp.survey.report.statistics import LEVEL, MIN_CLUSTERS

DEALS: Final = 2000
MOST_TEXTS: Final = 200
MEASURES: Final = (*EMOTIONS, "valence")


def _ranks(values: Array) -> Array:
    """Ranks from 1; equal values share theirs. (scipy.stats takes a second to load.)"""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def spearman(first: Array, second: Array, rng: np.random.Generator) -> dict[str, Any] | None:
    """Rank correlation of two rows of numbers; None where one does not vary."""
    ranks = [_ranks(one) - (len(one) + 1) / 2 for one in (first, second)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    if len(first) < MIN_CLUSTERS or norm < 1e-9:
        return None
    rho = float((ranks[0] * ranks[1]).sum() / norm)
    dealt = rng.permuted(np.tile(ranks[1], (DEALS, 1)), axis=1) @ ranks[0] / norm
    p = (1 + int((np.abs(dealt) >= abs(rho) - 1e-12).sum())) / (DEALS + 1)
    z = np.arctanh(np.clip(rho, -0.999999, 0.999999))
    half = float(ndtri((1 + LEVEL) / 2)) * float(np.sqrt((1 + rho**2 / 2) / max(1, len(first) - 3)))
    return {
        "rho": round(rho, 4),
        "low": round(float(np.tanh(z - half)), 4),
        "high": round(float(np.tanh(z + half)), 4),
        "p": round(p, 5),
    }


def _values(question: dict[str, Any], given: list[Any]) -> list[Any]:
    if question["kind"] == "choice":
        return [option for option in question["options"] if option in given]
    return sorted({one for one in given if one is not None})


def _question(
    question: dict[str, Any],
    place: str,
    records: Records,
    means: dict[str, Means],
    rng: np.random.Generator,
) -> dict[str, Any]:
    given = [person.answers.get(question["id"]) for person in records.people]
    answered = np.array([one is not None for one in given], dtype=bool)
    made: dict[str, Any] = {
        "id": question["id"],
        "place": place,
        "kind": question["kind"],
        "text": question["text"],
        "people": int(answered.sum()),
        "values": [],
        "mean": None,
        "low": None,
        "high": None,
        "texts": [],
        "relations": [],
    }
    if question["kind"] == "text":
        texts = [one for one in given if one]
        rng.shuffle(texts)  # nobody is found by the order of the answers
        made["texts"] = texts[:MOST_TEXTS]
        return made
    for value in _values(question, given):
        members = np.array([one == value for one in given], dtype=bool)
        beside = []
        for stimulus, found in means.items():
            people = int((members & found.there).sum())
            if people:
                summary = means_json(found, members)
                valence = summary.pop("valence")
                beside.append(
                    {
                        "stimulus": stimulus,
                        "people": people,
                        "emotions": summary,
                        "valence": valence,
                    }
                )
        made["values"].append({"value": value, "people": int(members.sum()), "stimuli": beside})
    if question["kind"] == "scale" and answered.any():
        numbers = np.array([float(one) if one is not None else np.nan for one in given])
        made |= mean_interval(numbers[answered], question["min"], question["max"])
        for stimulus, found in means.items():
            who = answered & found.there
            for k, measure in enumerate(MEASURES):
                row = spearman(numbers[who], found.values[who, k], rng)
                if row is not None:
                    made["relations"].append({"stimulus": stimulus, "measure": measure} | row)
    return made


def answers_json(
    records: Records, means: dict[str, Means], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Every question; ``means`` by stimulus, their rows those of ``records.people``."""
    made = [
        _question(question, place, records, means, rng)
        for place in PLACES
        for question in records.study.questions.get(place, ())
    ]
    rows = [row for one in made for row in one["relations"]]
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row |= {"p_holm": round(adjusted, 5), "significant": adjusted < ALPHA}
    return made
