"""Evaluation sets: labelled faces that an administrator keeps to measure every uploaded model on.

A set is made of a ZIP with one folder per emotion. Only 48x48 grey faces, their labels and names
are kept, in ``faces.npz``; the pictures themselves are not.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from training.data.dataset import (
    FERPLUS_COLUMNS,
    SIDE,
    DatasetError,
    LabelledFaces,
    grey_face,
)
from training.data.walk import walk
from webapp.domain import EMOTIONS
from webapp.errors import CorruptImage, ModelInvalid, PayloadTooLarge
from webapp.files.archives import Archive, ArchiveLimits, MemberRefused

MAX_FACES: Final = 60_000
MAX_PICTURE_BYTES: Final = 20_000_000
MAX_REASONS: Final = 500


def read_zip(path: Path, limit_bytes: int) -> tuple[LabelledFaces, list[str]]:
    """The faces of a ZIP and why other members were left out.

    A member's emotion is what the nearest folder above it names. Raises :class:`ModelInvalid`.
    """
    images, labels, names, refused = [], [], [], []
    limits = ArchiveLimits(MAX_FACES, MAX_PICTURE_BYTES, limit_bytes)
    try:
        with Archive(path, limits) as archive:
            members = {member.path: member for member in archive.members()}
            found, left_out = walk(members)
            refused += [f"{name}: no folder that it lies in names an emotion" for name in left_out]
            for file in found:
                member = members[file.path]
                if member.refused is not None:
                    refused.append(f"{member.path}: {member.refused}")
                    continue
                buffer = io.BytesIO()
                try:
                    archive.extract(member, buffer)
                    images.append(grey_face(buffer.getvalue()))
                except (MemberRefused, DatasetError) as error:
                    refused.append(f"{member.path}: {error}")
                    continue
                labels.append(file.label)
                names.append(f"{EMOTIONS[file.label]}/{file.path.rpartition('/')[2]}"[:200])
    except (CorruptImage, PayloadTooLarge) as error:
        raise ModelInvalid(error.message, check="evaluation set") from error
    missing = [name for i, name in enumerate(EMOTIONS) if i not in set(labels)]
    if missing:
        raise ModelInvalid(
            "Expected one folder of pictures for each emotion "
            f"({', '.join(EMOTIONS)}). Nothing readable was found for {', '.join(missing)}"
            + (f"; the first file left out: {refused[0]}." if refused else "."),
            check="evaluation set",
        )
    faces = LabelledFaces(
        np.stack(images),
        np.asarray(labels, np.int64),
        tuple(names),
        np.zeros((len(labels), len(FERPLUS_COLUMNS)), np.float32),
    )
    if len(refused) > MAX_REASONS:
        more = len(refused) - MAX_REASONS
        refused = [*refused[:MAX_REASONS], f"and {more} files more, for such reasons"]
    return faces, refused


def save_faces(faces: LabelledFaces, path: Path) -> None:
    """Write ``faces.npz``: images uint8 [n, 48, 48], labels, names as one text."""
    np.savez_compressed(
        path,
        images=faces.images,
        labels=faces.labels.astype(np.int8),
        names=np.frombuffer("\n".join(faces.names).encode(), np.uint8),
    )


def load_faces(path: Path) -> LabelledFaces:
    """Read what :func:`save_faces` wrote. Raises :class:`ModelInvalid`."""
    try:
        with np.load(path, allow_pickle=False) as content:
            images, labels = content["images"], content["labels"].astype(np.int64)
            names = tuple(content["names"].tobytes().decode().split("\n"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelInvalid(
            f"The evaluation set cannot be read ({error}); add it again.", check="evaluation set"
        ) from error
    if images.shape != (len(labels), SIDE, SIDE) or len(names) != len(labels) or not len(labels):
        raise ModelInvalid("The evaluation set is damaged; add it again.", check="evaluation set")
    votes = np.zeros((len(labels), len(FERPLUS_COLUMNS)), np.float32)
    return LabelledFaces(images, labels, names, votes)
