"""Tiny but real model versions for tests, without TensorFlow in the test process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support.built import built_once
from webapp.card import (
    GOLDEN_FILE,
    KERAS_FILE,
    TFLITE_FILE,
    HeadSpec,
    ModelCard,
    sha256_of,
)

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


def server_environment(folder: Path, **more: str) -> dict[str, str]:
    """Make and activate a version in ``folder``; the variables for a server of one worker there."""
    make_version(folder / "models")
    activate(folder / "models", "test-1")
    return {
        "MIEN_MODELS_DIR": str(folder / "models"),
        "MIEN_INSTANCE_DIR": str(folder / "instance"),
        "MIEN_WORKERS": "1",
    } | more


def _cached(seed: int) -> Path:
    sources = ("tests/support/build_tiny.py", "training/litert.py")
    return built_once("mien-models", "tests.support.build_tiny", str(seed), sources=sources)
