"""Curves over a stimulus's time: what people show at each moment, and how sure that is.

Each person's scores are put on one grid of times: between two samples not farther apart than
``MAX_GAP_MS`` a straight line, else nothing. So everybody counts once at each moment, however fast
their line is, and what varies are people.

Bands of means are percentiles of 95 % of samples of people drawn with replacement, widened for few
people as Hesterberg ("What Teachers Should Know About the Bootstrap", The American Statistician 69,
2015) widens them. At one moment each person shows an expression or not, so bands of shares are the
exact ones of Clopper and Pearson (1934), which stay honest where nobody, or everybody, shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, ndtr, stdtrit

from webapp.domain import EMOTIONS, valence_of
from webapp.studies.report.records import Trace
from webapp.survey.report.statistics import LEVEL, MIN_CLUSTERS

Array = npt.NDArray[np.float64]
FINE_MS: Final = 250
MOST_POINTS: Final = 300
MAX_GAP_MS: Final = 1500
EDGE_MS: Final = 750
REPLICATES: Final = 1000
VALENCE: Final = len(EMOTIONS)  # the place of valence behind the seven


@dataclass(frozen=True, slots=True)
class Curves:
    """``values`` ``[people, times, 8]``: seven probabilities and valence, NaN where nothing was
    read; ``shows`` ``[people, times]``: index of the expression that is shown, -1 for none that is
    clear, -2 where nothing was read; ``t_ms`` ``[times]``.
    """

    t_ms: Array
    values: Array
    shows: npt.NDArray[np.int64]

    def of(self, members: npt.NDArray[np.bool_]) -> Curves:
        """The curves of some people."""
        return Curves(self.t_ms, self.values[members], self.shows[members])


def grid(shown_ms: int) -> tuple[Array, int]:
    """Fine times from 0 to the end, and how many of them make one point of the curves."""
    count = max(1, shown_ms // FINE_MS + 1)
    return np.arange(count, dtype=np.float64) * FINE_MS, -(-count // MOST_POINTS)


def on_grid(trace: Trace, times: Array) -> Array:
    """``[times, 7]`` scores of one person, NaN where they are too far from any good sample."""
    at, scores = trace.t_ms[trace.good], trace.scores[trace.good]
    found = np.full((len(times), scores.shape[1]), np.nan)
    if not len(at):
        return found
    right = np.searchsorted(at, times, side="left").clip(0, len(at) - 1)
    left = (np.searchsorted(at, times, side="right") - 1).clip(0, len(at) - 1)
    before, after = times - at[left], at[right] - times
    inside = (before >= 0) & (after >= 0) & (at[right] - at[left] <= MAX_GAP_MS)
    near = np.minimum(np.abs(before), np.abs(after)) <= EDGE_MS
    span = np.where(at[right] > at[left], at[right] - at[left], 1.0)
    share = np.where(at[right] > at[left], before / span, 0.0)[:, None]
    line = scores[left] * (1 - share) + scores[right] * share
    nearest = np.where((np.abs(before) <= np.abs(after))[:, None], scores[left], scores[right])
    found[near] = nearest[near]
    found[inside] = line[inside]
    return found


def curves_of(traces: list[Trace], shown_ms: int, threshold: float) -> Curves:
    """The curves of people who saw one stimulus."""
    times, width = grid(shown_ms)
    fine = np.stack([on_grid(trace, times) for trace in traces])
    if width > 1:  # long films: means of neighbours
        pad = -len(times) % width
        fine = np.pad(fine, ((0, 0), (0, pad), (0, 0)), constant_values=np.nan)
        fine = _nanmean(fine.reshape(len(traces), -1, width, fine.shape[2]), axis=2)
        times = np.pad(times, (0, pad), mode="edge").reshape(-1, width).mean(axis=1)
    there = ~np.isnan(fine[:, :, 0])
    top = np.where(there[..., None], fine, 0.0)
    shows = np.where(top.max(axis=2) >= threshold, top.argmax(axis=2), -1)
    valence = np.asarray(valence_of(np.moveaxis(fine, 2, 0)))
    return Curves(
        times,
        np.concatenate([fine, valence[..., None]], axis=2),
        np.where(there, shows, -2).astype(np.int64),
    )


def _nanmean(values: Array, axis: int) -> Array:
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def resampled(values: Array, rng: np.random.Generator, replicates: int) -> Array:
    """``[replicates, ...]`` means of ``values`` ``[people, ...]`` over people drawn anew."""
    people = len(values)
    there = ~np.isnan(values)
    flat = np.where(there, values, 0.0).reshape(people, -1)
    weights = rng.multinomial(people, np.full(people, 1 / people), replicates).astype(np.float64)
    count = weights @ there.reshape(people, -1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(count > 0, (weights @ flat) / count, np.nan)
    return np.asarray(means.reshape(replicates, *values.shape[1:]))


def tails(people: Array) -> Array:
    """The lower tail of a percentile interval for so many people (Hesterberg 2015)."""
    many = np.maximum(people, 2)
    return np.asarray(ndtr(-np.sqrt(many / (many - 1)) * stdtrit(many - 1, (1 + LEVEL) / 2)))


def percentile_band(replicates: Array, people: Array) -> tuple[Array, Array]:
    """``(low, high)`` of ``replicates`` ``[replicates, points]``; NaN below ``MIN_CLUSTERS``
    ``people`` ``[points]``.
    """
    ordered = np.sort(replicates, axis=0)  # NaN last: points that a replicate did not reach
    count = np.maximum(1, (~np.isnan(ordered)).sum(axis=0))
    low_at = tails(people) * (count - 1)
    low = _at(ordered, low_at)
    high = _at(ordered, count - 1 - low_at)
    enough = people >= MIN_CLUSTERS
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _at(ordered: Array, place: Array) -> Array:
    """Values between the rows of sorted columns."""
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    columns = np.arange(ordered.shape[1])
    share = place - below
    upper = np.where(share > 0, ordered[above, columns], ordered[below, columns])
    return np.asarray(ordered[below, columns] * (1 - share) + upper * share)


def exact_band(hits: Array, people: Array) -> tuple[Array, Array]:
    """Clopper and Pearson's interval for ``hits`` of ``people``; NaN below ``MIN_CLUSTERS``."""
    tail = (1 - LEVEL) / 2
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1e-9), people - hits + 1, tail), 0.0)
    high = np.where(
        hits < people, betaincinv(hits + 1, np.maximum(people - hits, 1e-9), 1 - tail), 1.0
    )
    enough = people >= MIN_CLUSTERS
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def plain(values: Array) -> list[float | None]:
    """Rounded for JSON, with None for NaN."""
    return [None if np.isnan(one) else round(float(one), 4) for one in values]


def curve_json(curves: Curves, rng: np.random.Generator) -> dict[str, Any]:
    """The mean, share and bands of everybody's curves."""
    people = (curves.shows > -2).sum(axis=0).astype(np.float64)
    means = _nanmean(curves.values, axis=0)
    drawn = resampled(curves.values, rng, REPLICATES)
    emotions: dict[str, Any] = {}
    bands = [percentile_band(drawn[:, :, k], people) for k in range(VALENCE + 1)]
    for k, name in enumerate(EMOTIONS):
        hits = (curves.shows == k).sum(axis=0).astype(np.float64)
        share_low, share_high = exact_band(hits, people)
        emotions[name] = {
            "mean": plain(means[:, k]),
            "low": plain(bands[k][0]),
            "high": plain(bands[k][1]),
            "share": plain(np.where(people > 0, hits / np.maximum(people, 1), np.nan)),
            "share_low": plain(share_low),
            "share_high": plain(share_high),
        }
    return {
        "t_ms": [round(float(t)) for t in curves.t_ms],
        "people": [int(one) for one in people],
        "emotions": emotions,
        "valence": {
            "mean": plain(means[:, VALENCE]),
            "low": plain(bands[VALENCE][0]),
            "high": plain(bands[VALENCE][1]),
        },
    }


def attention_json(traces: list[Trace], shown_ms: int) -> dict[str, Any]:
    """At each moment, of people with a result: how many have a face there, and look here."""
    times, width = grid(shown_ms)
    times = times[::width]
    faces = np.full((len(traces), len(times)), -1)
    for row, trace in enumerate(traces):
        right = np.searchsorted(trace.t_ms, times).clip(0, len(trace.t_ms) - 1)
        left = (right - 1).clip(0)
        closer = np.abs(trace.t_ms[left] - times) <= np.abs(trace.t_ms[right] - times)
        nearest = np.where(closer, left, right)
        near = np.abs(trace.t_ms[nearest] - times) <= MAX_GAP_MS
        faces[row, near] = trace.face[nearest[near]]
    people = (faces >= 0).sum(axis=0)
    some = np.maximum(people, 1)
    none = np.where(people > 0, 0.0, np.nan)
    return {
        "t_ms": [round(float(t)) for t in times],
        "people": [int(one) for one in people],
        "present": plain((((faces >= 0) & (faces != 1)).sum(axis=0) / some) + none),
        "looking": plain(((faces == 0).sum(axis=0) / some) + none),
    }


def retention_json(traces: list[Trace], shown_ms: int) -> dict[str, Any]:
    """How many of those who began the stimulus are still there at each moment."""
    times, width = grid(shown_ms)
    times = times[::width]
    until = np.array([np.inf if t.ended else t.t_ms[-1] + EDGE_MS for t in traces])
    people = (until[:, None] >= times).sum(axis=0)
    return {
        "t_ms": [round(float(t)) for t in times],
        "people": [int(one) for one in people],
        "share": plain(people / max(1, len(traces))),
    }
