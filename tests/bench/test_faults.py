"""The short form of ``make faults``: every fault costs what it has to and nothing more."""

from __future__ import annotations

from bench import faults
from bench.fault_world import Row


def test_every_fault_is_survived() -> None:
    report = faults.run(short=True)
    wrong = [row for row in report["rows"] if not row["ok"]]
    assert wrong == []
    assert len(report["rows"]) >= 9
    table = faults.markdown(report)
    assert all(row["fault"] in table for row in report["rows"])
    assert "not as it should be" not in table


def test_a_row_that_is_not_ok_shows_in_the_table() -> None:
    row = Row("fire", "a match", "smoke", "the house", 1.5, ok=False).to_json()
    report = {"rows": [row], "conditions": dict.fromkeys(("date", "cores"), 1)}
    report["conditions"] |= {"workers": 2, "load_1min": 0.1, "python": "3", "worker_hang_ms": 1}
    assert "**not as it should be**" in faults.markdown(report)
