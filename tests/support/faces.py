"""Tiny labelled data sets that a network can learn, drawn: no data set's picture is needed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from training.data.dataset import FERPLUS_COLUMNS
from webapp.domain import EMOTIONS

FERPLUS_OF = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}


def draw(label: int, generator: np.random.Generator, side: int = 48) -> np.ndarray:
    """A grey uint8 ``[side, side]`` picture whose stripes tell ``label``, with noise on them."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    angle = label * np.pi / 7
    waves = np.sin(2 * np.pi * 3 * (rows * np.sin(angle) + columns * np.cos(angle)))
    noise = generator.normal(0, 12, (side, side))
    return np.clip(128 + 70 * waves + noise, 0, 255).astype(np.uint8)


def make_faces(folder: Path, per_class: int = 6, seed: int = 0, prefix: str = "Training") -> Path:
    """``folder/<emotion>/<prefix>_NNNNN.png``; returns ``folder``."""
    generator = np.random.default_rng(seed)
    number = 0
    for label, emotion in enumerate(EMOTIONS):
        (folder / emotion).mkdir(parents=True)
        for _ in range(per_class):
            path = folder / emotion / f"{prefix}_{number:05d}.png"
            assert cv2.imwrite(str(path), draw(label, generator))
            number += 1
    return folder


def make_votes(path: Path, *folders: Path) -> Path:
    """A FER+ table for every picture of ``folders``: eight of ten voters name its emotion."""
    lines = [",".join(("file", *FERPLUS_COLUMNS))]
    for folder in folders:
        for picture in sorted(folder.glob("*/*.png")):
            votes = dict.fromkeys(FERPLUS_COLUMNS, 0)
            votes[FERPLUS_OF[picture.parent.name]] += 8
            votes["unknown"] += 2
            counts = ",".join(str(votes[column]) for column in FERPLUS_COLUMNS)
            lines.append(f"{picture.parent.name}/{picture.name},{counts}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
