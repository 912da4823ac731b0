"""Two versions' accuracy on the same labelled faces: intervals, and whether they differ clearly."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final

LEVEL: Final = 0.05
_Z95: Final = 1.959964  # of the standard normal distribution


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``n`` (Wilson 1927), inside [0, 1]. Raises ValueError."""
    if n < 1 or not 0 <= share <= 1:
        raise ValueError(f"Expected a share in [0, 1] of at least one. Received {share} of {n}.")
    z2 = _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p-value of McNemar's exact test (1947): a fair coin for each face on which
    just one of the two is right.
    """
    n = only_first + only_second
    term, tail = 1, 0
    for k in range(min(only_first, only_second) + 1):
        tail += term
        term = term * (n - k) // (k + 1)
    return float(min(1.0, 2 * tail / 2**n))


def compared(n: int, first: float, second: float, pairs: tuple[int, int] | None) -> dict[str, Any]:
    """What to say of the accuracies ``first`` and ``second`` on the same ``n`` faces.

    ``pairs`` are the faces that only the first and only the second got right. Returns
    ``{"interval_active", "interval_candidate", "difference_interval", "p_value", "verdict"}``;
    the verdict is ``better`` or ``worse`` for the second, or ``unclear``. Without pairs it rests on
    intervals that do not overlap, and there is no p-value.

    >>> compared(1000, 0.60, 0.62, (80, 100))["verdict"]
    'unclear'
    """
    ours, theirs = wilson(first, n), wilson(second, n)
    found: dict[str, Any] = {"interval_active": list(ours), "interval_candidate": list(theirs)}
    if pairs is None:
        clear = ours[1] < theirs[0] or theirs[1] < ours[0]
        found |= {"difference_interval": None, "p_value": None}
    else:
        only_first, only_second = pairs
        middle = (only_second - only_first) / n
        half = _Z95 * sqrt((only_first + only_second) / n - middle**2) / sqrt(n)
        p_value = mcnemar(only_first, only_second)
        clear = p_value < LEVEL
        found |= {"difference_interval": [middle - half, middle + half], "p_value": p_value}
    verdict = "unclear" if not clear else "better" if second > first else "worse"
    return found | {"verdict": verdict}


def with_verdict(comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """A card's comparison with what :func:`compared` adds; None where it holds no figures.

    Cards of earlier versions have the accuracies alone.
    """
    try:
        n, first, second = (
            comparison[name] for name in ("faces", "accuracy_active", "accuracy_candidate")
        )
        if "verdict" in comparison:
            return dict(comparison)
        return {**comparison, **compared(int(n), float(first), float(second), None)}
    except (KeyError, TypeError, ValueError):
        return None
