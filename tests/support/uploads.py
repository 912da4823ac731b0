"""The files of ``build_uploads`` from the pytest cache, and ZIPs made on the spot."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np

from tests.support.built import built_once
from webapp.domain import EMOTIONS


def upload_files() -> Path:
    """The folder with everything that ``tests.support.build_uploads`` writes; built once."""
    sources = ("tests/support/build_uploads.py",)
    return built_once("mien-uploads", "tests.support.build_uploads", sources=sources)


def zip_of(folder: Path, prefix: str = "") -> bytes:
    """A folder as a ZIP."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target.writestr(f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())
    return buffer.getvalue()


def faces_zip(each: int = 3, leave_out: str | None = None) -> bytes:
    """A ZIP with ``each`` noisy pictures in a folder for every emotion."""
    rng = np.random.default_rng(5)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for emotion in EMOTIONS:
            for index in range(each if emotion != leave_out else 0):
                coarse = rng.integers(0, 255, (6, 6), np.uint8).repeat(8, 0).repeat(8, 1)
                _, png = cv2.imencode(".png", coarse)
                target.writestr(f"faces/{emotion}/{index}.png", png.tobytes())
    return buffer.getvalue()
