"""Shares corrected with a confusion matrix, and whether the correction is good enough to be shown.

A model that takes one in three sad faces for neutral shows too many neutral people. Where it is
known how often it takes what for what, the counts can be put right: with ``C[i, j]`` the
probability that a face of class ``i`` is read as ``j`` and ``p`` the true shares, the observed
counts are multinomial with probabilities ``p C`` (Ziegler and Czyz, "Bayesian Quantification with
Black-Box Estimators", 2023, arXiv:2302.09159). ``p`` has a Dirichlet prior of a quarter face for
each class: with a whole face each, small surveys showed the prior and not the people. The rows of
``C`` have Dirichlet posteriors from the counts they were measured with, so that the uncertainty of
the matrix is in the interval too. It is sampled by Gibbs steps: every read class is split among the
true ones, then the shares are drawn.

The correction assumes that faces of one class are misread as often in the survey as where the
matrix was measured, and in small surveys it adds more noise than it removes error. So it is shown
only by a rule (:func:`reason_not_shown`), which ``bench.shares`` holds against surveys of known
mixes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from webapp.domain import EMOTIONS
from webapp.languages import N_

Array = npt.NDArray[np.float64]
CHAINS = 100
BURN_IN = 60
KEPT = 60
PRIOR_COUNT = 0.5  # of a row of the matrix, shared by its cells
PRIOR_SHARE = 0.25  # of each class; see the module's text
LEVEL = 0.98  # of the draws: what holds the true share 90 times in 100 or more (bench.shares)
MIN_PEOPLE = 5
MIN_LABELS = 40
CARD_WEIGHT = 5.0
MIN_SHIFT = 3.0  # how many times the correction's own variance it must move the shares


@dataclass(frozen=True, slots=True)
class Confusion:
    """``counts[i, j]``: test faces of emotion ``i`` that were read as ``j``; 7 x 7, floats."""

    counts: Array
    source: str

    @property
    def rates(self) -> Array:
        """Row-normalised counts, with half a face added to each cell so that none is zero."""
        smoothed = self.counts + PRIOR_COUNT / len(EMOTIONS)
        return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))

    def draw(self, rng: np.random.Generator, draws: int) -> Array:
        """``[draws, 7, 7]`` rates that fit the counts as well (a Dirichlet for each row)."""
        shape = (draws, len(EMOTIONS), len(EMOTIONS))
        gammas = rng.standard_gamma(self.counts + PRIOR_COUNT / len(EMOTIONS), size=shape)
        gammas = np.maximum(gammas, 1e-12)
        return np.asarray(gammas / gammas.sum(axis=2, keepdims=True))


def confusion_from_card(metrics: Any, head: str, mixed: bool = False) -> Confusion | None:
    """The confusion matrix of what serves out of a card's metrics, or None.

    Looked for in what was measured on the ``test`` set, then in the metrics themselves: at
    ``serving.<head>.confusion`` (what serves, on the serving head's label set),
    ``serving.fer2013.confusion``, then ``confusion`` where that is the serving head's and no other
    is ``mixed`` with it. Rows are the true emotion and columns the
    read one, in the order of ``EMOTIONS``. A matrix of another shape, with a negative count or an
    empty row is not used: a correction that cannot be computed is left out, never guessed.
    """
    if not isinstance(metrics, Mapping):
        return None
    places: list[tuple[str, Any]] = []
    for measured in (metrics.get("test"), metrics):
        if isinstance(measured, Mapping):
            serving = measured.get("serving")
            if isinstance(serving, Mapping):
                places += [(name, serving.get(name)) for name in (head, "fer2013")]
            if not mixed and measured.get("head", head) == head:
                places.append(("their", measured))
    for source, place in places:
        table = place.get("confusion") if isinstance(place, Mapping) else None
        counts = _usable_matrix(table)
        if counts is not None:
            return Confusion(counts, N_(f"test pictures, {source} labels"))
    return None


def confusion_of_labels(labels: Array, card: Confusion | None) -> Confusion | None:
    """The survey's own matrix from review labels ``[7, 7]`` (rows: the person's word).

    Used from ``MIN_LABELS`` labels given in random order on. Where a card's matrix is there it
    weighs as ``CARD_WEIGHT`` labels of each emotion, so that a row without labels is not empty;
    without one every emotion must have been labelled.
    """
    total = int(labels.sum())
    if total < MIN_LABELS:
        return None
    if card is not None:
        labels = labels + CARD_WEIGHT * card.rates
    elif not (labels.sum(axis=1) >= 1).all():
        return None
    return Confusion(labels, N_(f"{total} review labels of this survey"))


def _usable_matrix(table: Any) -> Array | None:
    try:
        counts = np.asarray(table, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    size = len(EMOTIONS)
    if counts.shape != (size, size) or not np.isfinite(counts).all() or (counts < 0).any():
        return None
    return counts if (counts.sum(axis=1) >= 1).all() else None


@dataclass(frozen=True, slots=True)
class Corrected:
    """Corrected shares: ``draws`` ``[n, 7]`` of the posterior, and the ``effective`` faces."""

    draws: Array
    effective: float

    @property
    def shares(self) -> Array:
        """``[7]``, the posterior mean."""
        return np.asarray(self.draws.mean(axis=0))

    def interval(self, columns: list[int]) -> list[float]:
        """The interval of the summed share of ``columns``."""
        return wide_interval(self.draws[:, columns].sum(axis=1), self.effective)


def correct(
    counts: Array, confusion: Confusion, rng: np.random.Generator, design_effect: float = 1.0
) -> Corrected:
    """The true shares behind the observed ``counts`` ``[7]`` (fractions are allowed).

    ``design_effect`` >= 1 says how many times larger the variance is than that of independent
    faces (Kish 1965): counts of faces that resemble each other weigh as so many fewer. What is
    left is not rounded: each chain rounds up or down at random, so that nothing is lost on average.
    """
    rates = confusion.draw(rng, CHAINS)
    scaled = counts / max(1.0, design_effect)
    whole = np.floor(scaled)
    observed = whole + (rng.random((CHAINS, len(EMOTIONS))) < scaled - whole)
    observed = observed.astype(np.int64)
    shares = rng.dirichlet(np.ones(len(EMOTIONS)), CHAINS)
    kept = []
    for step in range(BURN_IN + KEPT):
        joint = shares[:, :, None] * rates  # [chains, true, read]
        sources = joint / joint.sum(axis=1, keepdims=True)
        split = np.zeros_like(shares)
        for read in np.flatnonzero(observed.any(axis=0)):
            split += rng.multinomial(observed[:, read], sources[:, :, read])
        gammas = np.maximum(rng.standard_gamma(split + PRIOR_SHARE), 1e-300)
        shares = gammas / gammas.sum(axis=1, keepdims=True)
        if step >= BURN_IN:
            kept.append(shares)
    return Corrected(np.concatenate(kept), float(scaled.sum()))


def reason_not_shown(plain: Array, corrected: Corrected, people: int) -> str | None:
    """Why corrected shares are not shown, or None where they are.

    They are shown from ``MIN_PEOPLE`` people on, where the correction moves the plain shares by
    more than its own uncertainty: the squared shift, summed over the classes, is at least
    ``MIN_SHIFT`` times the summed posterior variance. Below that the plain count is as close.
    """
    if people < MIN_PEOPLE:
        return N_(f"fewer than {MIN_PEOPLE} people")
    shift = float(((plain - corrected.shares) ** 2).sum())
    if shift < MIN_SHIFT * float(corrected.draws.var(axis=0).sum()):
        return N_("the correction is less certain than what it would change")
    return None


def wide_interval(draws: Array, faces: float, level: float = LEVEL) -> list[float]:
    """``[low, high]`` that spans the shortest and the equal-tailed interval of a share's ``draws``.

    An interval with equal tails can never say "none": its lower end lies above zero even where
    nobody shows the expression. The shortest one (highest posterior density, Box and Tiao,
    "Bayesian Inference in Statistical Analysis", 1973) begins where the draws pile up, but ends too
    early where a rare expression hides behind a common one. Together they hold both. An end that is
    nearer to none or all than half a face is none or all.
    """
    ordered = np.sort(draws)
    kept = int(np.ceil(level * len(ordered)))
    widths = ordered[kept - 1 :] - ordered[: len(ordered) - kept + 1]
    start = int(widths.argmin())
    tails = np.quantile(ordered, [(1 - level) / 2, (1 + level) / 2])
    low = min(float(ordered[start]), float(tails[0]))
    high = max(float(ordered[start + kept - 1]), float(tails[1]))
    half_a_face = 0.5 / max(1.0, faces)
    return [
        0.0 if low < half_a_face else round(low, 6),
        1.0 if high > 1 - half_a_face else round(high, 6),
    ]
