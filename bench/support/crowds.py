"""Scenes with several faces whose true places and identities are known, to score tracking."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.support.videos import HEIGHT, WIDTH, Grey, jpeg, place, wall
from webapp.domain import Box

HIDDEN_SHARE = 0.35  # of a face's box; covered by more, nobody is expected to see it
_BOX_SHARE = 0.9  # of a FER2013 picture's side that a detector's box has

Path = Callable[[float], tuple[float, float, float] | None]
"""Seconds to centre x, y and side of the picture in pixels, or None while away."""


@dataclass(frozen=True)
class Person:
    """``path`` as above; a larger ``depth`` is farther away; ``hidden`` is behind something."""

    path: Path
    depth: int = 0
    hidden: tuple[float, float] | None = None  # seconds


@dataclass(frozen=True)
class Scene:
    """``people`` are numbered from 1 in their order."""

    name: str
    seconds: float
    people: tuple[Person, ...]


def _line(
    start: tuple[float, float], end: tuple[float, float], side: float, begin_s: float, end_s: float
) -> Path:
    def path(t_s: float) -> tuple[float, float, float] | None:
        share = min(max((t_s - begin_s) / (end_s - begin_s), 0.0), 1.0)
        share = share * share * (3 - 2 * share)  # people start and stop gently
        x = start[0] + share * (end[0] - start[0])
        return x, start[1] + share * (end[1] - start[1]), side

    return path


def _rest(x: float, y: float, side: float, sway: float = 6.0) -> Path:
    return lambda t: (x + sway * math.sin(1.7 * t), y + sway * 0.6 * math.cos(1.1 * t), side)


def _between(path: Path, from_s: float, to_s: float) -> Path:
    return lambda t: path(t) if from_s <= t < to_s else None


def scenes(rng: np.random.Generator) -> list[Scene]:
    """One of each kind, its speeds and places varied by ``rng``."""

    def vary(value: float, share: float = 0.08) -> float:
        return value * (1 + share * float(rng.uniform(-1, 1)))

    cross_s = vary(3.0, 0.3)
    y = vary(240)
    crossing = Scene(
        "crossing",
        cross_s + 2,
        (
            Person(_line((130, y), (510, y + 10), vary(170), 1, 1 + cross_s)),
            Person(_line((510, y + 25), (130, y), vary(135), 1, 1 + cross_s), depth=1),
        ),
    )
    occlusion = Scene(
        "occlusion",
        5.0,
        (
            Person(_rest(vary(200), vary(240), vary(160)), hidden=(2.0, 3.0)),
            Person(_rest(vary(460), vary(240), vary(150))),
        ),
    )
    start = vary(150)
    moving_occlusion = Scene(
        "occlusion_while_moving",
        5.0,
        (Person(_line((start, 240), (start + vary(320), 240), 165, 0.5, 4.5), hidden=(1.8, 2.8)),),
    )
    entering = Scene(
        "entering_and_leaving",
        7.0,
        (
            Person(_rest(vary(320), vary(250), vary(170))),
            Person(_between(_line((-120, 220), (110, 230), 140, 1.0, 2.2), 1.0, 4.0), depth=1),
            Person(_between(_line((110, 230), (-140, 220), 140, 4.6, 5.8), 9.0, 9.0), depth=1),
            Person(_between(_line((760, 250), (530, 240), 150, 3.0, 4.5), 3.0, 7.0), depth=1),
        ),
    )
    crowd = Scene(
        "several_at_once",
        6.0,
        tuple(
            Person(_rest(vary(x), vary(y0), vary(size), 14), depth=depth)
            for depth, (x, y0, size) in enumerate(
                [
                    (110, 150, 120),
                    (320, 130, 120),
                    (530, 150, 120),
                    (210, 350, 130),
                    (440, 350, 130),
                ]
            )
        ),
    )
    leave_for_another = Scene(
        "one_leaves_another_comes",
        6.0,
        (
            Person(_between(_line((300, 240), (800, 240), 160, 0.8, 2.2), 0.0, 2.2)),
            Person(_between(_line((-160, 240), (320, 240), 160, 3.2, 4.6), 3.2, 6.0)),
        ),
    )
    return [crossing, occlusion, moving_occlusion, entering, crowd, leave_for_another]


def truth(scene: Scene, t_s: float) -> dict[int, Box]:
    """The boxes that can be seen at ``t_s``, by person; in pixels of the 640x480 frame."""
    placed = _placed(scene, t_s)
    seen: dict[int, Box] = {}
    nearer: list[Box] = []
    for number, person, (x, y, side) in placed:
        half = side * _BOX_SHARE / 2
        box = Box(x - half, y - half, x + half, y + half)
        inside = _overlap(box, Box(0, 0, WIDTH, HEIGHT)) / box.area
        covered = max((_overlap(box, other) / box.area for other in nearer), default=0.0)
        hidden = person.hidden and person.hidden[0] <= t_s < person.hidden[1]
        if inside > 1 - HIDDEN_SHARE and covered < HIDDEN_SHARE and not hidden:
            seen[number] = box
        nearer.append(box)
    return seen


def _overlap(a: Box, b: Box) -> float:
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, width) * max(0.0, height)


def _placed(scene: Scene, t_s: float) -> list[tuple[int, Person, tuple[float, float, float]]]:
    """The people who are there, nearest first."""
    there = [
        (number, person, at)
        for number, person in enumerate(scene.people, 1)
        if (at := person.path(t_s)) is not None
    ]
    return sorted(there, key=lambda row: row[1].depth)


def frames(
    scene: Scene, faces: Sequence[Grey], fps: float, seed: int
) -> Iterator[tuple[float, bytes]]:
    """``(seconds, JPEG)``; ``faces[number - 1]`` is a person's picture."""
    rng = np.random.default_rng(seed)
    for index in range(int(scene.seconds * fps)):
        t_s = index / fps
        frame = wall().astype(np.float32)
        for number, person, (x, y, side) in reversed(_placed(scene, t_s)):
            place(frame, faces[number - 1], (x, y), side)
            if person.hidden and person.hidden[0] <= t_s < person.hidden[1]:
                _board(frame, x, y, side)
        frame += rng.standard_normal(frame.shape, np.float32) * np.float32(5)
        yield t_s, jpeg(frame)


def _board(frame: npt.NDArray[np.float32], x: float, y: float, side: float) -> None:
    half = side * 0.6
    top, bottom = max(0, round(y - half)), min(HEIGHT, round(y + half))
    left, right = max(0, round(x - half)), min(WIDTH, round(x + half))
    frame[top:bottom, left:right] = 95


def seen_boxes(
    scene: Scene, fps: float, seed: int, *, jitter: float = 0.03, missed: float = 0.03
) -> Iterator[tuple[float, dict[int, Box], list[Box]]]:
    """``(seconds, truth, what a detector would say)``: a detector made of its errors alone.

    Each box is off by ``jitter`` of its side and is missed with probability ``missed``.
    """
    rng = np.random.default_rng(seed)
    for index in range(int(scene.seconds * fps)):
        t_s = index / fps
        true = truth(scene, t_s)
        found = []
        for box in true.values():
            dx, dy, grow = rng.normal(0, jitter, 3)
            if rng.uniform() >= missed:
                moved = box.shifted(dx * box.width, dy * box.width)
                found.append(moved.scaled(1 + grow))
        yield t_s, true, [found[i] for i in rng.permutation(len(found))]
