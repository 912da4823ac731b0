"""The figures of a report, from arrays to intervals; no database, no pages.

Pictures of one person resemble each other, so what varies are respondents ("clusters"), or files
where respondents are not known. Intervals of shares are those of Korn and Graubard (Survey
Methodology 24, 1998): exact binomial intervals for the number of independent faces that would vary
as much as these do. They stay honest for few people and never shrink to nothing where nobody, or
everybody, shows an expression. Means have t intervals of the clusters' linearised totals (Cochran,
"Sampling Techniques", 1977, section 6.3).

Each face counts as one, or each respondent as one (``weights``), so that a long video does not
outvote nine people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtrit

from webapp.domain import EMOTIONS, NEGATIVE, POSITIVE, valence_of
from webapp.languages import N_
from webapp.survey.report.quantify import Confusion, Corrected, correct, reason_not_shown

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LEVEL = 0.95
MIN_CLUSTERS = 5  # two or three people say next to nothing of how others differ
SHOWN_SHARE = 1 / 3  # somebody "showed" what a third of their faces show
SIZE = len(EMOTIONS)
ROLLUP = {
    "positive": [POSITIVE],
    "negative": list(NEGATIVE),
    "other": [EMOTIONS.index("surprise"), EMOTIONS.index("neutral")],
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The used faces of a survey: one row for each.

    ``probabilities`` ``[n, 7]``; ``groups`` ``[n]`` indices into ``group_names``; ``clusters``
    ``[n]`` indices of respondents (or files), 0 to ``cluster_count - 1``; ``uncertain`` ``[n]``;
    ``weights`` ``[n]``, how much each face counts, or None for one each.
    """

    probabilities: Array
    groups: Index
    clusters: Index
    uncertain: Mask
    group_names: tuple[str, ...]
    cluster_count: int
    weights: Array | None = None

    def __post_init__(self) -> None:
        n = len(self.probabilities)
        if self.probabilities.shape != (n, SIZE):
            raise ValueError(
                f"Expected [n, {SIZE}] probabilities. Received {self.probabilities.shape}."
            )
        if not len(self.groups) == len(self.clusters) == len(self.uncertain) == n:
            raise ValueError("Expected as many groups, clusters and flags as faces.")

    @property
    def emotions(self) -> Index:
        """Index of the most probable emotion of each face."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def valence(self) -> Array:
        """``[n]``, :func:`webapp.domain.valence_of` each face."""
        return np.asarray(valence_of(self.probabilities.T))

    @property
    def weight(self) -> Array:
        """``[n]``, how much each face counts."""
        return np.ones(len(self.groups)) if self.weights is None else self.weights

    def member(self, group: int) -> Mask:
        """The faces of a group; the number of groups stands for all faces."""
        if group == len(self.group_names):
            return np.ones(len(self.groups), dtype=bool)
        return np.asarray(self.groups == group)


def respondent_weights(groups: Index, clusters: Index) -> Array:
    """``[n]`` weights with which each respondent counts once in each group."""
    _, place, faces = np.unique(
        np.stack([groups, clusters], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return np.asarray(1.0 / faces[place.ravel()])


@dataclass(frozen=True, slots=True)
class Mean:
    """A weighted mean with the variance that its clusters give it.

    ``variance`` is None for a single cluster; ``n`` counts faces.
    """

    value: float
    variance: float | None
    clusters: int
    n: int

    def interval(self, low: float = -1.0, high: float = 1.0) -> list[float] | None:
        """The 95 % t interval within ``[low, high]``; None with fewer than ``MIN_CLUSTERS``."""
        if self.clusters < MIN_CLUSTERS or self.variance is None:
            return None
        half = float(stdtrit(self.clusters - 1, (1 + LEVEL) / 2)) * float(np.sqrt(self.variance))
        return [
            round(max(low, self.value - half), 6),
            round(min(high, self.value + half), 6),
        ]

    def share_interval(self) -> list[float] | None:
        """The 95 % interval of a share (Korn and Graubard 1998); None with too few clusters."""
        if self.clusters < MIN_CLUSTERS:
            return None
        return exact_interval(self.value, self.effective)

    @property
    def effective(self) -> float:
        """How many independent faces would vary as much; the clusters where nothing varies."""
        spread = self.value * (1 - self.value)
        if self.variance is None or self.variance <= 1e-15 or spread <= 1e-15:
            return float(self.clusters)
        many, few = stdtrit([max(1, self.n - 1), self.clusters - 1], (1 + LEVEL) / 2)
        return float(min(self.n, spread / self.variance) * (many / few) ** 2)


def weighted_mean(values: Array, sample: Sample, member: Mask) -> Mean:
    """The mean of ``values[member]`` with the variance between clusters."""
    weight, clusters = sample.weight[member], sample.clusters[member]
    total = float(weight.sum())
    value = float((weight * values[member]).sum() / total)
    scores = np.bincount(clusters, weight * (values[member] - value) / total)
    count = len(np.unique(clusters))
    variance = None if count < 2 else float((scores**2).sum() * count / (count - 1))
    return Mean(value, variance, count, int(member.sum()))


def exact_interval(share: float, faces: float) -> list[float]:
    """The 95 % interval of Clopper and Pearson (1934) for ``share`` of ``faces`` (any number)."""
    tail = (1 - LEVEL) / 2
    hits = share * faces
    low = 0.0 if hits <= 1e-9 else float(betaincinv(hits, faces - hits + 1, tail))
    high = 1.0 if faces - hits <= 1e-9 else float(betaincinv(hits + 1, faces - hits, 1 - tail))
    return [round(low, 6), round(high, 6)]


def design_effect(shares: Sequence[Mean]) -> float:
    """How many times the variance of all shares together is that of independent faces; >= 1.

    One for each cluster's worth of faces where nothing varies, because then nothing is known of it.
    """
    independent = sum(one.value * (1 - one.value) for one in shares) / shares[0].n
    variance = sum(one.variance or 0.0 for one in shares)
    if independent <= 1e-15:
        return shares[0].n / shares[0].clusters
    return max(1.0, variance / independent)


def summarise(
    sample: Sample, group: int, confusion: Confusion | None, rng: np.random.Generator
) -> dict[str, Any]:
    """Counts, shares, mean probabilities, valence and corrected shares of one group.

    ``group`` is an index into ``sample.group_names``, or their number for all faces. Shares and
    probabilities are in ``[0, 1]``. With fewer than ``MIN_CLUSTERS`` no interval is given, and
    corrected shares only by the rule of :func:`quantify.reason_not_shown`.
    """
    everyone = group == len(sample.group_names)
    member = sample.member(group)
    faces = int(member.sum())
    clusters = len(np.unique(sample.clusters[member]))
    summary: dict[str, Any] = {
        "name": "All" if everyone else sample.group_names[group],
        "faces": faces,
        "clusters": clusters,
        "uncertain": int(sample.uncertain[member].sum()),
        "emotions": [],
    }
    if faces == 0:
        return summary
    hits = sample.emotions[:, None] == np.arange(SIZE)
    shares = [weighted_mean(hits[:, k].astype(np.float64), sample, member) for k in range(SIZE)]
    corrected, why_not = _corrected(shares, clusters, confusion, rng)
    summary["correction"] = {"shown": corrected is not None, "reason": why_not}
    people = people_showing(sample, member)
    for index, emotion in enumerate(EMOTIONS):
        mean = weighted_mean(sample.probabilities[:, index], sample, member)
        summary["emotions"].append(
            {
                "emotion": emotion,
                "count": int(hits[member, index].sum()),
                "share": shares[index].value,
                "share_interval": shares[index].share_interval(),
                "mean_probability": mean.value,
                "mean_interval": mean.interval(0.0),
                **_corrected_row(corrected, [index]),
                "people": int(people[:, index].sum()),
            }
        )
    valence = weighted_mean(sample.valence, sample, member)
    summary["valence"] = {"mean": valence.value, "interval": valence.interval()}
    summary["rollup"] = []
    for name, columns in ROLLUP.items():
        any_of = hits[:, columns].any(axis=1)
        share = weighted_mean(any_of.astype(np.float64), sample, member)
        summary["rollup"].append(
            {
                "name": name,
                "count": int(any_of[member].sum()),
                "share": share.value,
                "interval": share.share_interval(),
                **_corrected_row(corrected, columns),
            }
        )
    return summary


def _corrected(
    shares: list[Mean], clusters: int, confusion: Confusion | None, rng: np.random.Generator
) -> tuple[Corrected | None, str | None]:
    """The corrected shares where they are to be shown, else the reason why they are not."""
    if confusion is None:
        return None, N_("the model's card holds no usable confusion matrix")
    plain = np.array([one.value for one in shares])
    corrected = correct(plain * shares[0].n, confusion, rng, design_effect(shares))
    why_not = reason_not_shown(plain, corrected, clusters)
    return (corrected, None) if why_not is None else (None, why_not)


def _corrected_row(corrected: Corrected | None, columns: list[int]) -> dict[str, Any]:
    if corrected is None:
        return {"corrected": None, "corrected_interval": None}
    return {
        "corrected": float(corrected.shares[columns].sum()),
        "corrected_interval": corrected.interval(columns),
    }


def people_showing(sample: Sample, member: Mask) -> Mask:
    """``[clusters, 7]``: who showed an expression in at least ``SHOWN_SHARE`` of their faces."""
    people, place = np.unique(sample.clusters[member], return_inverse=True)
    table = np.zeros((len(people), SIZE))
    np.add.at(table, (place, sample.emotions[member]), 1)
    return np.asarray(table / table.sum(axis=1, keepdims=True) >= SHOWN_SHARE - 1e-9)


def encode_clusters(names: Sequence[str]) -> tuple[Index, int]:
    """Cluster indices for names, and how many different ones there are."""
    seen: dict[str, int] = {}
    indices = [seen.setdefault(name, len(seen)) for name in names]
    return np.asarray(indices, dtype=np.int64), len(seen)
