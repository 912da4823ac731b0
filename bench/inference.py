"""What the way through a worker process costs: the pipeline called directly and by the service.

``python -m bench.inference [--version-folder DIR] [--requests N] --json -`` prints, for a plain
process and for one that is monkey-patched by eventlet, milliseconds per request of one caller
after the other, the throughput of several callers, and how long a killed worker is away.

``wait`` is what the service adds: everything but the worker's own time on the picture. On a busy
machine it is mostly the time until the processes get a core. ``empty_pipeline_ms`` is the whole
round trip of the same picture to a pipeline that does nothing, which suffers less from that.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.support.output import write_report

ROOT = Path(__file__).resolve().parent.parent
MODES = ("direct", "plain", "eventlet")
WARM_UP = 20
CALLERS = 8
KILLS = 5


def scene_jpeg(target_bytes: int = 20_000) -> bytes:
    """A 640x480 JPEG of about ``target_bytes`` with one face (NASA's astronaut)."""
    import cv2
    from skimage import data

    picture = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)[:384]  # type: ignore[no-untyped-call]
    picture = cv2.resize(picture, (640, 480), interpolation=cv2.INTER_AREA)
    quality = 95
    while quality > 5:
        encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(encoded) <= target_bytes:
            break
        quality -= 1
    return bytes(encoded)


def summary(values_ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values_ms, n=100)
    return {
        "mean": round(statistics.fmean(values_ms), 3),
        "p10": round(cuts[9], 3),
        "p50": round(cuts[49], 3),
        "p95": round(cuts[94], 3),
        "p99": round(cuts[98], 3),
    }


def measure_direct(folder: Path, jpeg: bytes, requests: int) -> dict[str, Any]:
    """The pipeline in this process, set up as in a worker."""
    from webapp.inference.worker import limit_native_threads

    limit_native_threads()
    from webapp.vision.pipeline import Pipeline

    pipeline = Pipeline.from_version(folder)
    for _ in range(WARM_UP):
        pipeline.analyze(jpeg)
    took = []
    for _ in range(requests):
        began = time.perf_counter()
        pipeline.analyze(jpeg)
        took.append((time.perf_counter() - began) * 1e3)
    return {"request_ms": summary(took)}


def measure_service(folder: Path, jpeg: bytes, requests: int) -> dict[str, Any]:
    """The service in this process, patched or not, with one worker."""
    import threading

    from webapp.errors import WorkerCrashed
    from webapp.inference.client import InferenceService
    from webapp.settings import Settings

    service = InferenceService(Settings(workers=1, inference_timeout_ms=60_000), folder)
    began = time.perf_counter()
    service.start()
    report: dict[str, Any] = {"start_ms": round((time.perf_counter() - began) * 1e3, 1)}
    try:
        for _ in range(WARM_UP):
            service.analyze(jpeg)
        took, waits = [], []
        for _ in range(requests):
            began = time.perf_counter()
            result = service.analyze(jpeg)
            took.append((time.perf_counter() - began) * 1e3)
            waits.append(result.timings_ms["wait"])
        report |= {"request_ms": summary(took), "wait_ms": summary(waits)}

        def call() -> None:
            for _ in range(requests // CALLERS):
                service.analyze(jpeg)

        threads = [threading.Thread(target=call) for _ in range(CALLERS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        report["results_per_s"] = round(requests // CALLERS * CALLERS / seconds, 1)
        report["callers"] = CALLERS

        away = []
        for _ in range(KILLS):
            pid = service.status()[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            began = time.perf_counter()
            while True:
                # a request that reaches the worker while it dies is lost with it
                with suppress(WorkerCrashed):
                    service.analyze(jpeg)
                    break
            away.append(round((time.perf_counter() - began) * 1e3, 1))
        report["killed_to_result_ms"] = away
        report["worker_rss_mb"] = service.status()[0].rss_mb
    finally:
        service.stop()
    return report


class EmptyPipeline:
    """Reads nothing: what is left is the way there and back."""

    version = "empty"

    def __init__(self, folder: Path, *, max_pixels: int) -> None:
        del folder, max_pixels

    def analyze(self, image: bytes, **options: Any) -> Any:
        from webapp.domain import Box, EmotionScores, Face, FrameResult

        del image, options
        scores = EmotionScores((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
        face = Face(Box(0, 0, 1, 1), 1.0, scores, scores, "happy")
        return FrameResult(640, 480, self.version, (face,), {"total": 0.0})


def measure_empty(folder: Path, jpeg: bytes, requests: int) -> dict[str, Any]:
    """The round trip alone, and the CPU time it takes in this process."""
    from webapp.inference.client import InferenceService
    from webapp.settings import Settings

    settings = Settings(workers=1, inference_timeout_ms=60_000)
    service = InferenceService(settings, folder, pipeline="bench.inference:EmptyPipeline")
    service.start()
    try:
        for _ in range(WARM_UP):
            service.analyze(jpeg)
        took = []
        cpu_began = time.process_time()
        for _ in range(requests):
            began = time.perf_counter()
            service.analyze(jpeg)
            took.append((time.perf_counter() - began) * 1e3)
        cpu_ms = (time.process_time() - cpu_began) * 1e3 / requests
    finally:
        service.stop()
    return {"empty_pipeline_ms": summary(took), "web_process_cpu_ms": round(cpu_ms, 3)}


def run_mode(mode: str, folder: Path, requests: int, jpeg: bytes) -> dict[str, Any]:
    """Measure one mode in a process of its own, because patching cannot be undone."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.inference", "--mode", mode),
            *("--version-folder", str(folder), "--requests", str(requests)),
        ],
        cwd=ROOT,
        input=jpeg,
        stdout=subprocess.PIPE,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version-folder", type=Path, help="default: the active version")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--json", default="-", help="file, or - for standard output")
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        if options.mode == "eventlet":
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
                import eventlet
            eventlet.monkey_patch()
        jpeg = sys.stdin.buffer.read()
        if options.mode == "direct":
            found = measure_direct(options.version_folder, jpeg, options.requests)
        else:
            found = measure_empty(options.version_folder, jpeg, 4 * options.requests)
            found |= measure_service(options.version_folder, jpeg, options.requests)
        print(json.dumps(found))
        return 0
    folder = options.version_folder
    if folder is None:
        from webapp.models.registry import Registry
        from webapp.settings import Settings

        folder = Registry(Settings.from_environment().models_path).active().folder
    jpeg = scene_jpeg()
    report: dict[str, Any] = {
        "picture": {"width": 640, "height": 480, "bytes": len(jpeg)},
        "version": folder.name,
        "requests": options.requests,
        "load_average": [round(v, 2) for v in os.getloadavg()],
    }
    for mode in MODES:
        report[mode] = run_mode(mode, folder.absolute(), options.requests, jpeg)
    for mode in ("plain", "eventlet"):
        added = report[mode]["request_ms"]["p50"] - report["direct"]["request_ms"]["p50"]
        report[mode]["added_to_direct_p50_ms"] = round(added, 3)
    write_report(report, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
