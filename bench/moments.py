"""``python -m bench.moments --json -``: are the intervals of found peaks as sure as they say?

People are simulated who smile at one moment of a film, and what the mean of very many such people
is there is known. Their faces wander (an Ornstein-Uhlenbeck process for each expression), they
react later or earlier and more or less than others (some not at all), rise fast, stay there for a
moment or for seconds, fade slowly, look away for spells, and are read at a rate of their own. None
of this was used to choose the method. For each number of people, strength and length: how often
the peak is found, how often the interval of its height holds the true mean at that moment
(``height``) and at the true peak (``top``), how often that of its time holds the true time (of a
short reaction; a long one has no one time), and how much too high the height is. Moments that
have no interval, because fewer than five faces are seen there, are counted in ``without``.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import click
import numpy as np

from webapp.domain import EMOTIONS
from webapp.studies.report.curves import Array, Curves, curves_of
from webapp.studies.report.moments import moments_of
from webapp.studies.report.records import Trace

HAPPY = EMOTIONS.index("happy")
SHOWN_MS, AT_MS = 30_000, 13_000
PEOPLE = (6, 12, 24, 60)
STRENGTHS = (2.5, 4.0, 6.0)  # of the reaction, in log odds
HOLDS_MS = (0, 5000)  # how long it stays
MANY = 4000  # people whose mean is the truth
TURNS = 200
NEAR_MS = 2500  # a peak farther away than this is another one


def somebody(rng: np.random.Generator, strength: float, holds_ms: float) -> Trace:
    """One person's readings."""
    step_ms = 1000 / rng.uniform(1.5, 3.5)
    times = np.arange(rng.uniform(0, step_ms), SHOWN_MS, step_ms)
    times = np.sort(np.clip(times + rng.normal(0, step_ms / 6, len(times)), 0, SHOWN_MS))
    keep = np.exp(-step_ms / rng.uniform(1500, 6000))  # how much of a face is still there
    noise = rng.normal(0, 0.9, (len(times), len(EMOTIONS)))
    energy = np.empty_like(noise)
    energy[0] = noise[0]
    for row in range(1, len(times)):
        energy[row] = keep * energy[row - 1] + np.sqrt(1 - keep**2) * noise[row]
    energy += rng.normal(0, 0.6, len(EMOTIONS))  # how this face looks at rest
    energy[:, EMOTIONS.index("neutral")] += 2.5
    if rng.random() < 0.75:
        since = times - AT_MS - rng.gamma(3, 120) + 360
        rise, fade = rng.uniform(300, 700), rng.uniform(800, 2500)
        shape = np.exp(np.minimum(since, 0) / rise - np.maximum(since - holds_ms, 0) / fade)
        energy[:, HAPPY] += strength * rng.beta(3, 2) * shape
    shares = np.exp(energy) / np.exp(energy).sum(axis=1, keepdims=True)
    good = np.ones(len(times), dtype=bool)
    for begin_ms in rng.uniform(0, SHOWN_MS, rng.poisson(1.5)):
        good[(times > begin_ms) & (times < begin_ms + rng.exponential(1200))] = False
    return Trace(times, np.zeros(len(times), np.int64), good, shares, ended=True)


def crowd(rng: np.random.Generator, people: int, strength: float, holds_ms: float) -> Curves:
    """The curves of so many people."""
    traces = [somebody(rng, strength, holds_ms) for _ in range(people)]
    return curves_of(traces, SHOWN_MS, 0.4)


def truth_of(
    strength: float, holds_ms: float, rng: np.random.Generator, people: int
) -> tuple[Array, Array]:
    """Times, and the mean of happy of very many people."""
    curves = crowd(rng, people, strength, holds_ms)
    return curves.t_ms, np.nanmean(curves.values[:, :, HAPPY], axis=0)


def measured(
    people: int, strength: float, holds_ms: int, studies: int, seed: int
) -> dict[str, Any]:
    """Over many studies of so many people."""
    t_ms, mean = truth_of(strength, holds_ms, np.random.default_rng([seed, holds_ms]), MANY)
    top, top_ms = float(mean.max()), float(t_ms[mean.argmax()])
    rng = np.random.default_rng([seed, people, round(strength * 10), holds_ms])
    found, without = [], 0
    for _ in range(studies):
        near = [
            one for one in moments_of(crowd(rng, people, strength, holds_ms), rng, turns=TURNS)
            if one["emotion"] == "happy" and one["kind"] == "peak"
            and AT_MS - NEAR_MS <= one["t_ms"] <= AT_MS + holds_ms + NEAR_MS
        ]  # fmt: skip
        if near:
            best = max(near, key=lambda one: float(one["difference"]))
            if best["value_low"] is None:  # fewer than five faces are seen at that moment
                without += 1
                continue
            here = float(mean[np.abs(t_ms - best["t_ms"]).argmin()])
            found.append(
                (
                    best["value_low"] <= here <= best["value_high"],
                    best["value_low"] <= top <= best["value_high"],
                    best["t_low_ms"] <= top_ms <= best["t_high_ms"],
                    best["value"] - here,
                    best["value"] - top,
                    best["value_high"] - best["value_low"],
                )
            )
    names = ("height", "top", "time", "above_here", "above_top", "width")
    means = np.mean(found, axis=0) if found else [np.nan] * len(names)
    told: dict[str, Any] = {
        name: None if np.isnan(value) else round(float(value), 3)
        for name, value in zip(names, means, strict=True)
    }
    kind = {"people": people, "strength": strength, "holds_ms": holds_ms}
    told["time"] = None if holds_ms else told["time"]
    return (
        kind | {"true_top": round(top, 3), "found": len(found) + without, "without": without} | told
    )


@click.command(help=__doc__)
@click.option("--studies", default=400, show_default=True, help="Of each kind.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "target", type=click.File("w"), default="-")
def main(studies: int, seed: int, target: Any) -> None:
    rows = [
        measured(*kind, studies, seed) for kind in itertools.product(PEOPLE, STRENGTHS, HOLDS_MS)
    ]
    json.dump({"studies": studies, "peaks": rows}, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
