"""Runs the process that opens uploaded files, ``python -m training.admission``.

The web process itself only reads the small JSON files that it leaves.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from webapp.errors import MienError, ModelInvalid, error_from_json
from webapp.sandbox import bare_environment
from webapp.settings import Settings

POLL_S: Final = 0.15
MAX_ANSWER_BYTES: Final = 20_000_000
# the process limits itself; this is for one that hangs where its own alarm does not reach
_GRACE_S: Final = 15.0


class Cancelled(Exception):
    """Somebody asked for the end of the check."""


def inspect(
    folder: Path,
    request: Mapping[str, Any],
    settings: Settings,
    step: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Check what lies in ``folder`` as ``request`` says; the answer's ``ok`` part.

    Blocks its thread or greenlet. ``step`` is called with what is being done. Raises
    :class:`ModelInvalid` with the reason for a refusal, and :class:`Cancelled`.
    """
    folder = folder.resolve()
    limits = {
        "memory_mb": settings.model_check_memory_mb,
        "seconds": settings.model_check_s,
        "limit_bytes": settings.model_max_upload_bytes,
    }
    (folder / "request.json").write_text(json.dumps({**request, **limits}), encoding="utf-8")
    (folder / "result.json").unlink(missing_ok=True)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "training.admission", str(folder)],
            stdin=subprocess.PIPE,  # held open: its end tells the process that we are gone
            stdout=log,
            stderr=log,
            cwd=folder,
            env=_environment(folder),
        )
    until = time.monotonic() + settings.model_check_s + _GRACE_S
    try:
        while process.poll() is None:
            if cancelled():
                raise Cancelled
            if time.monotonic() > until:
                raise ModelInvalid(
                    f"The check took longer than {settings.model_check_s} s and was ended.",
                    check="time",
                )
            progress = _read(folder / "progress.json")
            if isinstance(progress.get("step"), str):
                step(progress["step"][:200])
            time.sleep(POLL_S)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
    return _answer(folder, process.returncode)


def _environment(folder: Path) -> dict[str, str]:
    """Ours without settings and secrets, with every temporary file inside ``folder``."""
    return bare_environment() | {
        "TMPDIR": str(folder),
        "HOME": str(folder),
        "KERAS_HOME": str(folder),
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HDF5_PLUGIN_PRELOAD": "::",  # HDF5's word for: load no plug-in
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_ANSWER_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _answer(folder: Path, status: int) -> dict[str, Any]:
    answer = _read(folder / "result.json")
    if isinstance(answer.get("ok"), dict):
        return dict(answer["ok"])
    if "error" in answer:
        raise error_from_json(answer)
    why = {
        -9: "it was ended by the system, most likely for its memory",
        -14: "it took longer than MIEN_MODEL_CHECK_S",
        -24: "it used more processor time than MIEN_MODEL_CHECK_S",
        -25: "it wrote a file larger than allowed",
    }.get(status, f"exit status {status}")
    if status == 0:
        raise MienError("The check ended without an answer.")
    raise ModelInvalid(
        f"The check of this file ended before its answer ({why}). The file is damaged, or too "
        "large for the limits MIEN_MODEL_CHECK_MEMORY_MB and MIEN_MODEL_CHECK_S.",
        check="process",
    )
