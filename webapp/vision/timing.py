"""Checks a model version and times it: ``python -m webapp.vision.timing FOLDER`` prints JSON.

A process of its own, because the web process never loads a model. One face at a time on one
thread, as the workers do it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from webapp.card import GOLDEN_FILE, ModelCard, sha256_of
from webapp.errors import MienError, ModelInvalid
from webapp.sandbox import confine
from webapp.vision.classifier import MAX_MEMORY_MB, Classifier, check_golden

FACES = 300
WARM_UP = 20
LONGEST_S = 5.0


def measure(folder: Path, faces: int = FACES) -> dict[str, Any]:
    """The version's files compared with its card, its golden pictures, and milliseconds a face.

    Returns ``{"ms": median, "ms_p95", "cpu_ms": median, "faces": n, "size_bytes", "difference"}``;
    ``ms`` is what passed, ``cpu_ms`` what the processor worked: a busy machine lengthens only the
    first. Raises :class:`ModelInvalid` saying what does not fit.
    """
    card = ModelCard.load(folder)
    for name, expected in sorted(card.files.items()):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ModelInvalid(f"It lacks {name}, which its card names.", file=name)
        if sha256_of(path) != expected:
            raise ModelInvalid(f"{name} was changed or damaged: its hash differs.", file=name)
    differences = check_golden(folder)
    classifier = Classifier.from_version(folder, card)
    with np.load(folder / GOLDEN_FILE, allow_pickle=False) as golden:
        crops = np.asarray(golden["inputs"], np.float32)
    wall: list[float] = []
    cpu: list[float] = []
    until = time.perf_counter() + LONGEST_S
    for number in range(faces + WARM_UP):
        crop = crops[number % len(crops)][None]
        began, began_cpu = time.perf_counter(), time.process_time()
        classifier.logits(crop)
        if number >= WARM_UP:
            cpu.append(time.process_time() - began_cpu)
            wall.append(time.perf_counter() - began)
        if wall and time.perf_counter() > until:
            break
    return {
        "ms": round(float(np.median(wall)) * 1000, 3),
        "ms_p95": round(float(np.percentile(wall, 95)) * 1000, 3),
        "cpu_ms": round(float(np.median(cpu)) * 1000, 3),
        "faces": len(wall),
        "difference": max(differences.values()),
    }


def main(arguments: list[str]) -> int:
    """Prints :func:`measure`, or the error in its one shape."""
    try:
        report = measure(Path(arguments[0]))
    except MienError as error:
        report = error.to_json()
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    confine(memory_mb=MAX_MEMORY_MB)
    raise SystemExit(main(sys.argv[1:]))
