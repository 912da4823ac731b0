"""The rule on skipped tests itself, run in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.data import REPOSITORY


@pytest.mark.parametrize(
    ("require", "reason", "status"),
    [
        ("data", "needs data: not there", 1),
        ("browser", "needs data: not there", 0),
        ("browser", "because", 1),
        ("", "because", 0),
    ],
)
def test_a_skip_for_something_required_fails_the_run(
    tmp_path: Path, require: str, reason: str, status: int
) -> None:
    test = tmp_path / "test_one.py"
    test.write_text(f"import pytest\ndef test_skips():\n    pytest.skip({reason!r})\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider",
         "--rootdir", str(tmp_path), "-c", os.devnull, str(test)],
        cwd=REPOSITORY, env=os.environ | {"MIEN_TEST_REQUIRE": require},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == status, run.stdout + run.stderr
    assert ("REFUSED SKIP" in run.stdout) == bool(status)
