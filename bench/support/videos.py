"""Videos with known truth: real faces of one emotion after the other, seen as a webcam sees them.

A video is a function of time, so that one scene can be sampled at any frame rate. The head drifts,
turns, tilts and leans; focus, light and its side wander; every frame has noise of its own and is
JPEG. Each shot shows another person's face at the place of the last one: FER2013 has one picture
of each person, so a change of expression is a cut, as hard as a change can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from bench.support.heldout import HeldOut
from webapp.domain import EMOTIONS

WIDTH, HEIGHT = 640, 480
SHOT_S = (4.0, 8.0)
JPEG_QUALITY = 80
SURE_SCORE = 0.3  # of the detector, for a face that is to be in a video
_FEATHER = 0.08  # of the face's side, so that its border is no edge for the detector

Grey = npt.NDArray[np.uint8]


class Wander:
    """A smooth random function of time within ``[-1, 1]``: three sines of about ``period_s``."""

    def __init__(self, rng: np.random.Generator, period_s: float) -> None:
        self._rates = 2 * np.pi / (period_s * np.array([1.0, 0.61, 0.37]))
        self._phases = rng.uniform(0, 2 * np.pi, 3)
        self._weights = np.array([0.5, 0.3, 0.2])

    def __call__(self, t_s: float) -> float:
        return float(self._weights @ np.sin(self._rates * t_s + self._phases))


@dataclass(frozen=True)
class Look:
    """How much a scene moves and how bad its picture is; each is the most that is reached."""

    drift_px: float = 22.0
    lean: float = 0.07  # relative change of size
    tilt_deg: float = 6.0
    turn: float = 0.09  # share of the width that one side loses
    blur_px: float = 1.6  # sigma, in pixels of the frame
    light: float = 0.28  # relative change of brightness
    side_light: float = 0.22  # darker on one side by this share
    noise: float = 7.0  # sigma, grey levels
    jitter_px: float = 1.0  # from frame to frame


@dataclass(frozen=True)
class Shot:
    """One face from ``from_s`` to ``to_s`` seconds; ``emotion`` is an index into ``EMOTIONS``."""

    face: Grey
    emotion: int
    from_s: float
    to_s: float


@dataclass(frozen=True)
class Video:
    """``shots`` follow each other without a gap; ``seed`` settles everything that is random."""

    shots: tuple[Shot, ...]
    seed: int
    side_px: float
    look: Look = Look()

    @property
    def seconds(self) -> float:
        return self.shots[-1].to_s

    def _shot(self, t_s: float) -> Shot:
        return next((s for s in self.shots if t_s < s.to_s), self.shots[-1])

    def frames(self, fps: float) -> Iterator[tuple[float, bytes]]:
        """``(seconds, JPEG)`` of every frame at ``fps``."""
        rng = np.random.default_rng(self.seed)
        moves = {name: Wander(rng, period) for name, period in _PERIODS_S.items()}
        noise = np.random.default_rng([self.seed, round(fps * 100)])
        for index in range(int(self.seconds * fps)):
            t_s = index / fps
            yield t_s, self._frame(t_s, moves, noise)

    def _frame(
        self, t_s: float, moves: dict[str, Callable[[float], float]], rng: np.random.Generator
    ) -> bytes:
        look = self.look
        at = {name: move(t_s) for name, move in moves.items()}
        jitter = rng.normal(0, look.jitter_px, 2)
        centre = (
            WIDTH / 2 + look.drift_px * at["x"] + jitter[0],
            HEIGHT / 2 + look.drift_px * 0.7 * at["y"] + jitter[1],
        )
        side = self.side_px * (1 + look.lean * at["lean"])
        frame = wall().astype(np.float32)
        place(
            frame,
            self._shot(t_s).face,
            centre,
            side,
            tilt_deg=look.tilt_deg * at["tilt"],
            turn=look.turn * at["turn"],
        )
        ramp = np.linspace(-0.5, 0.5, WIDTH, dtype=np.float32)[None]
        gain = 1 + look.light * at["light"] + 2 * look.side_light * at["side"] * ramp
        frame *= gain
        sigma = look.blur_px * (0.5 + 0.5 * at["blur"])
        if sigma > 0.3:
            frame = cv2.GaussianBlur(frame, (0, 0), sigma)
        frame += rng.standard_normal(frame.shape, np.float32) * np.float32(look.noise)
        return jpeg(frame)


_PERIODS_S = {
    "x": 5.0, "y": 6.5, "lean": 7.0, "tilt": 4.0, "turn": 4.5, "light": 6.0, "side": 9.0,
    "blur": 3.0,
}  # fmt: skip


def jpeg(frame: npt.NDArray[np.float32], quality: int = JPEG_QUALITY) -> bytes:
    """A grey frame ``[H, W]`` in ``[0, 255]`` as JPEG."""
    done, data = cv2.imencode(
        ".jpg", frame.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise RuntimeError("OpenCV could not write a JPEG.")
    return bytes(data.tobytes())


@cache
def wall() -> npt.NDArray[np.uint8]:
    """A wall with shelves, uint8 ``[480, 640]``: edges, so that the detector has work."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    grey = 150 + 40 * np.sin(x / 90) + 25 * np.cos(y / 70)
    grey[(y % 120 < 8) | (x % 160 < 6)] -= 60
    return np.asarray(grey.clip(0, 255), np.uint8)


@cache
def _mask(side: int) -> npt.NDArray[np.float32]:
    edge = np.minimum(np.arange(side), np.arange(side)[::-1]) / (_FEATHER * side)
    ramp = np.clip(edge, 0, 1).astype(np.float32)
    return np.minimum(ramp[:, None], ramp[None])


def place(
    frame: npt.NDArray[np.float32],
    face: Grey,
    centre: tuple[float, float],
    side: float,
    *,
    tilt_deg: float = 0.0,
    turn: float = 0.0,
) -> None:
    """Paint ``face`` (uint8 ``[s, s]``) into ``frame``, ``side`` pixels wide around ``centre``.

    ``turn`` makes one side of it narrower, as perspective does when a head turns a little.
    """
    source = face.shape[0]
    half = side / 2
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]], np.float32)
    corners[:, 1] *= 1 + turn * np.sign(corners[:, 0])
    corners[:, 0] *= 1 - abs(turn)
    angle = np.deg2rad(tilt_deg)
    turned = corners @ np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32
    )
    target = (turned + np.array(centre, np.float32)).astype(np.float32)
    edges = np.array([[0, 0], [source, 0], [source, source], [0, source]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(edges, target)
    size = (frame.shape[1], frame.shape[0])
    seen = cv2.warpPerspective(face, matrix, size, flags=cv2.INTER_CUBIC)
    cover = cv2.warpPerspective(_mask(source), matrix, size, flags=cv2.INTER_LINEAR)
    frame += cover * (seen.astype(np.float32) - frame)


def make_videos(
    held: HeldOut,
    usable: Callable[[Grey], bool],
    *,
    count: int,
    shots: int,
    seed: int,
    emotions: Sequence[int] = range(len(EMOTIONS)),
    look: Look = Look(),
) -> list[Video]:
    """``count`` videos of ``shots`` shots each; neighbouring shots never share an emotion.

    ``usable`` says whether a face can be found at all (the detector, never the classifier).
    """
    rng = np.random.default_rng(seed)
    pools = {e: list(rng.permutation(held.of(e))) for e in emotions}
    videos = []
    for number in range(count):
        at_s, last, made = 0.0, -1, []
        for _ in range(shots):
            emotion = int(rng.choice([e for e in emotions if e != last and pools[e]]))
            face = _next_usable(held, pools[emotion], usable)
            until_s = at_s + float(rng.uniform(*SHOT_S))
            made.append(Shot(face, emotion, at_s, until_s))
            at_s, last = until_s, emotion
        videos.append(Video(tuple(made), seed * 1000 + number, float(rng.uniform(150, 240)), look))
    return videos


def _next_usable(held: HeldOut, pool: list[np.int64], usable: Callable[[Grey], bool]) -> Grey:
    while pool:
        face = held.faces.images[pool.pop()]
        if usable(face):
            return face
    raise ValueError("Expected more faces that the detector finds; ask for fewer shots.")


def findable() -> Callable[[Grey], bool]:
    """A function that says whether the detector finds a face that fills a camera's middle."""
    from webapp.vision.detector import FaceDetector

    detector = FaceDetector()

    def found(face: Grey) -> bool:
        frame = wall().astype(np.float32)
        place(frame, face, (WIDTH / 2, HEIGHT / 2), 190)
        seen = detector.scan(frame.clip(0, 255).astype(np.uint8))
        return (
            len(seen) == 1
            and abs(seen[0].box.center[0] - WIDTH / 2) < 40
            and seen[0].score > SURE_SCORE
        )

    return found
