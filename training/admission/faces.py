"""Evaluation sets: labelled faces that an administrator keeps to measure every uploaded model on.

A set is made of a ZIP with one folder per emotion. Only 48x48 grey faces, their labels and names
are kept, in ``faces.npz``; the pictures themselves are not.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from training.data.dataset import (
    FERPLUS_COLUMNS,
    PICTURE_SUFFIXES,
    SIDE,
    DatasetError,
    LabelledFaces,
)
from webapp.domain import EMOTIONS
from webapp.errors import CorruptImage, ModelInvalid, PayloadTooLarge
from webapp.files.archives import Archive, ArchiveLimits, MemberRefused

MAX_FACES: Final = 60_000
MAX_PICTURE_BYTES: Final = 20_000_000
MAX_PIXELS: Final = 40_000_000
_TOO_MANY_REASONS: Final = 20


def read_zip(path: Path, limit_bytes: int) -> tuple[LabelledFaces, list[str]]:
    """The faces of a ZIP and why other members were left out.

    A member's emotion is the name of the folder right above it. Raises :class:`ModelInvalid`.
    """
    images, labels, names, refused = [], [], [], []
    limits = ArchiveLimits(MAX_FACES, MAX_PICTURE_BYTES, limit_bytes)
    try:
        with Archive(path, limits) as archive:
            for member in archive.members():
                parts = member.path.split("/")
                emotion = parts[-2].lower() if len(parts) > 1 else ""
                if member.refused is not None:
                    refused.append(f"{member.path}: {member.refused}")
                elif emotion not in EMOTIONS:
                    refused.append(f"{member.path}: its folder is none of the seven emotions")
                elif Path(parts[-1]).suffix.lower() in PICTURE_SUFFIXES:
                    buffer = io.BytesIO()
                    try:
                        archive.extract(member, buffer)
                        images.append(_face(buffer.getvalue()))
                    except (MemberRefused, DatasetError) as error:
                        refused.append(f"{member.path}: {error}")
                        continue
                    labels.append(EMOTIONS.index(emotion))
                    names.append(f"{emotion}/{parts[-1]}"[:200])
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
    return faces, refused[:_TOO_MANY_REASONS]


def _face(data: bytes) -> Any:
    """As :func:`training.data.dataset.read_face`, after the header was asked for the size."""
    from webapp.errors import MienError
    from webapp.vision.frame import decode

    try:
        grey = decode(data, max_pixels=MAX_PIXELS).grey
    except MienError as error:
        raise DatasetError(error.message) from error
    if grey.shape == (SIDE, SIDE):
        return grey
    shrinking = min(grey.shape) > SIDE
    return cv2.resize(
        grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    )


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
