"""The figures of a report, from arrays to intervals; no database, no pages.

Intervals are 95 % percentile intervals of a cluster bootstrap (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993; clusters: Davison and Hinkley 1997, section 3.8): whole
respondents are drawn, because pictures of one person resemble each other, or whole files where
respondents are not known. The groups of a survey are summarised on the same draws, so that a
respondent who is in two groups is in both or in neither.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from webapp.domain import EMOTIONS
from webapp.survey.report.quantify import Confusion, posterior_shares, shortest_interval

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

LEVEL = 0.95
MIN_CLUSTERS = 5  # two or three people say next to nothing of how others differ
NEGATIVE = tuple(EMOTIONS.index(name) for name in ("angry", "disgust", "fear", "sad"))
POSITIVE = EMOTIONS.index("happy")
SIZE = len(EMOTIONS)
# Columns of the sums that are kept for each cluster and group.
_N, _COUNTS, _PROBABILITIES, _WIDTH = 0, slice(1, 1 + SIZE), slice(1 + SIZE, 1 + 2 * SIZE), 15


@dataclass(frozen=True, slots=True)
class Sample:
    """The used faces of a survey: one row for each.

    ``probabilities`` ``[n, 7]``; ``groups`` ``[n]`` indices into ``group_names``; ``clusters``
    ``[n]`` indices of respondents (or files), 0 to ``cluster_count - 1``; ``uncertain`` ``[n]``.
    """

    probabilities: Array
    groups: Index
    clusters: Index
    uncertain: npt.NDArray[np.bool_]
    group_names: tuple[str, ...]
    cluster_count: int

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
        """P(happy) - P(angry, disgust, fear, sad) of each face, in ``[-1, 1]``."""
        negative = self.probabilities[:, list(NEGATIVE)].sum(axis=1)
        return np.asarray(self.probabilities[:, POSITIVE] - negative)


def cluster_sums(sample: Sample, member: npt.NDArray[np.bool_]) -> Array:
    """``[clusters, 15]``: faces, counts by emotion and summed probabilities of the members."""
    sums = np.zeros((sample.cluster_count, _WIDTH))
    clusters = sample.clusters[member]
    sums[:, _N] = np.bincount(clusters, minlength=sample.cluster_count)
    places = clusters * SIZE + sample.emotions[member]
    counts = np.bincount(places, minlength=sample.cluster_count * SIZE)
    sums[:, _COUNTS] = counts.reshape(sample.cluster_count, SIZE)
    for emotion in range(SIZE):
        column = sample.probabilities[member, emotion]
        sums[:, 1 + SIZE + emotion] = np.bincount(clusters, column, sample.cluster_count)
    return sums


def cluster_weights(clusters: int, draws: int, rng: np.random.Generator) -> Iterator[Array]:
    """Blocks ``[b, clusters]`` of how often each cluster is in each of ``draws`` resamples."""
    block = max(1, min(draws, 2_000_000 // max(1, clusters)))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        drawn = rng.integers(0, clusters, size=(rows, clusters))
        drawn += np.arange(rows)[:, None] * clusters
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)
        time.sleep(0)


@dataclass(frozen=True, slots=True)
class Draws:
    """Bootstrap sums ``[groups + 1, draws, 15]``; the last row of the first axis is all faces."""

    sums: Array

    def shares(self, group: int) -> Array:
        """``[draws, 7]``; a resample without a face of the group is NaN."""
        return _ratio(self.sums[group][:, _COUNTS], self.sums[group][:, _N])

    def means(self, group: int) -> Array:
        return _ratio(self.sums[group][:, _PROBABILITIES], self.sums[group][:, _N])

    def valence(self, group: int) -> Array:
        return valence_of(self.means(group))


def _ratio(top: Array, bottom: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(top / np.where(bottom > 0, bottom, np.nan)[:, None])


def valence_of(means: Array) -> Array:
    """Valence of mean probabilities ``[..., 7]``."""
    return np.asarray(means[..., POSITIVE] - means[..., list(NEGATIVE)].sum(axis=-1))


def bootstrap(sample: Sample, draws: int, rng: np.random.Generator) -> Draws:
    """Resample clusters ``draws`` times and sum each group (and all) in every resample."""
    everyone = np.ones(len(sample.groups), dtype=bool)
    members = [sample.groups == group for group in range(len(sample.group_names))]
    tables = np.hstack([cluster_sums(sample, member) for member in (*members, everyone)])
    blocks = [w @ tables for w in cluster_weights(sample.cluster_count, draws, rng)]
    sums = np.vstack(blocks).reshape(draws, len(members) + 1, _WIDTH)
    return Draws(np.ascontiguousarray(sums.transpose(1, 0, 2)))


def interval(values: Array) -> list[float] | None:
    """The percentile interval ``[low, high]`` of a vector of draws, or None without draws."""
    finite = values[np.isfinite(values)]
    if len(finite) < 20:
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return [round(float(low), 6), round(float(high), 6)]


def share_interval(count: int, faces: int, clusters: int, draws: Array) -> list[float] | None:
    """The 95 % interval of a share ``count / faces``; None with fewer than ``MIN_CLUSTERS``.

    Where no face shows an expression (or every one does) all resamples agree, and a percentile
    interval of no width would claim certainty. There the exact interval for that many clusters
    stands in, all without it (Clopper and Pearson 1934): 0 of 40 people leaves up to 8.8 %.
    """
    if clusters < MIN_CLUSTERS:
        return None
    if 0 < count < faces:
        return interval(draws)
    bound = round(((1 - LEVEL) / 2) ** (1 / clusters), 6)
    return [0.0, round(1 - bound, 6)] if count == 0 else [bound, 1.0]


def summarise(
    sample: Sample,
    draws: Draws,
    group: int,
    confusion: Confusion | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Counts, shares, mean probabilities, valence and corrected shares of one group.

    ``group`` is an index into ``sample.group_names``, or their number for all faces. Shares and
    probabilities are in ``[0, 1]``. With fewer than ``MIN_CLUSTERS`` no interval is given.
    """
    everyone = group == len(sample.group_names)
    member = np.ones(len(sample.groups), dtype=bool) if everyone else sample.groups == group
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
    counts = np.bincount(sample.emotions[member], minlength=SIZE)
    means = sample.probabilities[member].mean(axis=0)
    share_draws, mean_draws = draws.shares(group), draws.means(group)
    known = clusters >= MIN_CLUSTERS

    def band(values: Array) -> list[float] | None:
        return interval(values) if known else None

    corrected: Array | None = None
    corrected_draws: Array | None = None
    if confusion is not None:
        effect = design_effect(counts / faces, share_draws, faces) if known else 1.0
        posterior = posterior_shares(counts.astype(np.float64), confusion, rng, effect)
        corrected = posterior.mean(axis=0)
        corrected_draws = posterior if known else None
    for index, emotion in enumerate(EMOTIONS):
        summary["emotions"].append(
            {
                "emotion": emotion,
                "count": int(counts[index]),
                "share": float(counts[index] / faces),
                "share_interval": share_interval(
                    int(counts[index]), faces, clusters, share_draws[:, index]
                ),
                "mean_probability": float(means[index]),
                "mean_interval": band(mean_draws[:, index]),
                "corrected": None if corrected is None else float(corrected[index]),
                "corrected_interval": None
                if corrected_draws is None
                else shortest_interval(corrected_draws[:, index], faces),
            }
        )
    negative = list(NEGATIVE)
    summary["valence"] = {
        "mean": float(valence_of(means)),
        "interval": band(draws.valence(group)),
    }
    summary["rollup"] = [
        {
            "name": name,
            "count": int(counts[columns].sum()),
            "share": float(counts[columns].sum() / faces),
            "interval": share_interval(
                int(counts[columns].sum()), faces, clusters, share_draws[:, columns].sum(axis=1)
            ),
            "corrected": None if corrected is None else float(corrected[columns].sum()),
            "corrected_interval": None
            if corrected_draws is None
            else shortest_interval(corrected_draws[:, columns].sum(axis=1), faces),
        }
        for name, columns in (
            ("positive", [POSITIVE]),
            ("negative", negative),
            ("other", [EMOTIONS.index("surprise"), EMOTIONS.index("neutral")]),
        )
    ]
    return summary


def design_effect(shares: Array, draws: Array, faces: int) -> float:
    """How many times the bootstrap variance of shares is that of independent faces; at least 1.

    ``shares`` ``[7]``, ``draws`` ``[draws, 7]``. The variances are summed over the classes.
    """
    finite = draws[np.isfinite(draws).all(axis=1)]
    independent = float((shares * (1 - shares)).sum()) / faces
    if len(finite) < 2 or independent <= 0:
        return 1.0
    return max(1.0, float(finite.var(axis=0, ddof=1).sum()) / independent)


def encode_clusters(names: Sequence[str]) -> tuple[Index, int]:
    """Cluster indices for names, and how many different ones there are."""
    seen: dict[str, int] = {}
    indices = [seen.setdefault(name, len(seen)) for name in names]
    return np.asarray(indices, dtype=np.int64), len(seen)
