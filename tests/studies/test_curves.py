"""Curves, moments and what stands beside them, on people whose reactions are known.

The constants of the method were chosen on other simulations (bursts of own expressions, smooth
noise); these have wandering faces, spells without a face, and slow lines.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from webapp.domain import EMOTIONS
from webapp.studies.report.answers import spearman
from webapp.studies.report.curves import (
    attention_json,
    curve_json,
    curves_of,
    exact_band,
    on_grid,
    percentile_band,
    resampled,
    retention_json,
)
from webapp.studies.report.moments import moments_of
from webapp.studies.report.records import Trace, trace_of

HAPPY = EMOTIONS.index("happy")
SHOWN_MS = 20_000


def trace(times: list[float], happy: list[float] | None = None, ended: bool = True) -> Trace:
    happy = happy or [0.1] * len(times)
    rows = [[t, 0, 1, 3.0, [0, 0, 0, h, 0, 0, 1 - h]] for t, h in zip(times, happy, strict=True)]
    return trace_of(rows, ended)


def somebody(rng: np.random.Generator, peak_ms: float | None, share: float = 0.7) -> Trace:
    """A face that wanders, lost for a spell, on a line of its own speed; happy around the peak."""
    rate = rng.uniform(1.5, 4)
    times = np.sort(rng.uniform(0, SHOWN_MS, int(rate * SHOWN_MS / 1000)))
    lost = rng.uniform(0, SHOWN_MS)
    times = times[np.abs(times - lost) > rng.uniform(0, 1200)]
    # waves of random period and phase: no moment is unlike another
    periods, phases = rng.uniform(3000, 15_000, (6, 7)), rng.uniform(0, 2 * np.pi, (6, 7))
    wander = 0.5 * np.sin(2 * np.pi * times[:, None, None] / periods + phases).sum(axis=1)
    energy = rng.normal(0, 0.5, 7) + wander + np.array([0, 0, 0, 0, 0, 0, 2.0])
    if peak_ms is not None and rng.random() < share:
        at = peak_ms + rng.normal(0, 250)
        energy[:, HAPPY] += 5 * np.maximum(0, 1 - np.abs(times - at) / 1800)
    shares = np.exp(energy) / np.exp(energy).sum(axis=1, keepdims=True)
    return Trace(
        times, np.zeros(len(times), np.int64), np.ones(len(times), bool), shares, ended=True
    )


def test_scores_are_joined_by_lines_and_never_over_gaps() -> None:
    times = np.arange(0, 6001, 250, dtype=float)
    found = on_grid(trace([1000, 2000, 5000], [0.0, 1.0, 0.5]), times)[:, HAPPY]
    at = dict(zip(times.tolist(), found.tolist(), strict=True))
    assert (at[1000], at[1500], at[2000], at[5000]) == (0.0, 0.5, 1.0, 0.5)
    assert (at[250], at[2750], at[4250], at[5750]) == (0.0, 1.0, 0.5, 0.5)
    assert np.isnan([at[0], at[3000], at[3500], at[6000]]).all()


def test_a_person_without_good_samples_is_nowhere() -> None:
    rows = [[0, 1, 0, 3.0, None], [300, 2, 0, 3.0, None], [600, 0, 0, 3.0, [0, 0, 0, 1, 0, 0, 0]]]
    made = trace_of(rows, ended=False)
    assert np.isnan(on_grid(made, np.arange(0, 1000, 250.0))).all()


def test_long_films_have_as_many_points_as_a_page_can_draw() -> None:
    times = list(np.arange(0, 1_800_000, 400.0))
    curves = curves_of([trace(times) for _ in range(5)], 1_800_000, 0.4)
    assert curves.values.shape[1] <= 301
    assert np.allclose(curves.values[:, :, HAPPY], 0.1)
    assert np.all(np.diff(curves.t_ms) > 0)


def test_shares_count_people_who_show_it() -> None:
    people = [trace([0, 500, 1000], [h] * 3) for h in (0.9, 0.8, 0.7, 0.1, 0.45)]
    made = curve_json(curves_of(people, 1000, 0.6), np.random.default_rng(1))
    assert made["people"] == [5] * 5
    assert made["emotions"]["happy"]["share"] == [0.6] * 5
    assert made["emotions"]["neutral"]["share"] == [0.2] * 5
    assert made["emotions"]["happy"]["mean"][0] == pytest.approx(0.59)
    assert made["valence"]["mean"][0] == pytest.approx(0.59)


def test_exact_bands_are_those_of_the_binomial() -> None:
    low, high = exact_band(np.array([0.0, 3, 12, 2]), np.array([12.0, 12, 12, 4]))
    for place, hits in ((0, 0), (1, 3), (2, 12)):
        known = scipy.stats.binomtest(hits, 12).proportion_ci(method="exact")
        assert (low[place], high[place]) == pytest.approx((known.low, known.high))
    assert np.isnan([low[3], high[3]]).all()


@pytest.mark.parametrize(("people", "least"), [(6, 0.88), (20, 0.92)])
def test_bands_of_means_hold_the_truth_as_often_as_they_say(people: int, least: float) -> None:
    """Of skewed values; six people are few even for a widened bootstrap."""
    rng = np.random.default_rng(people)
    held = []
    for _ in range(400):
        values = rng.beta(1.2, 3, (people, 1))
        low, high = percentile_band(resampled(values, rng, 400), np.array([float(people)]))
        held.append(low[0] <= 1.2 / 4.2 <= high[0])
    assert least <= np.mean(held) <= 0.985


def test_a_common_reaction_is_found_where_it_was() -> None:
    rng, off, inside = np.random.default_rng(3), [], 0
    for peak_ms in rng.uniform(4000, 16_000, 12):
        curves = curves_of([somebody(rng, peak_ms) for _ in range(24)], SHOWN_MS, 0.4)
        found = [
            one for one in moments_of(curves, rng, turns=150)
            if one["emotion"] == "happy" and one["kind"] == "peak"
        ]  # fmt: skip
        assert len(found) >= 1
        best = max(found, key=lambda one: one["difference"])
        off.append(abs(best["t_ms"] - peak_ms))
        inside += best["t_low_ms"] <= peak_ms <= best["t_high_ms"]
        assert best["value_low"] <= best["value"] <= best["value_high"]
    assert np.median(off) <= 300
    assert inside >= 10


@pytest.mark.slow
@pytest.mark.parametrize("people", [6, 24])
def test_without_a_common_reaction_nothing_is_found(people: int) -> None:
    """5 of 100 may be; 200 tries show more than 19 of 200 once in 500 such tests."""
    rng = np.random.default_rng(people)
    wrong = 0
    for _ in range(200):
        curves = curves_of([somebody(rng, None) for _ in range(people)], SHOWN_MS, 0.4)
        wrong += bool(moments_of(curves, rng, turns=150))
    assert wrong <= 19


def test_too_few_people_have_no_moments() -> None:
    rng = np.random.default_rng(5)
    curves = curves_of([somebody(rng, 8000, 1.0) for _ in range(4)], SHOWN_MS, 0.4)
    assert moments_of(curves, rng) == []


def test_attention_and_drop_out() -> None:
    stays = trace(list(range(0, 5001, 500)))
    leaves = trace(list(range(0, 2001, 500)), ended=False)
    rows = [[t, 3 if t < 2000 else 1, 0, 3.0, None] for t in range(0, 5001, 500)]
    looks_away = trace_of(rows, ended=True)
    people = [stays, leaves, looks_away]
    attention = attention_json(people, 5000)
    assert attention["present"][0] == 1.0
    assert attention["looking"][0] == pytest.approx(2 / 3, abs=1e-3)
    assert (attention["present"][-1], attention["people"][-1]) == (0.5, 2)
    retention = retention_json(people, 5000)
    assert (retention["people"][0], retention["people"][-1]) == (3, 2)
    assert retention["share"] == sorted(retention["share"], reverse=True)


def test_rank_correlations_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(7)
    first = rng.integers(1, 6, 30).astype(float)
    second = first + rng.normal(0, 2, 30)
    found = spearman(first, second, rng)
    known = scipy.stats.spearmanr(first, second)
    assert found is not None
    assert found["rho"] == pytest.approx(known.statistic, abs=1e-4)
    assert found["p"] == pytest.approx(known.pvalue, abs=0.02)
    assert found["low"] <= found["rho"] <= found["high"]
    assert spearman(np.ones(30), second, rng) is None
    assert spearman(first[:4], second[:4], rng) is None


def test_chance_correlations_are_called_clear_as_seldom_as_said() -> None:
    rng = np.random.default_rng(11)
    rows = [spearman(rng.integers(1, 6, 12).astype(float), rng.normal(0, 1, 12), rng)
            for _ in range(300)]  # fmt: skip
    assert np.mean([row is not None and row["p"] < 0.05 for row in rows]) <= 0.09
