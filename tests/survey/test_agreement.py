"""How far a person and the model agree, and the order in which faces are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from webapp.survey.agreement import agreement, kappas
from webapp.survey.review import shuffled

MIX = np.array([0.05, 0.02, 0.03, 0.3, 0.1, 0.05, 0.45])


def tables(rng, people, pictures, accuracy):
    """Labels ``[people, 7, 7]``, alike within a person, of a model that is right that often."""
    rates = np.full((7, 7), (1 - accuracy) / 6)
    np.fill_diagonal(rates, accuracy)
    cells = (MIX[:, None] * rates).ravel()
    own = np.repeat(rng.choice(49, people, p=cells), pictures)
    other = rng.choice(49, people * pictures, p=cells)
    drawn = np.where(rng.random(people * pictures) < np.sqrt(0.5), own, other)
    found = np.zeros((people, 49))
    np.add.at(found, (np.repeat(np.arange(people), pictures), drawn), 1)
    return found.reshape(people, 7, 7), float(kappas(cells.reshape(1, 7, 7))[0])


def test_kappa_by_hand():
    table = np.zeros((7, 7))
    table[0, 0], table[1, 1], table[0, 1], table[1, 0] = 20, 15, 5, 10
    assert kappas(table[None])[0] == pytest.approx(0.4)


@pytest.mark.parametrize("people", [2, 19])
def test_few_labels_have_no_kappa(people):
    found = agreement(np.repeat(np.eye(7)[None] * np.eye(7)[3], people, axis=0))
    assert (found.n, found.agreed, found.kappa, found.interval) == (people, people, None, None)
    assert agreement(np.zeros((0, 7, 7))).n == 0
    many = np.zeros((4, 7, 7))
    many[:, 3, 3], many[:, 6, 6] = 10, 10  # eighty labels of four people
    assert agreement(many).kappa is None


def test_full_agreement_leaves_room_for_doubt():
    labels = np.zeros((30, 7, 7))
    labels[:15, 3, 3] = labels[15:, 6, 6] = 1
    found = agreement(labels)
    assert found.kappa == pytest.approx(1.0)
    assert 0.7 < found.interval[0] < 0.9


@pytest.mark.parametrize(("people", "pictures"), [(20, 1), (60, 1), (10, 6), (20, 3)])
def test_the_interval_of_kappa_covers_it(people, pictures):
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(80):
        labels, truth = tables(rng, people, pictures, 0.8)
        low, high = agreement(labels).interval
        hits += low <= truth <= high
    assert hits >= 0.93 * 80 - 3


def test_the_review_order_is_random_and_stays():
    faces = np.arange(1, 3001)
    order = shuffled(faces, 7)
    assert sorted(order) == faces.tolist()
    np.testing.assert_array_equal(shuffled(faces[::2], 7), [f for f in order if f % 2])
    assert (shuffled(faces, 8) != order).mean() > 0.99
    # where the first hundred come from: every part of the survey, and every place within six
    first = np.array([shuffled(faces, seed)[:100] for seed in range(100)])
    parts = np.bincount((first.ravel() - 1) // 300, minlength=10)
    places = np.bincount(first.ravel() % 6, minlength=6)
    assert parts.min() > 850 and parts.max() < 1150
    assert places.min() > 1450 and places.max() < 1880
