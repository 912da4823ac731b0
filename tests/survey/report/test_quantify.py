from __future__ import annotations

import numpy as np
import pytest

from tests.survey.report.test_statistics import rng, sample_of
from webapp.survey.report.quantify import (
    Confusion,
    confusion_from_card,
    confusion_of_labels,
    correct,
    reason_not_shown,
    wide_interval,
)
from webapp.survey.report.statistics import summarise


def confusion():
    rates = np.full((7, 7), 0.04)
    np.fill_diagonal(rates, 0.76)
    rates[4, 4], rates[4, 6] = 0.5, 0.3
    return Confusion(rates * 1000, "test")


@pytest.mark.parametrize(
    "table", [None, "x", [[1, 2], [3, 4]], np.zeros((7, 7)).tolist(), (-np.eye(7)).tolist()]
)
def test_a_confusion_matrix_that_cannot_be_used_gives_no_correction(table):
    assert confusion_from_card({"confusion": table}, "h") is None
    assert confusion_from_card({}, "h") is None


def test_the_matrix_of_the_serving_head_is_found_first():
    one, other = np.eye(7) * 9, np.eye(7) * 5
    metrics = {"confusion": other.tolist(), "serving": {"ferplus": {"confusion": one.tolist()}}}
    assert confusion_from_card(metrics, "ferplus").counts[0, 0] == 9
    assert confusion_from_card(metrics, "fer2013").counts[0, 0] == 5
    assert confusion_from_card(metrics, "fer2013", mixed=True) is None
    assert confusion_from_card(metrics | {"head": "ferplus"}, "fer2013") is None
    published = {"test": {"serving": {"fer2013": {"confusion": (one * 2).tolist()}}}} | metrics
    assert confusion_from_card(published, "ferplus").counts[0, 0] == 18


def test_correction_finds_the_true_shares_where_there_are_many_faces():
    truth = np.array([0.1, 0.05, 0.05, 0.3, 0.3, 0.1, 0.1])
    sure = Confusion(confusion().counts * 1000, "test")
    counts = truth @ (confusion().counts / 1000) * 200_000
    np.testing.assert_allclose(correct(counts, sure, rng()).shares, truth, atol=0.01)


def test_corrected_shares_are_shares_and_no_face_is_lost_by_rounding():
    for observed in ([0, 0, 0, 50.0, 0, 0, 1], [1.0, 0, 0, 0, 0, 0, 0]):
        corrected = correct(np.array(observed), confusion(), rng(), 2.7)
        assert (corrected.draws >= 0).all()
        np.testing.assert_allclose(corrected.draws.sum(axis=1), 1)
        assert corrected.effective == pytest.approx(sum(observed) / 2.7)


def test_one_happy_picture_has_no_corrected_share():
    happy = sample_of([3])
    summary = summarise(happy, 2, confusion(), rng())
    assert summary["correction"]["shown"] is False
    assert summary["emotions"][3]["share"] == 1.0
    assert summary["emotions"][3]["corrected"] is None
    assert summary["correction"]["reason"] == "fewer than 5 people"


def test_the_rule_shows_a_correction_only_where_it_is_sure_of_what_it_changes():
    plain = np.eye(7)[6] * 0.8 + np.eye(7)[4] * 0.2
    sure = correct(plain * 5000, confusion(), rng())
    assert reason_not_shown(plain, sure, 5000) is None
    assert "less certain" in reason_not_shown(plain, correct(plain * 15, confusion(), rng()), 15)
    assert reason_not_shown(plain, sure, 4) == "fewer than 5 people"


@pytest.mark.parametrize("mix", [(0.05, 0.01, 0.02, 0.12, 0.06, 0.04, 0.7), (1 / 7,) * 7])
def test_what_is_shown_is_as_close_as_the_plain_share_and_covers(mix):
    generator, mix = rng(), np.array(mix)
    rates = confusion().counts / 1000
    plain_error, shown_error, covered = [], [], []
    for _ in range(30):
        read = np.array([generator.choice(7, p=rates[c]) for c in generator.choice(7, 60, p=mix)])
        plain = np.bincount(read, minlength=7) / 60
        corrected = correct(plain * 60, confusion(), generator)
        shown = corrected.shares if reason_not_shown(plain, corrected, 60) is None else plain
        plain_error.append(np.abs(plain - mix).mean())
        shown_error.append(np.abs(shown - mix).mean())
        bands = [corrected.interval([k]) for k in range(7)]
        covered.append([low <= mix[k] <= high for k, (low, high) in enumerate(bands)])
    assert np.mean(shown_error) < 1.1 * np.mean(plain_error)
    assert np.mean(covered, axis=0).min() >= 0.9


def test_a_corrected_interval_can_say_none():
    low, high = wide_interval(rng().beta(0.6, 200, 5000), 300)
    assert low == 0.0
    assert 0.005 < high < 0.03
    assert wide_interval(1 - rng().beta(0.6, 200, 5000), 300)[1] == 1.0


def test_review_labels_make_a_matrix_of_their_own():
    labels = np.zeros((7, 7))
    labels[3, 3], labels[6, 3] = 30, 20
    own = confusion_of_labels(labels, confusion())
    assert own.source == "50 review labels of this survey"
    assert own.rates[6, 3] > 0.7  # far from the card's 0.04
    assert own.counts[0].sum() == pytest.approx(5)
    assert confusion_of_labels(labels / 2, confusion()) is None  # 25 are too few
    assert confusion_of_labels(labels, None) is None
