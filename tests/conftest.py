"""Shared fixtures, and the rule on skipped tests.

A test may skip only with a reason that begins ``needs NAME:``. ``MIEN_TEST_REQUIRE`` holds names
separated by commas that must not be missing: a skip for one of them, or one that names nothing,
fails the whole run. Continuous integration sets it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import hypothesis
import pytest

from tests.support.data import data_folder, unpack_fer2013
from tests.support.services import postgres_server, redis_server

__all__ = ["postgres_server", "redis_server"]

# no test asserts how long something takes, not even by a library's default
hypothesis.settings.register_profile("mien", deadline=None)
hypothesis.settings.load_profile("mien")

_REQUIRED = {name.strip() for name in os.environ.get("MIEN_TEST_REQUIRE", "").split(",")} - {""}
_refused: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note_skip(report)


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or not _REQUIRED:
        return
    place = report.longrepr
    reason = str(place[2] if isinstance(place, tuple) else place).removeprefix("Skipped: ")
    needed = re.match(r"needs (\w+):", reason)
    if needed is None or needed.group(1) in _REQUIRED:
        _refused.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _refused:
        # a second run of what failed must not make this good
        kept = session.config.rootpath / "test-results" / "refused-skips.txt"
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("\n".join(_refused) + "\n", encoding="utf-8")
        if session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _refused:
        terminalreporter.write_line(f"REFUSED SKIP {line}", red=True)


@pytest.fixture(scope="session")
def fer2013_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FER2013's test folder: one folder per emotion, 48x48 grey PNG."""
    return unpack_fer2013(tmp_path_factory.mktemp("fer2013"), "fer2013/test/") / "test"


@pytest.fixture(scope="session")
def ferplus_csv() -> Path:
    """The table of FER+ votes."""
    folder = data_folder()
    if folder is None or not (folder / "ferplus.csv").is_file():
        pytest.skip("needs data: ferplus.csv was not found; set MIEN_TEST_DATA to its folder")
    return folder / "ferplus.csv"
