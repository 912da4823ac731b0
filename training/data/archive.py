"""Data that is still packed: a .tar or .zip is unpacked beside nothing, used, and removed."""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path

from training.data.dataset import DatasetError
from webapp.domain import EMOTIONS

_TAR_SUFFIXES = (".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2")


@contextlib.contextmanager
def opened(data: Path) -> Iterator[Path]:
    """The folder (or CSV file) that ``data`` is or holds.

    An archive is unpacked into a temporary folder that is removed at the end; folders around
    the data are looked through. Raises DatasetError for a path that is not there and an archive
    that cannot be unpacked.
    """
    if data.is_dir():
        yield _inner(data)
        return
    if not data.exists():
        raise DatasetError(f"Expected a folder, an archive or fer2013.csv. {data} is not there.")
    name = data.name.lower()
    if not name.endswith((*_TAR_SUFFIXES, ".zip")):
        yield data
        return
    scratch = Path(tempfile.mkdtemp(prefix="mien-data-"))
    try:
        try:
            if name.endswith(".zip"):
                with zipfile.ZipFile(data) as packed:
                    packed.extractall(scratch)  # noqa: S202 - zipfile drops .. and roots itself
            else:
                with tarfile.open(data) as packed_tar:
                    packed_tar.extractall(scratch, filter="data")
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, LZMAError, zlib.error) as error:
            raise DatasetError(f"{data.name} cannot be unpacked: {error}") from error
        yield _inner(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _inner(folder: Path) -> Path:
    """The first folder below ``folder`` that looks like data; ``folder`` where none does."""
    current = folder
    while True:
        children = [child for child in current.iterdir() if not child.name.startswith(".")]
        names = {child.name.lower() for child in children}
        if names & {*EMOTIONS, "train"} or len(children) != 1:
            return current
        only = children[0]
        if only.is_file():
            return only if only.suffix.lower() == ".csv" else folder
        current = only
