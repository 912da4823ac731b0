"""The short form of ``make faults``: every fault costs what it has to and nothing more."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from bench import faults
from bench.support import fault_services
from bench.support.fault_world import Row, World, ended_early, not_tried
from bench.support.services import Missing
from bench.support.witness import Memory

pytestmark = pytest.mark.slow

# faketime and mount are wished for, and no run is refused for want of them
REQUIRED = {name.strip() for name in os.environ.get("MIEN_TEST_REQUIRE", "").split(",")}


def page_of(*rows: Row) -> str:
    told: dict[str, Any] = dict.fromkeys(("date", "cores", "load_before"), 1)
    told |= {"workers": 2, "load_1min": 0.1, "python": "3", "worker_hang_ms": 1}
    return faults.markdown({"rows": [row.to_json() for row in rows], "conditions": told})


def test_every_fault_is_survived() -> None:
    report = faults.run(short=True)
    rows = report["rows"]
    assert [row for row in rows if not row["ok"]] == []
    assert len(rows) == len(faults.fault_live.CASES) + len(faults.OTHERS)
    absent = [row["needs"].removeprefix("needs ").partition(":")[0] for row in rows if row["needs"]]
    assert not REQUIRED & set(absent)
    table = faults.markdown(report)
    assert all(row["fault"] in table for row in rows)
    assert "not as it should be" not in table


def test_a_row_that_is_not_ok_shows_in_the_table() -> None:
    page = page_of(Row("fire", "a match", "smoke", "the house", 1.5, ok=False))
    assert "smoke **not as it should be** | the house | 1.50 |" in page


def test_what_cannot_be_tried_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_args: object) -> Row:
        raise Missing("needs redis: redis-server is not installed")

    monkeypatch.setattr(faults, "OTHERS", ((fault_services.REDIS, absent),))
    (row,) = faults.other_rows(True, lambda _name: None)
    assert row == not_tried(fault_services.REDIS, "needs redis: redis-server is not installed")
    assert "not tried here: needs redis: redis-server is not installed" in page_of(row)


def test_a_case_that_ends_early_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> Row:
        raise TimeoutError("waited 60 s for the analysis")

    monkeypatch.setattr(faults, "OTHERS", (("fire", broken),))
    (row,) = faults.other_rows(True, lambda _name: None)
    assert not row.ok
    assert "TimeoutError: waited 60 s for the analysis (test_faults.py:" in row.seen
    said = ended_early("fire", TimeoutError("x"), ["one\n", "a|b\n"])
    assert "the server said last: one / a/b" in said.seen


def test_a_witness_that_cannot_go_on_says_why() -> None:
    memory = Memory([(0.0, None), (1.0, "internal")], failed="KeyError: 'faces'")
    with tempfile.TemporaryDirectory() as folder:
        world = World(None, memory, Path(folder), True, 2)  # type: ignore[arg-type]
        with pytest.raises(TimeoutError, match=r"\['result', 'internal'\].*KeyError: 'faces'"):
            world.settle()
