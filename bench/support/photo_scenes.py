"""Scenes of photographed faces: small, tilted, dark, tinted, half covered, several at once.

Faces are cut from pictures with known boxes, along an ellipse with a soft edge, and set into
pictures without a face. Nothing is stored; the same seed makes the same scenes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from webapp.domain import Box

Pixels = npt.NDArray[np.uint8]

WIDTH: Final = 800
HEIGHT: Final = 600
SIZES: Final = (24, 32, 50, 100, 200, 300)
TILTS: Final = (0, 15, 30, 45, 60, 75, 90)
LIGHTS: Final = ("normal", "dark", "tinted")
COVERS: Final = ("none", "lower", "side")
# Of the box around a face, how much of its surroundings (hair, neck) is cut out with it.
_HEAD_SCALE: Final = 1.45


@dataclass(frozen=True, slots=True)
class Known:
    """A picture's file and its face: box in pixels, None where the picture has no face."""

    file: Path
    box: Box | None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """A BGR picture, uint8 ``[H, W, 3]``, and the upright boxes of its faces in pixels."""

    picture: Pixels
    boxes: tuple[Box, ...]
    known: tuple[Known, ...]
    size: int
    tilt: int
    light: str
    cover: str


def read_known(folder: Path, boxes: Path) -> list[Known]:
    """The pictures that a CSV with the columns ``file, x1, y1, x2, y2`` names.

    Empty coordinates say that a picture has no face. Raises :class:`ValueError` naming the line.
    """
    known = []
    with boxes.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = {"file", "x1", "y1", "x2", "y2"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(
                f"{boxes.name}: expected columns file, x1, y1, x2, y2. It lacks "
                f"{', '.join(sorted(missing))}."
            )
        for row in reader:
            corners = [row[name] for name in ("x1", "y1", "x2", "y2")]
            try:
                box = Box(*(float(v) for v in corners)) if any(corners) else None
            except ValueError as error:
                raise ValueError(f"{boxes.name}, line {reader.line_num}: {error}") from error
            known.append(Known(folder / row["file"], box, row))
    return known


def make_scene(
    faces: Sequence[Known],
    background: Known,
    *,
    size: int,
    tilt: int,
    light: str,
    cover: str,
    rng: np.random.Generator,
) -> Scene:
    """Set ``faces`` into ``background``, each ``size`` pixels from brow to chin."""
    picture = _read(background.file)
    picture = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    boxes: list[Box] = []
    placed: list[Known] = []
    for known in faces:
        if known.box is None:
            continue
        turned = tilt * (1 if rng.random() < 0.5 else -1)
        for _ in range(40):
            margin = size * (0.75 if size < 250 else 0.5)
            x = rng.uniform(margin, WIDTH - margin)
            y = rng.uniform(min(margin, HEIGHT / 2 - 1), max(HEIGHT - margin, HEIGHT / 2))
            box = Box(x - size / 2, y - size / 2, x + size / 2, y + size / 2)
            if all(box.scaled(1.4).iou(other.scaled(1.4)) == 0 for other in boxes):
                _paste(picture, known, x, y, size, turned, cover, rng)
                boxes.append(box)
                placed.append(known)
                break
    return Scene(_lit(picture, light, rng), tuple(boxes), tuple(placed), size, tilt, light, cover)


def scenes(known: Sequence[Known], count: int, seed: int) -> Iterator[Scene]:
    """``count`` scenes that go through sizes and tilts, a third of them with light or cover."""
    rng = np.random.default_rng(seed)
    faces = [k for k in known if k.box is not None]
    empty = [k for k in known if k.box is None]
    for number in range(count):
        size, tilt = SIZES[number % len(SIZES)], TILTS[number // len(SIZES) % len(TILTS)]
        kind = rng.integers(6)
        light = LIGHTS[kind] if kind < 3 else "normal"
        cover = COVERS[kind - 3] if kind >= 3 else "none"
        several = 1 if size > 100 else int(rng.choice((1, 1, 3, 6)))
        chosen = [faces[i] for i in rng.choice(len(faces), several, replace=False)]
        background = empty[int(rng.integers(len(empty)))]
        yield make_scene(
            chosen, background, size=size, tilt=tilt, light=light, cover=cover, rng=rng
        )


def _read(file: Path) -> Pixels:
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{file.name}: expected a picture. It cannot be read.")
    return np.asarray(picture, np.uint8)


def _paste(
    picture: Pixels,
    known: Known,
    x: float,
    y: float,
    size: int,
    tilt: float,
    cover: str,
    rng: np.random.Generator,
) -> None:
    source = _read(known.file)
    box = known.box
    assert box is not None  # make_scene leaves the others out
    if cover != "none":
        _cover(source, box, cover, rng)
    mask = np.zeros(source.shape[:2], np.float32)
    (cx, cy) = box.center
    axes = (box.width * _HEAD_SCALE / 2, box.height * _HEAD_SCALE / 2)
    cv2.ellipse(mask, (round(cx), round(cy)), (round(axes[0]), round(axes[1])), 0, 0, 360, 1, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), box.width / 30)
    scale = size / max(box.width, box.height)
    if scale < 0.5:  # averaged first: warpAffine would skip pixels
        source = cv2.resize(source, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        cx, cy, scale = cx * 2 * scale, cy * 2 * scale, 0.5
    turn = cv2.getRotationMatrix2D((cx, cy), tilt, scale)
    turn[:, 2] += (x - cx, y - cy)
    height, width = picture.shape[:2]
    head = cv2.warpAffine(source, turn, (width, height), flags=cv2.INTER_LINEAR)
    share = cv2.warpAffine(mask, turn, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    picture[...] = (head * share + picture * (1 - share)).round().astype(np.uint8)


def _cover(source: Pixels, box: Box, cover: str, rng: np.random.Generator) -> None:
    """Paint a mask over the lower half or one side of the face, in place."""
    colour = rng.choice(((235, 235, 235), (200, 170, 90), (40, 40, 40), (90, 120, 180)))
    x1, y1, x2, y2 = (round(v) for v in (box.x1, box.y1, box.x2, box.y2))
    if cover == "lower":
        y1 = round(box.y1 + 0.52 * box.height)
        corners = [
            (x1, y1),
            ((x1 + x2) // 2, y1 - (y2 - y1) // 8),
            (x2, y1),
            (x2, (y1 + y2) // 2),
            ((x1 + x2) // 2, y2),
            (x1, (y1 + y2) // 2),
        ]
        cv2.fillPoly(source, [np.array(corners, np.int32)], colour.tolist())
        return
    middle = (x1 + x2) // 2
    x1, x2 = (x1, middle) if rng.random() < 0.5 else (middle, x2)
    cv2.rectangle(source, (x1, y1), (x2, y2), colour.tolist(), -1)


def _lit(picture: Pixels, light: str, rng: np.random.Generator) -> Pixels:
    wide = picture.astype(np.float32)
    if light == "dark":
        wide *= rng.uniform(0.12, 0.25)
        wide += rng.normal(0, 3, wide.shape).astype(np.float32)
    elif light == "tinted":
        wide *= rng.uniform(0.45, 1.0, 3).astype(np.float32)
    return wide.round().clip(0, 255).astype(np.uint8)
