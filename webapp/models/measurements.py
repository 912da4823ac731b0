"""What a model version costs on this machine, measured by another process and kept in a file.

``<instance>/measurements/<version>.<machine>.json`` belongs to exactly these files on exactly
this kind of machine; when either changes, the version counts as not measured.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from webapp.errors import Conflict, MienError
from webapp.files import atomic
from webapp.languages import N_
from webapp.models.verify import verify

_running = threading.Lock()  # two at once would each measure the other


def machine() -> str:
    """The processor and the number of cores, as a person calls this machine."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux
    return N_(f"{name}, {os.cpu_count()} processor cores")


def _key(folder: Path) -> str:
    """Changes when a file of the version, the machine or the way of measuring does."""
    parts = [machine(), "1"]
    for path in sorted(folder.iterdir()):
        if path.is_file():
            stat = path.stat()
            parts.append(f"{path.name} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _file(instance: Path, version: str) -> Path:
    short = hashlib.sha256(machine().encode()).hexdigest()[:10]
    return instance / "measurements" / f"{version}.{short}.json"


def known(instance: Path, version: str, folder: Path) -> dict[str, Any] | None:
    """The last measurement where it still holds.

    ``{"at", "machine", "ms", "ms_p95", "cpu_ms", "faces", "difference"}``, or ``{"at",
    "machine", "error": text}`` for a version that turned out to be broken.
    """
    try:
        kept: dict[str, Any] = json.loads(_file(instance, version).read_text(encoding="utf-8"))
        return kept if kept.get("key") == _key(folder) else None
    except (OSError, ValueError, AttributeError):
        return None


def measure(instance: Path, version: str, folder: Path) -> dict[str, Any]:
    """Check and time a version now, in another process; about two seconds.

    Raises :class:`Conflict` while one is being measured. A version that does not fit its card is
    no exception but a result, with its reason.
    """
    if not _running.acquire(blocking=False):
        raise Conflict("Another model is being measured; try again in a few seconds.")
    try:
        key = _key(folder)
        try:
            found = verify(folder, timed=True)
            report = {name: found[name] for name in ("ms", "ms_p95", "cpu_ms", "faces")}
            report["difference"] = max(found["differences"].values())
        except MienError as error:
            report = {"error": error.message}
    finally:
        _running.release()
    kept = {
        "key": key,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    kept |= report
    path = _file(instance, version)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, json.dumps(kept))
    return kept
