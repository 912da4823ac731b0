"""How many people a comparison needs; plain arithmetic."""

from __future__ import annotations

import math
from statistics import NormalDist

ALPHA, POWER = 0.05, 0.8


def people_needed(difference: float, around: float = 0.5) -> int:
    """People in each of two groups to find a ``difference`` of shares around ``around``.

    With a two-sided test at ``ALPHA``, in ``POWER`` of all surveys, one picture of each person
    (Fleiss, Levin and Paik, "Statistical Methods for Rates and Proportions", 2003, section 4.2,
    without continuity correction). Raises ValueError for a difference outside ``(0, 1)``.
    """
    if not 0 < difference < 1:
        raise ValueError(f"Expected a difference between 0 and 1. Received {difference}.")
    first, second = around + difference / 2, around - difference / 2
    normal = NormalDist()
    at_null = normal.inv_cdf(1 - ALPHA / 2) * math.sqrt(2 * around * (1 - around))
    apart = math.sqrt(first * (1 - first) + second * (1 - second))
    return math.ceil(((at_null + normal.inv_cdf(POWER) * apart) / difference) ** 2)
