"""What connected pages are told when workers come and go."""

from __future__ import annotations

import pytest

from webapp.live.changes import Changes, Serving


def told(*looks: tuple[str, int, int], total: int = 1) -> list[tuple[str, int]]:
    """Reasons and ready workers told over looks of (model, ready, restarts)."""
    changes: Changes | None = None
    found: list[tuple[str, int]] = []
    for model, ready, restarts in looks:
        now = Serving(model, ready, total, restarts)
        if changes is None:
            changes = Changes(now)
        else:
            found += [(s["reason"], s["workers"]["ready"]) for s in changes.look(now)]
    return found


def test_nothing_is_told_when_nothing_changed() -> None:
    assert told(("a", 1, 0), ("a", 1, 0), ("a", 1, 0)) == []


def test_a_worker_that_is_back_between_two_looks_is_told() -> None:
    assert told(("a", 1, 0), ("a", 1, 1), ("a", 1, 1)) == [("workers_lost", 0), ("workers_back", 1)]


@pytest.mark.parametrize("counted_at", [1, 2, 3])
def test_a_loss_is_told_once_whenever_the_restart_is_counted(counted_at: int) -> None:
    looks = [("a", ready, int(i >= counted_at)) for i, ready in enumerate([1, 0, 0, 1, 1])]
    assert told(*looks) == [("workers_lost", 0), ("workers_back", 1)]


def test_one_of_two_falls_while_the_other_comes_back() -> None:
    looks = [("a", 2, 0), ("a", 1, 1), ("a", 1, 2), ("a", 2, 2), ("a", 2, 2)]
    assert told(*looks, total=2) == [
        ("workers_lost", 1),
        ("workers_lost", 0),
        ("workers_back", 1),
        ("workers_back", 2),
    ]


def test_a_worker_that_keeps_failing_is_told_once() -> None:
    assert told(("a", 1, 0), ("a", 0, 1), ("a", 0, 2), ("a", 0, 5)) == [("workers_lost", 0)]


def test_a_planned_replacement_hides_no_later_crash() -> None:
    looks = [("a", 1, 0), ("a", 0, 0), ("a", 1, 0), ("a", 1, 1)]
    assert told(*looks) == [("workers_lost", 0), ("workers_back", 1)] * 2


def test_another_model_is_told() -> None:
    assert told(("a", 1, 0), ("b", 1, 0)) == [("model_changed", 1)]
