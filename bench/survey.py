"""``python -m bench.survey --images 500 --json -``: pictures/s of a survey, beside the seed's way.

A survey of 640x480 pictures with one face each goes the whole way: uploaded to the store, analysed
by a job with inference workers, reported and exported. Pictures differ in content, so that none is
a duplicate. The seed's way (full-size colour detection, its network through ``model.predict``)
reads some of the same pictures in one process with one thread.

Wall times suffer from other load on the machine, so processor time per picture is given beside
them, and the load average with both.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import psutil

from bench.pipeline import in_child
from bench.support.output import rounded, write_report
from bench.support.scenes import HEIGHT, WIDTH, camera_jpegs, marked
from webapp.database.store import Store
from webapp.inference.client import InferenceService
from webapp.models.registry import Registry
from webapp.settings import Settings
from webapp.survey.analysis.progress import Progress
from webapp.survey.analysis.runner import JobRunner
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.intake.uploads import Uploads
from webapp.survey.ledger import ledger_of
from webapp.survey.report.build import build_in_process
from webapp.survey.report.facts import model_facts

DIFFERENT = 200
WARM_UP = 10


def megabytes(processes: list[psutil.Process]) -> float:
    """Resident memory of all together, in MB."""
    total = 0.0
    for process in processes:
        try:
            total += process.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue
    return total


def cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


class MemoryLog:
    """Resident memory of this process and its workers at each tenth of the job."""

    def __init__(self, processes: Callable[[], list[psutil.Process]]) -> None:
        self._processes = processes
        self.marks: dict[int, float] = {}

    def note(self, progress: Progress) -> None:
        tenth = 10 * progress.done // max(1, progress.total)
        if progress.state == "running" and tenth not in self.marks:
            self.marks[tenth] = megabytes(self._processes())


def family() -> list[psutil.Process]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def measure(folder: Path, jpegs: list[bytes], images: int, workers: int) -> dict[str, Any]:
    """One survey of ``images`` pictures from upload to report."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(instance_dir=scratch, workers=workers)
        store = Store(f"sqlite:///{scratch}/mien.db")
        store.migrate()
        catalog = Catalog(store, Path(scratch))
        survey = catalog.create(NewSurvey("Benchmark", "model", True, ("A", "B")))
        uploads = Uploads(catalog, settings)
        began = time.perf_counter()
        for number in range(images):
            data = io.BytesIO(marked(jpegs[number % len(jpegs)], number))
            uploads.receive(survey.id, "AB"[number % 2], f"{number}.jpg", data)
        uploaded = time.perf_counter()
        service = InferenceService(settings, folder)
        service.start()
        spans: dict[str, float] = {}
        memory = MemoryLog(family)

        def report(job: Any) -> None:
            spans["analysed"] = time.perf_counter()
            spans["cpu"] = cpu_seconds(family())
            build_in_process(store, Path(scratch), job, settings)

        runner = JobRunner(
            catalog, settings, lambda _version: nullcontext(service), report, memory.note
        )
        job = runner.jobs.start(
            survey.id, model_facts(Registry(folder.parent).get(folder.name).card)
        )
        cpu_before = cpu_seconds(family())
        started = time.perf_counter()
        try:
            runner.run_one()
        finally:
            service.stop()
        ended = time.perf_counter()
        with store.session() as session:
            ledger = ledger_of(session, survey.id, job.id)
        store.close()
        seconds = spans["analysed"] - started
        cpu_ms = 1e3 * (spans["cpu"] - cpu_before) / images
        return {
            "images": images,
            "workers": workers,
            "used": ledger.counts["used"],
            "ledger_adds_up": ledger.adds_up,
            "uploads_per_s": images / (uploaded - began),
            "pictures_per_s": images / seconds,
            "cpu_ms_per_picture": cpu_ms,
            "pictures_per_s_of_two_free_cores": 2e3 / cpu_ms,
            "report_s": ended - spans["analysed"],
            "memory_mb_by_tenth": {str(k): round(v, 1) for k, v in sorted(memory.marks.items())},
            "threads_left": threading.active_count(),
        }


@click.command(help=__doc__)
@click.option("--images", default=500, show_default=True)
@click.option("--json", "target", default="-", help="File for the report; - is standard output.")
@click.option("--model", type=click.Path(path_type=Path), help="Version folder; default ACTIVE.")
@click.option("--models-dir", default="models", show_default=True)
@click.option("--workers", default=0, help="Worker processes; 0 means one for each core.")
@click.option("--seed-images", default=40, show_default=True)
@click.option("--skip-seed", is_flag=True, help="Measure only ours.")
def main(
    images: int,
    target: str,
    model: Path | None,
    models_dir: str,
    workers: int,
    seed_images: int,
    skip_seed: bool,
) -> None:
    folder = model or Registry(models_dir).active().folder
    jpegs = camera_jpegs(1, min(images, DIFFERENT))
    report: dict[str, Any] = {
        "frame": {"width": WIDTH, "height": HEIGHT},
        "model": folder.name,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "ours": measure(folder, jpegs, images, workers or os.cpu_count() or 1),
    }
    if not skip_seed:
        with tempfile.TemporaryDirectory() as scratch:
            for number in range(WARM_UP + seed_images):
                (Path(scratch) / f"{number:05d}.jpg").write_bytes(jpegs[number % len(jpegs)])
            seed = in_child("bench.support.seed_way", [scratch, str(WARM_UP)], None)
        seed["pictures_per_s_one_process"] = 1e3 / seed["wall_ms_per_frame"]
        seed["pictures_per_s_of_two_free_cores"] = 2e3 / seed["cpu_ms_per_frame"]
        report["seed_way"] = seed
        report["times_the_seed_way_by_processor_time"] = (
            seed["cpu_ms_per_frame"] / report["ours"]["cpu_ms_per_picture"]
        )
    write_report(rounded(report), target)


if __name__ == "__main__":
    main()
