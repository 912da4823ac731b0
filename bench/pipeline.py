"""``python -m bench.pipeline --json -``: ms per frame and stage on one core, beside the seed's way.

Both ways read the same 640x480 JPEG frames, one after the other, each in a process of its own on
one core with one thread. The live cycle is what a connection does: a full scan every 0.6 s, the
ninth frame of 15 a second, between scans a search around the faces of the frame before.

``frames_per_s_per_core`` comes from processor time, which other load on the machine disturbs less;
the wall time is given beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from bench.support.output import rounded, write_report
from bench.support.scenes import HEIGHT, WIDTH, camera_jpegs
from webapp.domain import ReadRequest
from webapp.models.registry import Registry

ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
} | {"TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def measure(folder: Path, jpegs: list[bytes], scan_every: int, warm_up: int) -> dict[str, Any]:
    """The live cycle of our pipeline over ``jpegs``, in this process."""
    import cv2
    import numpy as np

    from webapp.domain import Box
    from webapp.vision.pipeline import Pipeline

    cv2.setNumThreads(1)
    pipeline = Pipeline.from_version(folder)
    kinds: dict[str, list[dict[str, float]]] = {"scan": [], "search": []}
    known: list[Box] = []
    faces, wall_ms, cpu_began = 0, 0.0, 0.0
    for index, jpeg in enumerate(jpegs):
        if index == warm_up:
            cpu_began = time.process_time()
        scans = index % scan_every == 0 or not known
        began = time.perf_counter()
        turn = index // scan_every if scans else None
        result = pipeline.analyze(jpeg, request=ReadRequest(known or None, turn=turn))
        ended = time.perf_counter()
        known = [face.box for face in result.faces]
        if index >= warm_up:
            faces += len(known)
            wall_ms += (ended - began) * 1e3
            kinds["scan" if scans else "search"].append(dict(result.timings_ms))
    count = len(jpegs) - warm_up
    return {
        "frames": count,
        "faces_per_frame": faces / count,
        "cpu_ms_per_frame": (time.process_time() - cpu_began) * 1e3 / count,
        "wall_ms_per_frame": wall_ms / count,
        "stages_median_ms": {
            kind: {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
            for kind, rows in kinds.items()
            if rows
        },
    }


def in_child(module: str, arguments: list[str], core: int | None) -> dict[str, Any]:
    """Run a module that prints JSON, alone on one core where the system can pin it."""
    command = [sys.executable, "-m", module, *arguments]
    if core is not None:
        command = [
            sys.executable,
            "-c",
            "import os,sys; os.sched_setaffinity(0,{int(sys.argv[1])}); "
            "os.execv(sys.argv[2], sys.argv[2:])",
            str(core),
            *command,
        ]
    done = subprocess.run(
        command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"{module} failed:\n{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    report["frames_per_s_per_core"] = 1e3 / report["cpu_ms_per_frame"]
    return report


@click.command(help=__doc__)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
@click.option("--model", type=click.Path(path_type=Path), help="Version folder; default ACTIVE.")
@click.option("--models-dir", default="models", show_default=True)
@click.option("--frames", default=200, show_default=True, help="Measured frames of ours.")
@click.option("--seed-frames", default=40, show_default=True, help="Measured frames of the seed's.")
@click.option("--scan-every", default=9, show_default=True, help="Frames from scan to scan.")
@click.option("--skip-seed", is_flag=True, help="Measure only ours.")
@click.option("--worker", type=click.Path(path_type=Path), hidden=True)
def main(
    target: str,
    model: Path | None,
    models_dir: str,
    frames: int,
    seed_frames: int,
    scan_every: int,
    skip_seed: bool,
    worker: Path | None,
) -> None:
    folder = model or Registry(models_dir).active().folder
    warm_up = 2 * scan_every
    if worker is not None:
        jpegs = [path.read_bytes() for path in sorted(worker.glob("*.jpg"))]
        click.echo(json.dumps(measure(folder, jpegs, scan_every, warm_up)))
        return
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else None
    report: dict[str, Any] = {
        "frame": {"width": WIDTH, "height": HEIGHT},
        "model": folder.name,
        "scan_every": scan_every,
        "pinned_to_core": core,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "faces": {},
    }
    for faces in (1, 3):
        with tempfile.TemporaryDirectory() as scratch:
            for index, jpeg in enumerate(camera_jpegs(faces, warm_up + frames)):
                (Path(scratch) / f"{index:05d}.jpg").write_bytes(jpeg)
            arguments = ["--worker", scratch, "--model", str(folder)]
            arguments += ["--scan-every", str(scan_every)]
            row: dict[str, Any] = {"ours": in_child("bench.pipeline", arguments, core)}
            if not skip_seed:
                for path in sorted(Path(scratch).glob("*.jpg"))[warm_up + seed_frames :]:
                    path.unlink()
                row["seed_way"] = in_child("bench.support.seed_way", [scratch, str(warm_up)], core)
                row["times_the_seed_way"] = (
                    row["seed_way"]["cpu_ms_per_frame"] / row["ours"]["cpu_ms_per_frame"]
                )
                row["times_the_seed_way_by_wall"] = (
                    row["seed_way"]["wall_ms_per_frame"] / row["ours"]["wall_ms_per_frame"]
                )
        report["faces"][str(faces)] = row
    write_report(rounded(report), target)


if __name__ == "__main__":
    main()
