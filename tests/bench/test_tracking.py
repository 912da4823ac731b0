"""Identities in generated scenes, by the tracker alone on boxes with a detector's errors."""

from __future__ import annotations

import numpy as np
import pytest

from bench.support.crowds import Scene, scenes, truth
from bench.tracking import scores, simulated
from webapp.domain import Box

FPS = 15.0


def scene(name: str, seed: int) -> Scene:
    return next(s for s in scenes(np.random.default_rng(seed)) if s.name == name)


@pytest.mark.parametrize("name", ["crossing", "occlusion", "occlusion_while_moving"])
def test_numbers_are_kept(name: str) -> None:
    for seed in range(3):
        found = scores(simulated(scene(name, seed), FPS, seed))
        assert (found["ids_kept"], found["num_switches"]) == (1, 0), seed
        assert found["idf1"] > 0.95


def test_another_person_gets_another_number() -> None:
    found = scores(simulated(scene("one_leaves_another_comes", 1), FPS, 1))
    assert found["ids_kept"] == 1


def test_the_score_sees_a_switch_and_a_ghost() -> None:
    left, right = Box(0, 0, 100, 100), Box(300, 0, 400, 100)
    switched = [({1: left}, {1: left}), ({1: left}, {2: left})]
    assert scores(switched)["num_switches"] == 1
    assert scores(switched)["ids_kept"] == 0
    ghost = scores([({1: left}, {1: left, 2: right})] * 2)
    assert ghost["num_false_positives"] == 2
    assert ghost["mota"] == 0


def test_a_hidden_person_is_expected_from_nobody() -> None:
    hidden = scene("occlusion", 1)
    assert [sorted(truth(hidden, t)) for t in (1.0, 2.5, 3.5)] == [[1, 2], [2], [1, 2]]
