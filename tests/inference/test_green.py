"""Under eventlet's monkey-patching a waiting caller does not stop the web process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_service_is_green_under_eventlet(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.green_service", str(tmp_path)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not greened" not in done.stderr
    assert json.loads(done.stdout) == {
        "held": "first",
        "many": 50,
        "killed": "worker_crashed",
        "behind": 1,
        "reloaded": "second",
        "late": "inference_timeout",
        "after": 1,
        "left": 0,
    }
