"""The short form of ``bench.fuzz``, and that it would notice."""

from __future__ import annotations

import pytest

from bench import fuzz
from bench.support.fuzz_api import Findings, judge, one_shape

pytestmark = pytest.mark.slow


def test_nothing_unexpected_ends_in_an_internal_error() -> None:
    report = fuzz.run(messages=120, uploads=80, examples=1, seed=3)
    assert {name: report[name]["broken"] for name in ("sockets", "uploads", "interface")} == {
        "sockets": {},
        "uploads": {},
        "interface": {},
    }
    assert report["ok"], report
    assert report["sent"] > 220
    assert report["sockets"]["statuses"]["answered"] > 0
    assert report["uploads"]["statuses"]["POST /api/v1/analyze 200"] > 0


class Answer:
    def __init__(self, status_code: int, body: object) -> None:
        self.status_code, self._body = status_code, body

    def json(self) -> object:
        return self._body


def test_a_wrong_answer_is_noticed() -> None:
    good = {"error": {"code": "x", "message": "y", "detail": {}}}
    assert one_shape(good)
    assert not one_shape({"error": "x"})
    findings = Findings()
    judge(findings, "GET /", Answer(404, good), "")
    assert not findings.broken
    judge(findings, "GET /", Answer(500, good), "")
    judge(findings, "GET /", Answer(400, {"message": "no"}), "")
    assert set(findings.broken) == {
        "GET /: status 500",
        "GET /: error 400 in another shape",
    }
