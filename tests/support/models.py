"""Tiny but real model versions for tests, without TensorFlow in the test process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from webapp.card import (
    GOLDEN_FILE,
    KERAS_FILE,
    TFLITE_FILE,
    HeadSpec,
    ModelCard,
    sha256_of,
)

_ROOT = Path(__file__).resolve().parents[2]
_CACHE = _ROOT / ".pytest_cache" / "mien-models"
_FILES = (KERAS_FILE, TFLITE_FILE, GOLDEN_FILE)


def make_version(
    folder: Path, version: str = "test-1", seed: int = 0, *, serving_head: str = "ferplus"
) -> Path:
    """Make ``folder/version`` with model.keras, model.tflite, golden.npz and card.json.

    The model is an untrained two-head net (``fer2013``, ``ferplus``) on 48x48 grey crops.
    TensorFlow builds it once per seed in a subprocess; later calls copy from the pytest cache.
    Another ``seed`` gives another model. ``folder`` is a models directory; no ACTIVE file is
    written. Returns the version's folder. Raises FileExistsError where it exists.
    """
    cached = _cached(seed)
    target = Path(folder) / version
    target.mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile(cached / name, target / name)
    outputs = json.loads((cached / "outputs.json").read_text(encoding="utf-8"))
    ModelCard(
        version=version,
        recipe="test",
        created="2026-01-01T00:00:00+00:00",
        heads=tuple(HeadSpec(name, output=index) for name, index in outputs.items()),
        serving_head=serving_head,
        uncertain_below=0.4,
        files={name: sha256_of(target / name) for name in _FILES},
        intended_use="Tests only: the weights are random.",
        limits="Its answers mean nothing.",
    ).save(target)
    return target


def activate(models_dir: Path, version: str) -> None:
    """Write ``ACTIVE`` by hand, for tests that do not test the registry."""
    (Path(models_dir) / "ACTIVE").write_text(version + "\n", encoding="utf-8")


def _cached(seed: int) -> Path:
    sources = (_ROOT / "tests/support/build_tiny.py", _ROOT / "training/litert.py")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    ready = _CACHE / f"{digest}-{seed}"
    if ready.is_dir():
        return ready
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        built = Path(scratch) / "built"
        built.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.build_tiny", str(built), str(seed)],
            cwd=_ROOT,
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"The tiny test model could not be built:\n{done.stderr[-3000:]}")
        try:
            built.rename(ready)
        except OSError:
            # another test process was faster; its files are the same
            if not ready.is_dir():
                raise
    return ready
