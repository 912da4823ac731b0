"""Peaks and drops: moments at which people show more, or less, than over the whole stimulus.

A moment is reported where chance does not explain it. Chance is what happens when reactions are
not tied to the stimulus: each person's curve is turned round by a time of its own, which keeps what
is peculiar to that person (how strong, how jumpy, how rare) and takes away only what people have in
common at one moment. The largest and smallest values over all times and expressions of many such
turns say how far the real mean must lie from its average (a maximum test: Nichols and Holmes, Human
Brain Mapping 15, 2002): of 100 studies without any common reaction 95 report nothing.

How sure the time of a peak is follows from how it moves when people are drawn anew.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from webapp.domain import EMOTIONS
from webapp.studies.report.curves import (
    VALENCE,
    Array,
    Curves,
    percentile_band,
    resampled,
)
from webapp.survey.report.statistics import LEVEL, MIN_CLUSTERS

TURNS: Final = 500
REPLICATES: Final = 500
LEAST: Final = 0.05  # of mean probability: smaller moments are of no use to anybody
APART_MS: Final = 1000  # moments of one expression closer than this are one
AROUND_MS: Final = 1500  # how far from where it stands out a peak may lie in another sample
MOST: Final = 20


def _mean(values: Array) -> Array:
    """Over people, NaN left out, 0 where nobody is."""
    there = ~np.isnan(values)
    return np.asarray(np.where(there, values, 0.0).sum(axis=0) / np.maximum(1, there.sum(axis=0)))


def centred(values: Array) -> Array:
    """Each person's curve less its own average over the stimulus; ``[people, times, 7]``."""
    there = ~np.isnan(values)
    own = np.where(there, values, 0.0).sum(axis=1) / np.maximum(1, there.sum(axis=1))
    return np.asarray(values - own[:, None, :])


def turned_extremes(values: Array, rng: np.random.Generator, turns: int) -> Array:
    """``[turns, 2, 7]``: largest and smallest (as positive) mean when everybody is turned round."""
    people, times, _ = values.shape
    place, extremes = np.arange(times), np.empty((turns, 2, values.shape[2]))
    filled, there = np.nan_to_num(values), ~np.isnan(values[:, :, 0])
    rows = np.arange(people)[:, None]
    for turn in range(turns):
        at = (place + rng.integers(0, times, (people, 1))) % times
        count = np.maximum(1, there[rows, at].sum(axis=0))
        mean = filled[rows, at].sum(axis=0) / count[:, None]
        extremes[turn] = mean.max(axis=0), -mean.min(axis=0)
    return extremes


def _standard(extremes: Array) -> tuple[Array, Array]:
    """Middle and spread of each extreme, so that rare and frequent expressions count alike."""
    middle = np.median(extremes, axis=0)
    spread = np.quantile(extremes, 0.75, axis=0) - np.quantile(extremes, 0.25, axis=0)
    return middle, np.maximum(spread, 1e-9)


def _runs(beyond: npt.NDArray[np.bool_], t_ms: Array) -> list[tuple[int, int]]:
    """First and last place of each stretch, those close to each other joined."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], beyond.astype(np.int8), [0]])))
    runs: list[tuple[int, int]] = []
    for start, end in zip(edges[::2], edges[1::2] - 1, strict=True):
        if runs and t_ms[start] - t_ms[runs[-1][1]] < APART_MS:
            runs[-1] = runs[-1][0], int(end)
        else:
            runs.append((int(start), int(end)))
    return runs


def moments_of(
    curves: Curves, rng: np.random.Generator, stimuli: int = 1, turns: int = TURNS
) -> list[dict[str, Any]]:
    """The peaks and drops of a stimulus, in the order of time; of ``stimuli`` in the study, so
    that all of them together are wrong in 5 of 100 studies at most.
    """
    values = curves.values[:, :, :VALENCE]
    people = int((curves.shows > -2).any(axis=1).sum())
    if people < MIN_CLUSTERS or values.shape[1] < 4:
        return []
    own = centred(values)
    seen = _mean(own)
    # what was seen is one of the turns itself, so that the test is exact
    observed = np.stack([seen.max(axis=0), -seen.min(axis=0)])[None]
    extremes = np.concatenate([turned_extremes(own, rng, turns), observed])
    middle, spread = _standard(extremes)
    largest = np.sort(((extremes - middle) / spread).max(axis=(1, 2)))
    level = 1 - (1 - LEVEL) / max(1, stimuli)
    limit = float(np.quantile(largest, level, method="higher"))
    baseline = _mean(values).mean(axis=0)
    drawn = resampled(own, rng, REPLICATES)
    found: list[dict[str, Any]] = []
    for k, emotion in enumerate(EMOTIONS):
        for sign, kind in ((1, "peak"), (-1, "drop")):
            side = 0 if sign > 0 else 1
            curve = sign * seen[:, k]
            least = max(LEAST, middle[side, k] + limit * spread[side, k])
            for start, end in _runs(curve > least, curves.t_ms):
                at = start + int(curve[start : end + 1].argmax())
                reached = (curve[at] - middle[side, k]) / spread[side, k]
                beaten = len(largest) - int(np.searchsorted(largest, reached - 1e-9))
                found.append(
                    {
                        "emotion": emotion,
                        "kind": kind,
                        "from_ms": round(float(curves.t_ms[start])),
                        "to_ms": round(float(curves.t_ms[end])),
                        "baseline": round(float(baseline[k]), 4),
                        "difference": round(float(seen[at, k]), 4),
                        "p": min(1.0, round(stimuli * max(1, beaten) / len(largest), 4)),
                        **_when(curves, sign * drawn[:, :, k], at, (start, end)),
                        **_height(curves, k, at, rng),
                    }
                )
    found.sort(key=lambda one: -abs(one["difference"]))
    return sorted(found[:MOST], key=lambda one: (one["t_ms"], one["emotion"]))


def _when(curves: Curves, drawn: Array, at: int, run: tuple[int, int]) -> dict[str, Any]:
    """The time of a peak, and within which it lies in 95 of 100 samples of people."""
    step = float(curves.t_ms[1] - curves.t_ms[0])
    around = max(1, round(AROUND_MS / step))
    first, last = max(0, run[0] - around), min(len(curves.t_ms) - 1, run[1] + around)
    window = np.where(np.isnan(drawn), -np.inf, drawn)[:, first : last + 1]
    times = curves.t_ms[first + window.argmax(axis=1)]
    people = np.array([float(len(curves.values))])
    low, high = percentile_band(times[:, None], people)
    return {
        "t_ms": round(float(curves.t_ms[at])),
        "t_low_ms": round(max(0.0, min(float(low[0]), curves.t_ms[at]) - step / 2)),
        "t_high_ms": round(max(float(high[0]), curves.t_ms[at]) + step / 2),
    }


def _height(curves: Curves, k: int, at: int, rng: np.random.Generator) -> dict[str, Any]:
    """The mean at a peak with its band, and the share of people who show it there."""
    here = curves.values[:, at, k]
    there = ~np.isnan(here)
    drawn = resampled(here[there][:, None], rng, REPLICATES)
    low, high = percentile_band(drawn, np.array([float(there.sum())]))
    return {
        "value": round(float(here[there].mean()), 4),
        "value_low": None if np.isnan(low[0]) else round(float(low[0]), 4),
        "value_high": None if np.isnan(high[0]) else round(float(high[0]), 4),
        "share": round(float((curves.shows[there, at] == k).mean()), 4),
    }
