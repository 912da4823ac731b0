"""What each person showed over a whole stimulus, and means of that over people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from webapp.domain import EMOTIONS, valence_of
from webapp.studies.report.records import Array, Trace
from webapp.survey.report.statistics import LEVEL, MIN_CLUSTERS


@dataclass(frozen=True, slots=True)
class Means:
    """``[people, 8]`` mean probabilities and valence, ``[people, 7]`` shares of the time in which
    each expression was shown; NaN for people who are not used.
    """

    values: Array
    shares: Array

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        return ~np.isnan(self.values[:, 0])


def person_means(traces: list[Trace] | list[Trace | None], threshold: float) -> Means:
    """Each person's means over one stimulus; None for who is not used."""
    size = len(EMOTIONS)
    values = np.full((len(traces), size + 1), np.nan)
    shares = np.full((len(traces), size), np.nan)
    for row, trace in enumerate(traces):
        if trace is None or not trace.good.any():
            continue
        scores = trace.scores[trace.good]
        mean = scores.mean(axis=0)
        values[row] = [*mean, float(valence_of(mean))]
        clear = scores.max(axis=1) >= threshold
        shares[row] = [float((clear & (scores.argmax(axis=1) == k)).mean()) for k in range(size)]
    return Means(values, shares)


def mean_interval(values: Array, low: float, high: float) -> dict[str, float | None]:
    """Mean and 95 % t interval of one number for each person; none below ``MIN_CLUSTERS``."""
    mean = float(values.mean())
    made: dict[str, float | None] = {"mean": round(mean, 4), "low": None, "high": None}
    if len(values) >= MIN_CLUSTERS:
        quantile = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2))
        half = quantile * float(values.std(ddof=1)) / len(values) ** 0.5
        made |= {
            "low": round(max(low, mean - half), 4),
            "high": round(min(high, mean + half), 4),
        }
    return made


def means_json(means: Means, members: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Means over some people of each expression, the share of the time it was shown, valence."""
    who = members & means.there
    made: dict[str, Any] = {}
    for k, name in enumerate(EMOTIONS):
        share = mean_interval(means.shares[who, k], 0, 1)
        made[name] = mean_interval(means.values[who, k], 0, 1) | {
            "share": share["mean"],
            "share_low": share["low"],
            "share_high": share["high"],
        }
    made["valence"] = mean_interval(means.values[who, len(EMOTIONS)], -1, 1)
    return made
