"""Where tests find pictures of real faces.

FER2013 may not be passed on, so it is looked for: ``MIEN_TEST_DATA`` or ``../shared/data`` beside
the repository, as ``fer2013.tar.xz`` or unpacked. Tests that need it skip with a reason that
begins ``needs data``; ``MIEN_TEST_REQUIRE=data`` makes such a skip a failure.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def data_folder() -> Path | None:
    """The folder with FER2013 and ``ferplus.csv``, or None."""
    named = os.environ.get("MIEN_TEST_DATA")
    candidates = [Path(named)] if named else [REPOSITORY.parent / "shared" / "data"]
    for folder in candidates:
        if (folder / "fer2013").is_dir() or (folder / "fer2013.tar.xz").is_file():
            return folder
    return None


def unpack_fer2013(into: Path, prefix: str = "fer2013/") -> Path:
    """FER2013's root, with ``train/`` and ``test/``; unpacks members under ``prefix`` if needed.

    Skips the test where the data is not there.
    """
    folder = data_folder()
    if folder is None:
        pytest.skip("needs data: FER2013 was not found; set MIEN_TEST_DATA to its folder")
    if (folder / "fer2013").is_dir():
        return folder / "fer2013"
    with tarfile.open(folder / "fer2013.tar.xz") as archive:
        for member in archive:
            if member.isfile() and member.name.startswith(prefix):
                archive.extract(member, into, filter="data")
    return into / "fer2013"
