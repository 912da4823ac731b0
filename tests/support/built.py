"""Files that a program of its own builds once; later tests take them from the pytest cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERAS_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}


def built_once(name: str, module: str, *arguments: str, sources: tuple[str, ...]) -> Path:
    """The folder that ``python -m module FOLDER arguments`` filled, kept for these ``sources``."""
    digest = hashlib.sha256(b"".join((ROOT / source).read_bytes() for source in sources))
    cache = ROOT / ".pytest_cache" / name
    ready = cache / "-".join((digest.hexdigest()[:12], *arguments))
    if ready.is_dir():
        return ready
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        built = Path(scratch) / "built"
        built.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", module, str(built), *arguments],
            cwd=ROOT, env=os.environ | KERAS_ENVIRONMENT, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{module} failed:\n{done.stderr[-3000:]}")
        try:
            built.rename(ready)
        except OSError:
            if not ready.is_dir():  # another test process was faster; its files are the same
                raise
    return ready
