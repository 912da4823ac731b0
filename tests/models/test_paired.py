"""Two versions on the same faces: intervals, McNemar's test, and words for older cards."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from webapp.models.paired import compared, mcnemar, wilson, with_verdict


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (31, 100), (3072, 3589)])
def test_intervals_are_wilsons(right: int, n: int) -> None:
    known = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right / n, n) == pytest.approx((known.low, known.high), abs=1e-6)


@pytest.mark.parametrize("pairs", [(0, 0), (0, 1), (9, 9), (3, 14), (400, 520), (2500, 2400)])
def test_the_test_is_mcnemars(pairs: tuple[int, int]) -> None:
    known = binomtest(pairs[0], sum(pairs)).pvalue if sum(pairs) else 1.0
    assert mcnemar(*pairs) == pytest.approx(known, rel=1e-9)


def test_pairs_tell_apart_what_intervals_alone_cannot() -> None:
    alone = compared(1000, 0.60, 0.63, None)
    paired = compared(1000, 0.60, 0.63, (10, 40))
    assert (alone["verdict"], alone["p_value"]) == ("unclear", None)
    assert paired["verdict"] == "better"
    low, high = paired["difference_interval"]
    assert 0 < low < 0.03 < high
    assert compared(1000, 0.63, 0.60, (40, 10))["verdict"] == "worse"
    assert compared(1000, 0.60, 0.601, (50, 51))["verdict"] == "unclear"
    assert compared(1000, 0.20, 0.80, None)["verdict"] == "better"


def test_a_card_without_pairs_is_judged_by_its_intervals() -> None:
    card = {"faces": 200, "accuracy_active": 0.629, "accuracy_candidate": 0.554, "agreement": 0.9}
    found = with_verdict(card)
    assert found is not None
    assert found["verdict"] == "unclear"
    assert found["interval_active"][0] < 0.629 < found["interval_active"][1]
    assert with_verdict({"error": "it cannot be read"}) is None
    assert with_verdict(card | {"faces": 0}) is None
    assert with_verdict(card | {"faces": "many"}) is None
    assert with_verdict(card | {"verdict": "better"}) == card | {"verdict": "better"}
