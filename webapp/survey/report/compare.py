"""Groups against each other: difference, interval, test, effect size, and when not to test.

The tests let faces of one cluster depend on each other: the ratio estimators are linearised and
summed by cluster (Binder 1983; Cochran, "Sampling Techniques", 1977, section 6.3). Respondents who
are in both groups are treated as the same persons. Mean valence has a Wald test with a t
distribution of clusters - 1 degrees of freedom. A difference of shares has a score test, whose
variance is that under "no difference" (Boos, "On generalized score tests", 1992; with one face for
each person these are Pearson's and McNemar's): a Wald test believes too much where a group shows an
expression hardly ever or always, and has no variance at all when both are at an end. P-values of
all tests together are corrected by Holm (1979). Effect sizes are Cohen's h for shares and the
difference in standard deviations for valence (Cohen 1988).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr

from webapp.domain import EMOTIONS
from webapp.survey.report.statistics import (
    MIN_CLUSTERS,
    Draws,
    Index,
    Sample,
    interval,
    share_interval,
)

Array = npt.NDArray[np.float64]
_WORDS = ((0.2, "very small"), (0.5, "small"), (0.8, "medium"))


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values in the order given, each at most 1."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def cohens_h(first: float, second: float) -> float:
    """``2 asin sqrt(first) - 2 asin sqrt(second)`` of two shares in ``[0, 1]``."""
    return 2 * math.asin(math.sqrt(first)) - 2 * math.asin(math.sqrt(second))


def effect_word(effect: float) -> str:
    """Cohen's words for an effect size."""
    for limit, word in _WORDS:
        if abs(effect) < limit:
            return word
    return "large"


def clustered_p(
    values: Array,
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    sample: Sample,
    *,
    score: bool = False,
) -> float | None:
    """Two-sided p-value of ``mean(values[first]) == mean(values[second])``.

    ``values`` ``[n]``; ``score`` takes the variance around the common mean, else each group's own
    is taken. None where the variance is zero, so that nothing can be tested.
    """
    both = first | second
    common = values[both].mean()
    one, other = (common, common) if score else (values[first].mean(), values[second].mean())
    residuals = np.zeros(len(values))
    residuals[first] = (values[first] - one) / first.sum()
    residuals[second] = -(values[second] - other) / second.sum()
    clusters, index = np.unique(sample.clusters[both], return_inverse=True)
    scores = np.bincount(index, residuals[both])
    count = len(clusters)
    variance = float((scores**2).sum())
    if variance <= 1e-18 or count < 2:
        return None
    difference = abs(values[first].mean() - values[second].mean())
    if not score:
        deviation = math.sqrt(variance * count / (count - 1))
        return float(2 * stdtr(count - 1, -difference / deviation))
    least = _least_p(sample.clusters[first], sample.clusters[second])
    return max(least, float(2 * ndtr(-difference / math.sqrt(variance))))


def _least_p(first: Index, second: Index) -> float:
    """The smallest two-sided p-value that exchanging whole clusters between groups can give.

    Respondents who are in both groups may change sides, the others may be dealt out anew; five
    people in both groups who all react alike are no better proof than 2 in 2**5.
    """
    one, other = set(first.tolist()), set(second.tolist())
    shared, apart = len(one & other), len(one ^ other)
    if shared + apart > 100:
        return 0.0  # beyond any p-value that is ever shown
    ways = float(math.comb(apart, len(one - other))) * 2.0**shared
    return min(1.0, 2 / ways)


def compare_groups(sample: Sample, draws: Draws, min_cell: int) -> dict[str, Any]:
    """Every pair of groups on every emotion and on valence.

    ``min_cell`` is the least number of faces: of each group, and of an emotion in both groups
    together. Below it, and with fewer than five clusters in a group, the difference is shown with
    the reason why it is not tested. Returns ``{"rows": [...], "tests": n, "min_cell", ...}``.
    """
    rows: list[dict[str, Any]] = []
    present = [g for g in range(len(sample.group_names)) if (sample.groups == g).any()]
    valence = sample.valence
    for a, b in itertools.combinations(present, 2):
        first, second = sample.groups == a, sample.groups == b
        small = _too_small(sample, first, second, min_cell)
        for index, emotion in enumerate(EMOTIONS):
            hits = (sample.emotions == index).astype(np.float64)
            cell = int(hits[first].sum() + hits[second].sum())
            too_few = f"fewer than {min_cell} faces show it" if cell < min_cell else None
            row = _row(sample, a, b, emotion, hits, first, second, small or too_few)
            row["interval"] = _difference_interval(
                (hits[first], len(np.unique(sample.clusters[first])), draws.shares(a)[:, index]),
                (hits[second], len(np.unique(sample.clusters[second])), draws.shares(b)[:, index]),
            )
            row["effect"] = cohens_h(row["first"], row["second"])
            rows.append(row)
        row = _row(sample, a, b, "valence", valence, first, second, small)
        row["interval"] = interval(draws.valence(a) - draws.valence(b))
        pooled = math.sqrt((valence[first].var() + valence[second].var()) / 2)
        row["effect"] = row["difference"] / pooled if pooled > 0 else 0.0
        rows.append(row)
    tested = [row for row in rows if row["p"] is not None]
    for row, adjusted in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row["p_holm"] = adjusted
        row["significant"] = adjusted < 0.05
    for row in rows:
        row["effect_word"] = effect_word(row["effect"])
    return {
        "rows": rows,
        "tests": len(tested),
        "min_cell": min_cell,
        "min_clusters": MIN_CLUSTERS,
        "correction": "Holm",
    }


def _too_small(
    sample: Sample, first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], min_cell: int
) -> str | None:
    for member in (first, second):
        if int(member.sum()) < min_cell:
            return f"a group has fewer than {min_cell} faces"
        if len(np.unique(sample.clusters[member])) < MIN_CLUSTERS:
            return f"a group has fewer than {MIN_CLUSTERS} respondents or files"
    return None


def _difference_interval(
    first: tuple[Array, int, Array], second: tuple[Array, int, Array]
) -> list[float] | None:
    """The 95 % interval of a difference of shares, each given as ``(hits, clusters, draws)``.

    From the resamples; where a group is at an end, so that its resamples all agree, from the
    intervals of the two shares (MOVER: Newcombe 1998; Zou and Donner 2008).
    """
    (hits_a, _, draws_a), (hits_b, _, draws_b) = first, second
    if all(0 < hits.sum() < len(hits) for hits in (hits_a, hits_b)):
        return interval(draws_a - draws_b)
    band_a, band_b = (
        share_interval(int(hits.sum()), len(hits), clusters, draws)
        for hits, clusters, draws in (first, second)
    )
    if band_a is None or band_b is None:
        return None
    (low_a, high_a), (low_b, high_b) = band_a, band_b
    p_a, p_b = float(hits_a.mean()), float(hits_b.mean())
    return [
        round(p_a - p_b - math.hypot(p_a - low_a, high_b - p_b), 6),
        round(p_a - p_b + math.hypot(high_a - p_a, p_b - low_b), 6),
    ]


def _row(
    sample: Sample,
    a: int,
    b: int,
    measure: str,
    values: Array,
    first: npt.NDArray[np.bool_],
    second: npt.NDArray[np.bool_],
    untested: str | None,
) -> dict[str, Any]:
    one, other = float(values[first].mean()), float(values[second].mean())
    shares = measure != "valence"
    p = None if untested else clustered_p(values, first, second, sample, score=shares)
    if p is None and untested is None:
        untested = "every face is the same, so nothing varies"
    return {
        "groups": [sample.group_names[a], sample.group_names[b]],
        "measure": measure,
        "first": one,
        "second": other,
        "difference": one - other,
        "p": p,
        "p_holm": None,
        "significant": False,
        "untested": untested,
    }
