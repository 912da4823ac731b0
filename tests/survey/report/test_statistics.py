from __future__ import annotations

import numpy as np
import pytest

from webapp.domain import EMOTIONS
from webapp.survey.report.compare import (
    clustered_test,
    cohens_h,
    compare_groups,
    holm,
    holm_levels,
)
from webapp.survey.report.statistics import (
    Mean,
    Sample,
    design_effect,
    encode_clusters,
    exact_interval,
    respondent_weights,
    summarise,
    weighted_mean,
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
    everyone = summarise(sample, 2, None, rng())
    happy = everyone["emotions"][3]
    assert (everyone["faces"], happy["count"], happy["share"]) == (4, 3, 0.75)
    assert happy["mean_probability"] == pytest.approx((3 * 0.7 + 0.05) / 4)
    assert happy["corrected"] is None
    expected = (3 * (0.7 - 0.2) + (0.05 - 0.7 - 0.15)) / 4
    assert everyone["valence"]["mean"] == pytest.approx(expected)
    assert sample.valence.mean() == pytest.approx(expected)
    assert [row["count"] for row in everyone["rollup"]] == [3, 1, 0]
    second = summarise(sample, 1, None, rng())
    assert (second["name"], second["faces"], second["emotions"][3]["share"]) == ("B", 2, 0.5)


def test_an_empty_group_and_one_respondent_have_no_interval():
    sample = sample_of([3, 3, 0], [0, 0, 0], [0, 0, 0])
    assert summarise(sample, 1, None, rng())["emotions"] == []
    assert summarise(sample, 0, None, rng())["emotions"][3]["share_interval"] is None


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
    ours = clustered_test(values, first, ~first, sample).p
    student = stats.ttest_ind(values[first], values[~first]).pvalue
    assert ours == pytest.approx(student, rel=0.02)


def test_with_one_face_each_the_score_test_is_pearsons():
    from scipy import stats

    groups = np.repeat([0, 1], 200)
    values = np.concatenate([np.arange(200) < 60, np.arange(200) < 85]).astype(float)
    sample = sample_of(np.zeros(400, dtype=int), groups)
    ours = clustered_test(values, groups == 0, groups == 1, sample, score=True).p
    statistic = stats.chi2_contingency([[60, 140], [85, 115]], correction=False).statistic
    assert ours == pytest.approx(2 * stats.t.sf(np.sqrt(statistic * 399 / 400), 399), rel=1e-6)


def test_with_the_same_people_in_both_the_score_test_is_mcnemars():
    people = np.tile(np.arange(200), 2)
    groups = np.repeat([0, 1], 200)
    # 40 changed one way, 20 the other, 140 not at all
    values = np.concatenate([np.arange(200) < 70, (np.arange(200) >= 40) & (np.arange(200) < 90)])
    sample = sample_of(np.zeros(400, dtype=int), groups, people)
    ours = clustered_test(values.astype(float), groups == 0, groups == 1, sample, score=True).p
    from scipy import stats

    mcnemar = stats.chi2.sf((40 - 20) ** 2 / 60 * 199 / 200, 1)
    assert ours == pytest.approx(mcnemar, rel=1e-6)


def test_a_handful_of_people_who_all_react_alike_prove_what_they_can():
    people = np.tile(np.arange(6), 2)
    groups = np.repeat([0, 1], 6)
    sample = sample_of(np.zeros(12, dtype=int), groups, people)
    always = (groups == 0).astype(float)
    ours = clustered_test(always, groups == 0, groups == 1, sample, score=True).p
    assert ours == pytest.approx(2 / 2**6)
    apart = sample_of(np.zeros(12, dtype=int), groups)
    ours = clustered_test(always, groups == 0, groups == 1, apart, score=True).p
    assert 2 / 924 < ours < 0.01  # 12 over 6 ways to deal six people out


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
        test = clustered_test(values, groups == 0, groups == 1, sample, score=True)
        below += test is not None and test.p < 0.05
    assert below <= 0.08 * tests + 2


def test_p_values_are_uniform_when_groups_do_not_differ():
    generator = rng()
    below = 0
    for _ in range(400):
        person = generator.normal(size=30)
        clusters = np.repeat(np.arange(30), 6)
        values = person[clusters] + generator.normal(size=180)
        groups = np.repeat(np.arange(30) % 2, 6)
        sample = sample_of(np.zeros(180, dtype=int), groups, clusters)
        below += clustered_test(values, groups == 0, groups == 1, sample).p < 0.05
    assert 8 <= below <= 34  # 20 expected


def test_effect_size_by_hand():
    assert cohens_h(0.5, 0.5) == 0
    assert cohens_h(1.0, 0.0) == pytest.approx(np.pi)


def test_clusters_are_numbered_by_name():
    indices, count = encode_clusters(["b", "a", "b"])
    assert (indices.tolist(), count) == ([0, 1, 0], 2)


def shares_of(sample, member=None):
    member = sample.member(2) if member is None else member
    hits = (sample.emotions[:, None] == np.arange(7)).astype(float)
    return [weighted_mean(hits[:, k], sample, member) for k in range(7)]


def test_the_interval_of_a_share_is_wider_when_pictures_come_from_few_people():
    emotions = np.repeat(np.arange(40) % 2 * 3, 10)
    people = np.repeat(np.arange(40), 10)
    width = []
    for clusters in (None, people):
        low, high = shares_of(sample_of(emotions, None, clusters))[3].share_interval()
        width.append(high - low)
    assert width[1] == pytest.approx(width[0] * np.sqrt(10), rel=0.2)


@pytest.mark.parametrize(
    ("people", "pictures", "share"), [(12, 1, 0.3), (12, 6, 0.3), (20, 6, 0.95)]
)
def test_the_interval_of_a_share_covers_it_for_few_people(people, pictures, share):
    generator = rng()
    hits = 0
    for _ in range(300):
        clusters = np.repeat(np.arange(people), pictures)
        own = (generator.random(people) < share)[clusters]
        alike = generator.random(len(clusters)) < np.sqrt(0.5)
        shown = np.where(alike, own, generator.random(len(clusters)) < share)
        sample = sample_of(np.where(shown, 3, 6), None, clusters)
        low, high = shares_of(sample)[3].share_interval()
        hits += low <= share <= high
    assert hits >= 0.9 * 300


def test_the_interval_is_scipys_where_faces_are_independent():
    from scipy import stats

    sample = sample_of([3] * 12 + [6] * 28)
    expected = stats.binomtest(12, 40).proportion_ci(0.95, "exact")
    assert shares_of(sample)[3].share_interval() == pytest.approx(list(expected), abs=0.012)
    assert exact_interval(0.3, 40) == pytest.approx(list(expected), abs=1e-6)


def test_none_and_all_leave_room_for_doubt_and_four_people_have_no_interval():
    nobody = Mean(0.0, 0.0, 40, 240).share_interval()
    assert nobody == pytest.approx([0.0, 0.0881], abs=1e-3)
    assert Mean(1.0, 0.0, 40, 240).share_interval() == pytest.approx([0.9119, 1.0], abs=1e-3)
    assert Mean(0.5, 0.01, 4, 240).share_interval() is None
    assert Mean(0.5, 0.01, 4, 240).interval() is None
    one = sample_of([3, 6, 6], [0, 0, 0], [0, 0, 0])
    assert summarise(one, 0, None, rng())["valence"]["interval"] is None


def test_the_design_effect_of_ten_alike_pictures_for_each_person_is_ten():
    emotions = np.repeat(np.arange(200) % 2 * 3, 10)
    sample = sample_of(emotions, None, np.repeat(np.arange(200), 10))
    assert design_effect(shares_of(sample)) == pytest.approx(10, rel=0.05)
    alike = sample_of([3] * 60, None, np.repeat(np.arange(10), 6))
    assert design_effect(shares_of(alike)) == 6


def test_each_respondent_may_count_once():
    groups = np.array([0] * 100 + [0] * 9 + [1] * 2)
    clusters = np.array([0] * 100 + list(range(1, 10)) + [0, 0])
    weights = respondent_weights(groups, clusters)
    sample = Sample(
        np.eye(7)[[3] * 100 + [6] * 9 + [6, 6]],
        groups,
        clusters,
        np.zeros(111, dtype=bool),
        ("A", "B"),
        10,
        weights,
    )
    happy = summarise(sample, 0, None, rng())["emotions"][3]
    assert happy["share"] == pytest.approx(0.1)
    assert (happy["count"], happy["people"]) == (100, 1)
    assert weights[groups == 1].sum() == pytest.approx(1)


def test_levels_of_holm_agree_with_its_p_values():
    generator = rng()
    for _ in range(200):
        p_values = list(generator.random(8) ** 3)
        for p, level, adjusted in zip(p_values, holm_levels(p_values), holm(p_values), strict=True):
            assert (p < level) == (adjusted < 0.05)


def test_intervals_leave_zero_out_exactly_where_groups_differ():
    generator = rng()
    seen = set()
    for difference in (0.0, 0.1, 0.2, 0.3, 0.9):
        groups = np.repeat([0, 1], 40)
        chance = np.where(groups == 0, 0.05 + difference, 0.05)
        sample = sample_of(np.where(generator.random(80) < chance, 3, 6), groups)
        for row in compare_groups(sample, 5, "happy")["rows"]:
            if row["interval"] is None or row["untested"]:
                continue
            low, high = row["interval"]
            assert row["significant"] == (low > 0 or high < 0)
            seen.add(row["significant"])
    assert seen == {True, False}


def test_groups_that_differ_are_found_and_small_ones_are_not_tested():
    groups = np.repeat([0, 1], 60)
    emotions = np.where(groups == 0, 3, 6)
    emotions[::6] = 0
    result = compare_groups(sample_of(emotions, groups), 5)
    rows = {row["measure"]: row for row in result["rows"]}
    assert set(rows) == {*EMOTIONS, "valence"}
    assert rows["happy"]["significant"]
    assert rows["happy"]["interval"][0] > 0.5
    assert rows["happy"]["effect_word"] == "large"
    assert not rows["angry"]["significant"]
    assert rows["fear"]["p"] is None
    assert "fewer than 5" in rows["fear"]["untested"]


@pytest.mark.parametrize("clusters", [[0] * 8 + [1] * 8, list(range(4)) * 4])
def test_groups_of_few_people_have_neither_test_nor_interval(clusters):
    few = sample_of([3, 6] * 8, [0] * 8 + [1] * 8, clusters)
    result = compare_groups(few, 5)
    assert result["tests"] == 0
    assert all("fewer than 5 people" in row["untested"] for row in result["rows"])
    assert all(row["interval"] is None for row in result["rows"])


def test_the_primary_outcome_is_tested_alone():
    groups = np.repeat([0, 1], 40)
    emotions = np.where(np.arange(80) % 40 < np.where(groups == 0, 19, 8), 3, 6)
    sample = sample_of(emotions, groups)
    alone = {row["measure"]: row for row in compare_groups(sample, 5, "happy")["rows"]}
    together = {row["measure"]: row for row in compare_groups(sample, 5)["rows"]}
    assert alone["happy"]["p_holm"] == pytest.approx(1.25 * alone["happy"]["p"])
    assert alone["happy"]["p_holm"] < together["happy"]["p_holm"]
    # what it leaves to the others, or all where it is clear
    assert alone["neutral"]["significant"] == together["neutral"]["significant"] is True
    nothing = {row["measure"]: row for row in compare_groups(sample, 5, "valence")["rows"]}
    if not nothing["valence"]["significant"]:
        assert nothing["happy"]["p_holm"] > 3 * together["happy"]["p_holm"]
    assert alone["happy"]["primary"] and not alone["valence"]["primary"]


@pytest.mark.parametrize("primary", ["", "happy"])
def test_chance_makes_groups_of_named_people_differ_in_one_survey_of_twenty_at_most(primary):
    generator = rng()
    alarms = 0
    for _ in range(100):
        clusters = np.repeat(np.arange(40), 6)
        own = generator.choice(7, 40, p=[0.05, 0.02, 0.03, 0.3, 0.1, 0.05, 0.45])[clusters]
        other = generator.choice(7, 240, p=[0.05, 0.02, 0.03, 0.3, 0.1, 0.05, 0.45])
        emotions = np.where(generator.random(240) < np.sqrt(0.5), own, other)
        sample = sample_of(emotions, (clusters % 2).astype(int), clusters)
        alarms += any(row["significant"] for row in compare_groups(sample, 5, primary)["rows"])
    assert alarms <= 0.05 * 100 + 4
