"""``make audit``: what it says where the lists answer, and where they cannot be reached."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.data import REPOSITORY
from tools import audit

FIXED = {"id": "PYSEC-1", "fix_versions": ["2.0"]}
OPEN = {"id": "PYSEC-2", "fix_versions": []}
CLEAN = {"metadata": {"vulnerabilities": {"total": 0}}, "vulnerabilities": {}}


def python(*weaknesses: dict[str, Any]) -> dict[str, Any]:
    one = {"name": "a", "version": "1.0", "vulns": list(weaknesses)}
    return {"dependencies": [one, {"name": "b", "skip_reason": "no answer"}]}


def browser(fix: bool) -> dict[str, Any]:
    row = {"severity": "high", "range": "<2", "fixAvailable": fix}
    return {"metadata": {"vulnerabilities": {"total": 1}}, "vulnerabilities": {"c": row}}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any], None]:
    def set_answers(python_says: Any, browser_says: Any) -> None:
        def ask(command: list[str]) -> Any:
            return python_says if "pip_audit" in command else browser_says

        monkeypatch.setattr(audit, "ask", ask)

    return set_answers


@pytest.mark.parametrize(
    ("python_says", "browser_says", "status", "words"),
    [
        (python(), CLEAN, 0, "Python: 1 of 2 packages looked up, 0 weaknesses"),
        (python(FIXED), CLEAN, 1, "a 1.0: PYSEC-1, mended in 2.0"),
        (python(OPEN), CLEAN, 0, "a 1.0: PYSEC-2, mended in no version yet"),
        (python(), browser(True), 1, "c: high, in <2, mended"),
        (python(), browser(False), 0, "Browser: 1 weaknesses"),
        (None, CLEAN, 0, "Python: not looked up"),
        ({"dependencies": []}, {"message": "ENOTFOUND"}, 0, "Browser: not looked up"),
    ],
)
def test_what_it_says_and_whether_it_fails(
    answers: Callable[[Any, Any], None],
    capsys: pytest.CaptureFixture[str],
    python_says: Any,
    browser_says: Any,
    status: int,
    words: str,
) -> None:
    answers(python_says, browser_says)
    assert audit.main() == status
    said = capsys.readouterr().out
    assert words in said
    assert ("needs a network" in said) == ("not looked up" in said)


def test_an_audit_that_says_nothing_readable_is_no_answer() -> None:
    assert audit.ask([sys.executable, "-c", "print('no JSON')"]) is None
    assert audit.ask([sys.executable, "-c", "import sys; sys.exit(3)"]) is None


def test_continuous_integration_runs_it() -> None:
    assert "make audit" in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
