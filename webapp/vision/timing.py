"""How long a model version takes for a face on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from webapp.card import GOLDEN_FILE, ModelCard
from webapp.vision.classifier import Classifier

FACES = 300
WARM_UP = 20
LONGEST_S = 5.0


def time_faces(folder: Path, card: ModelCard, faces: int = FACES) -> dict[str, Any]:
    """One face at a time on one thread, as the workers read them; the golden pictures in turn.

    Returns ``{"ms": median, "ms_p95", "cpu_ms": median, "faces": n}``; ``ms`` is what passed,
    ``cpu_ms`` what the processor worked: a busy machine lengthens only the first.
    """
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
    }
