"""kill -9 at random moments of moving versions in and of changing the active one.

The short form of ``python -m bench.swap --kill 20``, which does it to the whole server.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.models import activate, make_version
from webapp.files.staging import sweep
from webapp.models.registry import Registry
from webapp.models.uploads import PREFIX
from webapp.models.verify import check_files

pytestmark = pytest.mark.slow

KILLS = 8
# what uploads and activations do with the folder, without their waiting for checks
WORK = """
import itertools, json, shutil, sys
from pathlib import Path
from webapp.files.atomic import sync_folder
from webapp.files.staging import Staging
from webapp.models.journal import Journal
from webapp.models.registry import Registry
models = Path(sys.argv[1])
registry, journal = Registry(models), Journal(models)
print("begun", flush=True)
for number in itertools.count():
    name = f"copy-{number % 3}"
    shutil.rmtree(models / name, ignore_errors=True)
    with Staging(models, ".upload-") as staging:
        (staging.folder / "incoming").write_bytes(bytes(200_000))
        shutil.copytree(models / "first", staging.folder / name)
        card = json.loads((staging.folder / name / "card.json").read_text())
        (staging.folder / name / "card.json").write_text(json.dumps(card | {"version": name}))
        (staging.folder / name).rename(models / name)
        sync_folder(models)
    before = registry.active_name()
    for version in ("second", "first"):
        registry.point_to(version)
        journal.add("test", "activated", before, version)
        before = version
    registry.point_back_to("second")
"""


def test_whatever_moment_the_folder_is_whole(tmp_path: Path) -> None:
    models = tmp_path / "models"
    make_version(models, "first", 0)
    make_version(models, "second", 1)
    activate(models, "first")
    registry = Registry(models)
    chance = random.Random(9)
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", WORK, str(models)], stdout=subprocess.PIPE
        ) as worker:
            assert worker.stdout is not None and worker.stdout.readline() == b"begun\n"
            threading.Event().wait(chance.uniform(0.0, 0.08))  # the moment is the point here
            worker.kill()
            worker.wait()
        active = registry.active()
        assert active.version in ("first", "second")
        check_files(active.folder, active.card)
        for version in registry.versions():
            # a version being deleted may lack files; none that was moved in is half of one
            if (version.folder / "golden.npz").exists() and (
                version.folder / "model.keras"
            ).exists():
                check_files(version.folder, version.card)
        assert set(registry.earlier()) <= {"first", "second"}
        sweep(models, PREFIX)
        left = {p.name for p in models.iterdir() if p.name.startswith((PREFIX, ".making"))}
        assert left == set()
