"""A module run as a process: what it prints, and what is said where it fails or takes too long."""

from __future__ import annotations

import pytest

from webapp.errors import MienError
from webapp.web.child_process import json_from_process

PART = "webapp.survey.report.part"


def test_what_it_prints_is_returned() -> None:
    printed = json_from_process("json.tool", ["package.json"], "sqlite://", 60.0)
    assert "dependencies" in printed


def test_the_last_line_of_a_failure_is_said() -> None:
    with pytest.raises(MienError, match=r"could not be made: .*--instance"):
        json_from_process(PART, [], "sqlite://", 60.0)


def test_one_that_takes_too_long_is_ended() -> None:
    with pytest.raises(MienError, match="took longer than 0 s"):
        json_from_process(PART, ["--help"], "sqlite://", 0.0)
