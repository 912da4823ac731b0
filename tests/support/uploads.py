"""The files of ``build_uploads`` from the pytest cache, and ZIPs made on the spot."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

from webapp.domain import EMOTIONS

ROOT = Path(__file__).resolve().parents[2]
_CACHE = ROOT / ".pytest_cache" / "mien-uploads"
KERAS_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}


def upload_files() -> Path:
    """The folder with everything that ``tests.support.build_uploads`` writes; built once."""
    source = ROOT / "tests/support/build_uploads.py"
    ready = _CACHE / hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    if ready.is_dir():
        return ready
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        built = Path(scratch) / "built"
        built.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.build_uploads", str(built)],
            cwd=ROOT,
            env=os.environ | KERAS_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"The uploads could not be built:\n{done.stderr[-3000:]}")
        try:
            built.rename(ready)
        except OSError:
            if not ready.is_dir():  # another test process was faster
                raise
    return ready


def zip_of(folder: Path, prefix: str = "") -> bytes:
    """A folder as a ZIP."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.writestr(f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())
    return buffer.getvalue()


def faces_zip(each: int = 3, leave_out: str | None = None) -> bytes:
    """A ZIP with ``each`` noisy pictures in a folder for every emotion."""
    rng = np.random.default_rng(5)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for emotion in EMOTIONS:
            for index in range(each if emotion != leave_out else 0):
                coarse = rng.integers(0, 255, (6, 6), np.uint8).repeat(8, 0).repeat(8, 1)
                _, png = cv2.imencode(".png", coarse)
                target.writestr(f"faces/{emotion}/{index}.png", png.tobytes())
    return buffer.getvalue()
