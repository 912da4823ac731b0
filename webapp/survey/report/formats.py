"""Shares, differences and p-values as reports write them, in today's language."""

from __future__ import annotations

from webapp.languages import gettext, number


def share(value: float | None) -> str:
    """A share in ``[0, 1]`` as a percentage with one decimal; a dash for none."""
    return "–" if value is None else f"{number(100 * value, 1)} %"


def likelihood(value: float) -> str:
    """How sure a reading is; never wholly, as on the live page."""
    return gettext("over 99 %") if value > 0.99 else f"{number(100 * value)} %"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "–" if value is None else number(100 * value, 1, sign=True)


def band(interval: list[float] | None) -> str:
    """An interval of shares as ``12.0 to 15.3 %``."""
    if interval is None:
        return "–"
    low, high = (number(100 * end, 1) for end in interval)
    return gettext("%(low)s to %(high)s %%", low=low, high=high)


def signed(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else number(value, digits, sign=True)


def signed_band(interval: list[float] | None, factor: float = 1.0, digits: int = 2) -> str:
    if interval is None:
        return "–"
    low, high = (number(factor * end, digits, sign=True) for end in interval)
    return gettext("%(low)s to %(high)s", low=low, high=high)


def p_value(value: float | None) -> str:
    """A p-value as it is written in reports."""
    if value is None:
        return "–"
    return f"< {number(0.001, 3)}" if value < 0.001 else number(value, 3)
