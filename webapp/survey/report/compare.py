"""Groups against each other: difference, test, an interval that agrees, and when not to test.

The tests let faces of one cluster depend on each other: the ratio estimators are linearised and
summed by cluster (Binder 1983; Cochran, "Sampling Techniques", 1977, section 6.3). Respondents who
are in both groups are treated as the same persons. Mean valence has a Wald test. A difference of
shares has a score test, whose variance is that under "no difference" (Boos, "On generalized score
tests", 1992), because a Wald test believes too much where an expression is rare or shown always.
With one face for each person these are Pearson's and McNemar's test with (N - 1) / N of the
statistic (Campbell, Statistics in Medicine 26, 2007). Both tests have a t distribution, but for
score tests of the same people in both groups: with ten people in a group the normal distribution
finds a difference in more than one null survey of twenty (``bench.false_alarms``).

What a survey is mainly asked (its primary outcome) is tested on its own at ``PRIMARY_ALPHA``; all
other tests share the rest of ``ALPHA``, or all of it where the primary difference is clear (the
fallback procedure of Wiens, Pharmaceutical Statistics 2, 2003). Within each family tests are
corrected by Holm (1979). So chance makes anything differ in one survey of twenty at most.
Each interval is the test turned round, at the level at which Holm's procedure met that test: an
interval leaves zero out exactly where the finding is "differs". Effect sizes are Cohen's h for
shares and the difference in standard deviations for valence (Cohen 1988).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from webapp.domain import EMOTIONS
from webapp.languages import N_
from webapp.survey.report.statistics import MIN_CLUSTERS, Index, Mask, Sample, weighted_mean

Array = npt.NDArray[np.float64]
ALPHA = 0.05
PRIMARY_ALPHA = 0.04
VALENCE = "valence"
_WORDS = ((0.2, N_("very small")), (0.5, N_("small")), (0.8, N_("medium")))


@dataclass(frozen=True, slots=True)
class Test:
    """A test of "no difference": two-sided ``p``, standard ``error``, degrees of ``freedom``."""

    p: float
    error: float
    freedom: float

    def interval(self, difference: float, alpha: float, widest: float) -> list[float]:
        """The interval of the difference that leaves zero out where ``p < alpha``."""
        half = float(stdtrit(self.freedom, 1 - alpha / 2)) * self.error
        return [
            round(max(-widest, difference - half), 6),
            round(min(widest, difference + half), 6),
        ]


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction: adjusted p-values in the order given, each at most 1."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def holm_levels(p_values: list[float], alpha: float = ALPHA) -> list[float]:
    """The level at which Holm's procedure meets each test, in the order given.

    The i-th smallest is met at ``alpha / (m - i + 1)`` while all before it were rejected; from the
    first that is not rejected on, all are met at that one's level. So a p-value lies below its
    level exactly where :func:`holm` gives less than ``alpha``.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    levels = [alpha] * len(p_values)
    stopped: float | None = None
    for rank, index in enumerate(order):
        level = alpha / (len(p_values) - rank)
        if stopped is None and p_values[index] >= level:
            stopped = level
        levels[index] = level if stopped is None else stopped
    return levels


def cohens_h(first: float, second: float) -> float:
    """``2 asin sqrt(first) - 2 asin sqrt(second)`` of two shares in ``[0, 1]``."""
    ends = [min(1.0, max(0.0, share)) for share in (first, second)]
    return 2 * math.asin(math.sqrt(ends[0])) - 2 * math.asin(math.sqrt(ends[1]))


def effect_word(effect: float) -> str:
    """Cohen's words for an effect size."""
    for limit, word in _WORDS:
        if abs(effect) < limit:
            return word
    return N_("large")


def clustered_test(
    values: Array,
    first: Mask,
    second: Mask,
    sample: Sample,
    *,
    score: bool = False,
) -> Test | None:
    """The test of ``mean(values[first]) == mean(values[second])``.

    ``values`` ``[n]``; ``score`` takes the variance around the common mean, else each group's own
    is taken. None where the variance is zero, so that nothing can be tested.
    """
    both, weight = first | second, sample.weight
    one, other = (_mean(values, weight, member) for member in (first, second))
    difference = abs(one - other)
    if score:
        one = other = _mean(values, weight, both)
    residuals = np.zeros(len(values))
    residuals[first] = weight[first] * (values[first] - one) / weight[first].sum()
    residuals[second] = -weight[second] * (values[second] - other) / weight[second].sum()
    clusters, index = np.unique(sample.clusters[both], return_inverse=True)
    scores = np.bincount(index, residuals[both])
    count = len(clusters)
    variance = float((scores**2).sum())
    paired = set(sample.clusters[first].tolist()) == set(sample.clusters[second].tolist())
    means = 1 if score or paired else 2  # that the residuals were taken from
    if variance <= 1e-18 or count <= means:
        return None
    error = math.sqrt(variance * count / (count - means))
    freedom = math.inf if score and paired else count - means
    p = float(2 * stdtr(freedom, -difference / error))
    least = least_p(sample.clusters[first], sample.clusters[second]) if score else 0.0
    if least > p:  # the interval has to agree with what is said
        quantile = -float(stdtrit(freedom, least / 2))
        p, error = least, (difference / quantile if least < 1 else math.inf)
    return Test(p, error, freedom)


def _mean(values: Array, weight: Array, member: Mask) -> float:
    return float((weight[member] * values[member]).sum() / weight[member].sum())


def least_p(first: Index, second: Index) -> float:
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


def compare_groups(sample: Sample, min_cell: int, primary: str = "") -> dict[str, Any]:
    """Every pair of groups on every emotion and on valence.

    ``min_cell`` is the least number of faces: of each group, and of an emotion in both groups
    together. Below it, and with fewer than ``MIN_CLUSTERS`` people in a group, the difference is
    shown with the reason why it is not tested, and has no interval where the group is too small.
    ``primary`` is one of ``catalog.PRIMARY_OUTCOMES`` or empty. Returns ``{"rows": [...],
    "tests": n, "primary", "min_cell", ...}``.
    """
    rows: list[dict[str, Any]] = []
    tests: list[Test | None] = []
    hits = {e: (sample.emotions == i).astype(np.float64) for i, e in enumerate(EMOTIONS)}
    present = [g for g in range(len(sample.group_names)) if (sample.groups == g).any()]
    for a, b in itertools.combinations(present, 2):
        first, second = sample.groups == a, sample.groups == b
        small = too_small(sample, first, second, min_cell)
        for measure, values in (*hits.items(), (VALENCE, sample.valence)):
            shares = measure != VALENCE
            test = None if small else clustered_test(values, first, second, sample, score=shares)
            untested = small
            if untested is None and shares and values[first | second].sum() < min_cell:
                untested = N_(f"fewer than {min_cell} faces show it")
            elif untested is None and test is None:
                untested = N_("every face is the same, so nothing varies")
            rows.append(_row(sample, (a, b), measure, values, untested, test))
            rows[-1]["primary"] = measure == primary
            tests.append(test)
    _decide(rows, tests)
    return {
        "rows": rows,
        "tests": sum(row["untested"] is None for row in rows),
        "primary": primary or None,
        "min_cell": min_cell,
        "min_clusters": MIN_CLUSTERS,
        "correction": "Holm",
    }


def _decide(rows: list[dict[str, Any]], tests: list[Test | None]) -> None:
    """Correct the tests, and give each row its finding and the interval that agrees with it."""
    main = [row for row in rows if row["primary"] and row["untested"] is None]
    for is_primary in (True, False):
        share = PRIMARY_ALPHA if is_primary else ALPHA
        if not is_primary and main and not all(row["significant"] for row in main):
            share = ALPHA - PRIMARY_ALPHA
        family = [i for i, row in enumerate(rows) if row["primary"] is is_primary]
        tested = [i for i in family if rows[i]["untested"] is None]
        p_values = [rows[i]["p"] for i in tested]
        levels = dict(zip(tested, holm_levels(p_values, share), strict=True))
        for i, holms in zip(tested, holm(p_values), strict=True):
            adjusted = min(1.0, holms * ALPHA / share)
            rows[i] |= {"p_holm": adjusted, "significant": adjusted < ALPHA}
        strictest = share / max(1, len(tested))
        for i in family:
            row, test = rows[i], tests[i]
            if test is None or math.isinf(test.error):
                continue
            widest = 2.0 if row["measure"] == VALENCE else 1.0
            alpha = levels.get(i, strictest)
            row["interval"] = test.interval(row["difference"], alpha, widest)


def too_small(sample: Sample, first: Mask, second: Mask, min_cell: int) -> str | None:
    """Why two groups are not compared, or None where they are."""
    for member in (first, second):
        if int(member.sum()) < min_cell:
            return N_(f"a group has fewer than {min_cell} faces")
        if len(np.unique(sample.clusters[member])) < MIN_CLUSTERS:
            return N_(f"a group has fewer than {MIN_CLUSTERS} people or files")
    return None


def _row(
    sample: Sample,
    pair: tuple[int, int],
    measure: str,
    values: Array,
    untested: str | None,
    test: Test | None,
) -> dict[str, Any]:
    first, second = (sample.groups == group for group in pair)
    one, other = (weighted_mean(values, sample, member).value for member in (first, second))
    if measure == VALENCE:
        pooled = math.sqrt((values[first].var() + values[second].var()) / 2)
        effect = (one - other) / pooled if pooled > 0 else 0.0
    else:
        effect = cohens_h(one, other)
    return {
        "groups": [sample.group_names[group] for group in pair],
        "measure": measure,
        "first": one,
        "second": other,
        "difference": one - other,
        "interval": None,
        "p": test.p if test is not None and untested is None else None,
        "p_holm": None,
        "significant": False,
        "untested": untested,
        "effect": effect,
        "effect_word": effect_word(effect),
    }
