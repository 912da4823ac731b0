"""The one verification of a model version, for uploads, activations, the registry and timing.

:func:`verify` runs ``python -m webapp.models.verify FOLDER [--time]``: a confined process of its
own, because the web process never loads a model and a damaged one can bring its interpreter down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from webapp import ROOT
from webapp.card import GOLDEN_FILE, KERAS_FILE, TFLITE_FILE, ModelCard, sha256_of
from webapp.errors import MienError, ModelInvalid, error_from_json
from webapp.sandbox import bare_environment

HASHED_FILES: Final = (KERAS_FILE, TFLITE_FILE, GOLDEN_FILE)
TIMEOUT_S: Final = 300
NICENESS: Final = 10


def check_files(folder: Path, card: ModelCard) -> dict[str, str]:
    """Compare the files of a version with the hashes of its card; returns ``{name: sha256}``.

    Raises :class:`ModelInvalid`.
    """
    version, hashes = folder.name, {}
    for name in HASHED_FILES:
        if name not in card.files:
            raise ModelInvalid(f"The card of {version} has no hash of {name}.", file=name)
    for name, expected in sorted(card.files.items()):
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ModelInvalid(f"{version} lacks {name}, which its card names.", file=name)
        hashes[name] = sha256_of(path)
        if hashes[name] != expected:
            raise ModelInvalid(
                f"{name} of {version} was changed or damaged. Publish or upload it again.",
                file=name,
                expected_sha256=expected,
                received_sha256=hashes[name],
            )
    return hashes


def verify(folder: Path, *, timed: bool = False) -> dict[str, Any]:
    """Check a version's hashes and golden pictures; ``timed`` also measures its speed.

    Returns ``{"confinement": text, "files": {name: sha256}, "differences": {head: float}}`` and
    what :func:`webapp.vision.timing.time_faces` returns. Raises :class:`ModelInvalid` saying what
    does not fit.
    """
    command = [sys.executable, "-m", "webapp.models.verify", str(folder.resolve())]
    try:
        done = subprocess.run(
            [*command, "--time"] if timed else command,
            cwd=ROOT,
            env=bare_environment() | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise ModelInvalid(f"Model {folder.name} was not verified within {TIMEOUT_S} s.") from error
    except (IndexError, ValueError) as error:
        raise ModelInvalid(
            f"Model {folder.name} could not be run (exit status {done.returncode}).",
            log=done.stderr[-2000:],
        ) from error
    if "error" in report:
        raise error_from_json(report)
    return report


def _report(folder: Path, timed: bool) -> dict[str, Any]:
    # imported here: the server imports this module, and these load LiteRT
    from webapp.sandbox import confine
    from webapp.vision.classifier import MAX_MEMORY_MB, check_golden
    from webapp.vision.timing import time_faces

    held = confine(memory_mb=MAX_MEMORY_MB)
    card = ModelCard.load(folder)
    report: dict[str, Any] = {"confinement": str(held), "files": check_files(folder, card)}
    report["differences"] = check_golden(folder)
    return report | (time_faces(folder, card) if timed else {})


def main(arguments: list[str]) -> int:
    """Prints one JSON object: the report, or the error in its one shape."""
    timed = "--time" in arguments
    if hasattr(os, "nice") and not timed:
        os.nice(NICENESS)  # hashing a large file would hold up live frames
    try:
        report = _report(Path(arguments[0]), timed)
    except MienError as error:
        report = error.to_json()
    except OSError as error:
        report = MienError(f"A file cannot be read: {error.strerror}.").to_json()
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
