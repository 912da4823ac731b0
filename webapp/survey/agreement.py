"""How far a person and the model agree: Cohen's kappa, and when it is said at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from webapp.domain import EMOTIONS

Array = npt.NDArray[np.float64]
SIZE = len(EMOTIONS)
MIN_LABELS = 20
MIN_PEOPLE = 5
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """``agreed`` of ``n`` labels, Cohen's kappa and its 95 % interval; None where not said."""

    n: int
    agreed: int
    kappa: float | None
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "agreed": self.agreed,
            "kappa": None if self.kappa is None else round(self.kappa, 3),
            "interval": None
            if self.interval is None
            else [round(value, 3) for value in self.interval],
        }


def kappas(tables: Array) -> Array:
    """Kappa ``[k]`` of tables ``[k, 7, 7]`` (rows: person, columns: model); NaN where undefined.

    Cohen, "A coefficient of agreement for nominal scales" (1960). Undefined where chance alone
    would always agree.
    """
    n = tables.sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(tables, axis1=1, axis2=2) / n
        chance = (tables.sum(axis=2) * tables.sum(axis=1)).sum(axis=1) / n**2
        return np.where(chance < 1 - 1e-12, (observed - chance) / (1 - chance), np.nan)


def agreement(tables: Array) -> Agreement:
    """The agreement in ``tables`` ``[people, 7, 7]``, one of counts for each respondent.

    Kappa is said from ``MIN_LABELS`` labels of ``MIN_PEOPLE`` people on: two labels that agree are
    no proof. Its interval spans that of a bootstrap of whole respondents and the exact one of the
    agreement (Korn and Graubard 1998) at the chance that was seen. Either alone is too narrow: the
    first where nearly all agree, the second where the classes are uneven.
    """
    from webapp.survey.report.statistics import Sample, weighted_mean  # SciPy, not at start

    total = tables.sum(axis=0)
    n, agreed = int(total.sum()), int(np.trace(total))
    people = int((tables.sum(axis=(1, 2)) > 0).sum())
    kappa = float(kappas(total[None])[0]) if n else np.nan
    if n < MIN_LABELS or people < MIN_PEOPLE or not np.isfinite(kappa):
        return Agreement(n, agreed, None, None)
    rng = np.random.default_rng(n)
    weights = rng.multinomial(len(tables), np.full(len(tables), 1 / len(tables)), DRAWS)
    drawn = kappas((weights @ tables.reshape(len(tables), -1)).reshape(-1, SIZE, SIZE))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    person = np.repeat(np.arange(len(tables)), tables.sum(axis=(1, 2)).astype(int))
    right = np.concatenate(
        [np.arange(int(one.sum())) < np.trace(one) for one in tables if one.sum()]
    ).astype(np.float64)
    nothing = np.zeros(n, dtype=np.int64)
    sample = Sample(np.zeros((n, SIZE)), nothing, person, nothing > 0, ("All",), len(tables))
    exact = weighted_mean(right, sample, nothing == 0).share_interval() or [0.0, 1.0]
    p = total / n
    chance = float(p.sum(axis=1) @ p.sum(axis=0))
    bounds = [(end - chance) / (1 - chance) for end in exact]
    return Agreement(n, agreed, kappa, (float(min(low, bounds[0])), float(max(high, bounds[1]))))
