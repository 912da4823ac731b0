"""The way the seed of this project reads a frame, for comparison: run by ``bench.pipeline``.

Every frame is decoded in colour, scanned at full size by dlib's frontal detector as it is, and
its faces go as 96x96x3 through the seed's network with Keras' ``model.predict``. The weights are
random: speed does not depend on them. A frame's faces are predicted in one call, which favours
this way over one call for each.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

SIDE = 96


def measure(jpegs: list[bytes], warm_up: int) -> dict[str, Any]:
    """Milliseconds per frame, wall and processor time, by stage."""
    import cv2
    import dlib
    import numpy as np
    import tensorflow as tf

    from training.recipes.classic import build_seed

    cv2.setNumThreads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network, detector = build_seed(), dlib.get_frontal_face_detector()
    stages: dict[str, list[float]] = {"decode": [], "detect": [], "classify": [], "total": []}
    faces = 0
    cpu_began = 0.0
    for index, jpeg in enumerate(jpegs):
        if index == warm_up:
            cpu_began = time.process_time()
        marks = [time.perf_counter()]
        frame = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        marks.append(time.perf_counter())
        if frame is None:
            raise RuntimeError("OpenCV could not read a JPEG.")
        boxes = detector(frame, 0)
        marks.append(time.perf_counter())
        crops = [
            cv2.resize(
                frame[max(0, b.top()) : b.bottom() + 1, max(0, b.left()) : b.right() + 1],
                (SIDE, SIDE),
            )
            for b in boxes
        ]
        if crops:
            network.predict(np.stack(crops).astype(np.float32), verbose=0)
        marks.append(time.perf_counter())
        if index >= warm_up:
            faces += len(crops)
            spans = [b - a for a, b in pairwise(marks)]
            for name, seconds in zip(stages, [*spans, sum(spans)], strict=True):
                stages[name].append(seconds * 1e3)
    count = len(jpegs) - warm_up
    return {
        "frames": count,
        "faces_per_frame": faces / count,
        "cpu_ms_per_frame": (time.process_time() - cpu_began) * 1e3 / count,
        "wall_ms_per_frame": sum(stages["total"]) / count,
        "stages_median_ms": {name: float(np.median(values)) for name, values in stages.items()},
        "parameters": int(network.count_params()),
    }


def main(arguments: list[str]) -> int:
    """``python -m bench.support.seed_way FOLDER WARM_UP``: a folder of JPEGs, ordered by name."""
    jpegs = [path.read_bytes() for path in sorted(Path(arguments[0]).glob("*.jpg"))]
    sys.stdout.write(json.dumps(measure(jpegs, int(arguments[1]))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
