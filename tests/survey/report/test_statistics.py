from __future__ import annotations

import numpy as np
import pytest

from webapp.domain import EMOTIONS
from webapp.survey.report.compare import clustered_p, cohens_h, compare_groups, holm
from webapp.survey.report.quantify import (
    Confusion,
    confusion_from_card,
    posterior_shares,
    shortest_interval,
)
from webapp.survey.report.statistics import (
    Sample,
    bootstrap,
    cluster_weights,
    design_effect,
    encode_clusters,
    interval,
    share_interval,
    summarise,
)


def sample_of(emotions, groups=None, clusters=None, names=("A", "B")):
    n = len(emotions)
    probabilities = np.full((n, 7), 0.05)
    probabilities[np.arange(n), emotions] = 0.7
    clusters = np.arange(n) if clusters is None else np.asarray(clusters)
    return Sample(
        probabilities,
        np.zeros(n, dtype=np.int64) if groups is None else np.asarray(groups),
        clusters,
        np.zeros(n, dtype=bool),
        names,
        int(clusters.max()) + 1,
    )


def rng():
    return np.random.default_rng(5)


def test_counts_shares_and_valence_by_hand():
    sample = sample_of([3, 3, 3, 0], [0, 0, 1, 1])
    draws = bootstrap(sample, 200, rng())
    everyone = summarise(sample, draws, 2, None, rng())
    happy = everyone["emotions"][3]
    assert (everyone["faces"], happy["count"], happy["share"]) == (4, 3, 0.75)
    assert happy["mean_probability"] == pytest.approx((3 * 0.7 + 0.05) / 4)
    assert happy["corrected"] is None
    expected = (3 * (0.7 - 0.2) + (0.05 - 0.7 - 0.15)) / 4
    assert everyone["valence"]["mean"] == pytest.approx(expected)
    assert sample.valence.mean() == pytest.approx(expected)
    assert [row["count"] for row in everyone["rollup"]] == [3, 1, 0]
    second = summarise(sample, draws, 1, None, rng())
    assert (second["name"], second["faces"], second["emotions"][3]["share"]) == ("B", 2, 0.5)


def test_an_empty_group_and_one_respondent_have_no_interval():
    sample = sample_of([3, 3, 0], [0, 0, 0], [0, 0, 0])
    draws = bootstrap(sample, 200, rng())
    assert summarise(sample, draws, 1, None, rng())["emotions"] == []
    assert summarise(sample, draws, 0, None, rng())["emotions"][3]["share_interval"] is None


def test_resamples_hold_as_many_clusters_as_there_are():
    blocks = np.vstack(list(cluster_weights(3000, 1500, rng())))
    assert blocks.shape == (1500, 3000)
    assert (blocks.sum(axis=1) == 3000).all()
    assert blocks.mean() == pytest.approx(1.0)


def test_intervals_are_wider_when_pictures_come_from_few_people():
    emotions = np.repeat(np.arange(40) % 2 * 3, 10)
    people = np.repeat(np.arange(40), 10)
    width = []
    for clusters in (None, people):
        sample = sample_of(emotions, None, clusters)
        low, high = interval(bootstrap(sample, 1000, rng()).shares(0)[:, 3])
        width.append(high - low)
    assert width[1] == pytest.approx(width[0] * np.sqrt(10), rel=0.2)


def test_the_interval_of_a_share_covers_it_about_95_times_in_100():
    generator = rng()
    hits = 0
    for _ in range(200):
        emotions = np.where(generator.random(120) < 0.3, 3, 6)
        low, high = interval(bootstrap(sample_of(emotions), 400, generator).shares(0)[:, 3])
        hits += low <= 0.3 <= high
    assert 178 <= hits <= 199


def confusion():
    rates = np.full((7, 7), 0.04)
    np.fill_diagonal(rates, 0.76)
    rates[4, 4], rates[4, 6] = 0.5, 0.3
    return Confusion(rates * 1000, "test")


def test_correction_finds_the_true_shares_where_there_are_many_faces():
    truth = np.array([0.1, 0.05, 0.05, 0.3, 0.3, 0.1, 0.1])
    sure = Confusion(confusion().counts * 1000, "test")
    counts = np.round(truth @ (confusion().counts / 1000) * 200_000)
    draws = posterior_shares(counts, sure, rng())
    np.testing.assert_allclose(draws.mean(axis=0), truth, atol=0.01)


def test_corrected_shares_are_shares_even_where_a_class_is_never_seen():
    for observed in ([0, 0, 0, 50.0, 0, 0, 1], [1.0, 0, 0, 0, 0, 0, 0]):
        draws = posterior_shares(np.array(observed), confusion(), rng())
        assert (draws >= 0).all()
        np.testing.assert_allclose(draws.sum(axis=1), 1)


def test_faces_that_resemble_each_other_widen_the_corrected_interval():
    counts = np.array([10, 5, 5, 60, 50, 20, 50.0])
    width = [
        np.ptp(np.quantile(posterior_shares(counts, confusion(), rng(), e), [0.025, 0.975], 0), 0)
        for e in (1.0, 4.0)
    ]
    assert (width[1] > 1.2 * width[0]).all()


def test_the_design_effect_of_ten_alike_pictures_for_each_person_is_ten():
    emotions = np.repeat(np.arange(200) % 2 * 3, 10)
    sample = sample_of(emotions, None, np.repeat(np.arange(200), 10))
    draws = bootstrap(sample, 2000, rng()).shares(0)
    effect = design_effect(np.bincount(emotions, minlength=7) / 2000, draws, 2000)
    assert effect == pytest.approx(10, rel=0.15)


def test_correction_comes_closer_than_raw_counts_and_its_interval_covers():
    generator = rng()
    rates = confusion().counts / 1000
    raw_error, corrected_error, covered, told = [], [], 0, 0
    for _ in range(25):
        truth = generator.dirichlet(np.ones(7))
        classes = generator.choice(7, 400, p=truth)
        read = np.array([generator.choice(7, p=rates[c]) for c in classes])
        sample = sample_of(read)
        summary = summarise(sample, bootstrap(sample, 300, generator), 2, confusion(), generator)
        realised = np.bincount(classes, minlength=7) / 400
        for index, row in enumerate(summary["emotions"]):
            raw_error.append(abs(row["share"] - realised[index]))
            corrected_error.append(abs(row["corrected"] - realised[index]))
            low, high = row["corrected_interval"]
            covered += low <= realised[index] <= high
            told += 1
    assert np.mean(corrected_error) < 0.6 * np.mean(raw_error)
    assert covered / told > 0.9


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
    published = {"test": {"serving": {"fer2013": {"confusion": (one * 2).tolist()}}}} | metrics
    assert confusion_from_card(published, "ferplus").counts[0, 0] == 18


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_and_the_test_agree_with_scipy_and_statsmodels_definitions():
    from scipy import stats

    generator = rng()
    values = generator.normal(size=80)
    first = np.arange(80) < 40
    sample = sample_of(np.zeros(80, dtype=int), (~first).astype(int))
    ours = clustered_p(values, first, ~first, sample)
    welch = stats.ttest_ind(values[first], values[~first], equal_var=False).pvalue
    assert ours == pytest.approx(welch, rel=0.05)


def test_with_one_face_each_the_score_test_is_pearsons():
    from scipy import stats

    groups = np.repeat([0, 1], 200)
    values = np.concatenate([np.arange(200) < 60, np.arange(200) < 85]).astype(float)
    sample = sample_of(np.zeros(400, dtype=int), groups)
    ours = clustered_p(values, groups == 0, groups == 1, sample, score=True)
    pearson = stats.chi2_contingency([[60, 140], [85, 115]], correction=False).pvalue
    assert ours == pytest.approx(pearson, rel=1e-6)


def test_with_the_same_people_in_both_the_score_test_is_mcnemars():
    people = np.tile(np.arange(200), 2)
    groups = np.repeat([0, 1], 200)
    # 40 changed one way, 20 the other, 140 not at all
    values = np.concatenate([np.arange(200) < 70, (np.arange(200) >= 40) & (np.arange(200) < 90)])
    sample = sample_of(np.zeros(400, dtype=int), groups, people)
    ours = clustered_p(values.astype(float), groups == 0, groups == 1, sample, score=True)
    from scipy import stats

    mcnemar = stats.chi2.sf((40 - 20) ** 2 / 60, 1)
    assert ours == pytest.approx(mcnemar, rel=1e-6)


def test_a_handful_of_people_who_all_react_alike_prove_what_they_can():
    people = np.tile(np.arange(6), 2)
    groups = np.repeat([0, 1], 6)
    sample = sample_of(np.zeros(12, dtype=int), groups, people)
    always = (groups == 0).astype(float)
    ours = clustered_p(always, groups == 0, groups == 1, sample, score=True)
    assert ours == pytest.approx(2 / 2**6)
    apart = sample_of(np.zeros(12, dtype=int), groups)
    ours = clustered_p(always, groups == 0, groups == 1, apart, score=True)
    assert ours == pytest.approx(2 / 924)  # 12 over 6


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_rare_expressions_are_not_found_to_differ_too_often(share):
    generator = rng()
    below = tests = 0
    for _ in range(600):
        groups = np.repeat([0, 1], 45)
        values = (generator.random(90) < share).astype(float)
        if values.sum() < 5:
            continue
        tests += 1
        sample = sample_of(np.zeros(90, dtype=int), groups)
        p = clustered_p(values, groups == 0, groups == 1, sample, score=True)
        below += p is not None and p < 0.05
    assert below <= 0.08 * tests + 2


def test_none_and_all_leave_room_for_doubt():
    nobody = share_interval(0, 40, 40, np.zeros(100))
    assert nobody == pytest.approx([0.0, 0.0881], abs=1e-3)
    assert share_interval(40, 40, 40, np.ones(100)) == pytest.approx([0.9119, 1.0], abs=1e-3)
    assert share_interval(0, 40, 4, np.zeros(100)) is None


def test_a_corrected_interval_can_say_none():
    draws = rng().beta(0.6, 200, 5000)
    low, high = shortest_interval(draws, 300)
    assert low == 0.0
    assert 0.005 < high < 0.03
    assert shortest_interval(1 - draws, 300)[1] == 1.0
    middle = rng().normal(0.5, 0.05, 20_000)
    assert shortest_interval(middle, 300) == pytest.approx([0.402, 0.598], abs=0.01)


def test_p_values_are_uniform_when_groups_do_not_differ():
    generator = rng()
    below = 0
    for _ in range(400):
        person = generator.normal(size=30)
        clusters = np.repeat(np.arange(30), 6)
        values = person[clusters] + generator.normal(size=180)
        groups = np.repeat(np.arange(30) % 2, 6)
        sample = sample_of(np.zeros(180, dtype=int), groups, clusters)
        below += clustered_p(values, groups == 0, groups == 1, sample) < 0.05
    assert 8 <= below <= 34  # 20 expected


def test_groups_that_differ_are_found_and_small_ones_are_not_tested():
    groups = np.repeat([0, 1], 60)
    emotions = np.where(groups == 0, 3, 6)
    emotions[::6] = 0
    sample = sample_of(emotions, groups)
    result = compare_groups(sample, bootstrap(sample, 300, rng()), 5)
    rows = {row["measure"]: row for row in result["rows"]}
    assert set(rows) == {*EMOTIONS, "valence"}
    assert rows["happy"]["significant"]
    assert rows["happy"]["interval"][0] > 0.5
    assert rows["happy"]["effect_word"] == "large"
    assert not rows["angry"]["significant"]
    assert rows["fear"]["p"] is None
    assert "fewer than 5" in rows["fear"]["untested"]
    few = sample_of([3, 3, 3, 3, 0, 0], [0, 0, 0, 0, 1, 1])
    result = compare_groups(few, bootstrap(few, 200, rng()), 5)
    assert result["tests"] == 0
    assert all(row["untested"] for row in result["rows"])


def test_effect_size_by_hand():
    assert cohens_h(0.5, 0.5) == 0
    assert cohens_h(1.0, 0.0) == pytest.approx(np.pi)


def test_clusters_are_numbered_by_name():
    indices, count = encode_clusters(["b", "a", "b"])
    assert (indices.tolist(), count) == ([0, 1, 0], 2)
