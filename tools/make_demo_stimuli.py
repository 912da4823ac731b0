"""Draws what the demo study shows: a short animation without sound, and a picture.

``python tools/make_demo_stimuli.py`` writes ``webapp/studies/demo_files/``. A round fellow finds a
box; a butterfly comes out and sits down on him; then a balloon comes from behind, and bursts.
"""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parents[1] / "webapp" / "studies" / "demo_files"
WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 25, 20
SCALE = 2  # drawn larger and shrunk, for smooth edges
BURST_S = 13.0
SKY, HILL, FELLOW, INK = (190, 225, 235), (120, 180, 120), (250, 200, 70), (45, 40, 50)
CONFETTI = [(230, 90, 80), (80, 140, 230), (250, 190, 60), (150, 90, 200), (70, 180, 130)]


def ease(t: float) -> float:
    """From 0 to 1 with a soft beginning and end."""
    t = min(1.0, max(0.0, t))
    return t * t * (3 - 2 * t)


class Canvas:
    """Shapes in pixels of the film."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), SKY)
        self._draw = ImageDraw.Draw(self.image)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]
    ) -> None:
        box = [SCALE * v for v in (x - rx, y - ry, x + rx, y + ry)]
        self._draw.ellipse(box, fill=colour)

    def polygon(self, points: list[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        self._draw.polygon([(SCALE * x, SCALE * y) for x, y in points], fill=colour)

    def arc(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, width: float
    ) -> None:
        box = [SCALE * v for v in (x - rx, y - ry, x + rx, y + ry)]
        self._draw.arc(box, start, end, fill=INK, width=round(SCALE * width))

    def line(self, points: list[tuple[float, float]], width: float) -> None:
        scaled = [(SCALE * x, SCALE * y) for x, y in points]
        self._draw.line(scaled, fill=INK, width=round(SCALE * width), joint="curve")

    def done(self) -> Image.Image:
        return self.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def world(canvas: Canvas, t: float) -> None:
    canvas.ellipse(540, 70, 34, 34, (255, 240, 190))
    for x, y, size in ((90, 70, 1.0), (300, 48, 0.7), (450, 110, 0.55)):
        drift = (x + 4 * t) % 760 - 60
        for dx, radius in ((-26, 15), (0, 22), (26, 16)):
            canvas.ellipse(
                drift + dx * size, y, 1.3 * radius * size, radius * size, (240, 248, 250)
            )
    canvas.ellipse(140, 420, 420, 170, (145, 200, 140))
    canvas.ellipse(480, 440, 460, 170, HILL)


def fellow(canvas: Canvas, x: float, y: float, look: tuple[float, float], mood: str) -> None:
    """The round one; ``look`` shifts his pupils, ``mood`` is calm, smile, shock or sad."""
    canvas.ellipse(x, y + 41, 34, 6, (95, 150, 98))
    canvas.ellipse(x, y, 42, 40, FELLOW)
    wide = 1.35 if mood == "shock" else 1.0
    for side in (-15, 15):
        canvas.ellipse(x + side, y - 8, 9 * wide, 10 * wide, (255, 255, 255))
        canvas.ellipse(x + side + 4 * look[0], y - 8 + 4 * look[1], 4.2, 4.8, INK)
    if mood == "smile":
        canvas.arc(x, y + 6, 17, 15, 15, 165, 3)
        for side in (-26, 26):
            canvas.ellipse(x + side, y + 8, 6, 4, (240, 150, 110))
    elif mood == "shock":
        canvas.ellipse(x, y + 17, 8, 11, INK)
    elif mood == "sad":
        canvas.arc(x, y + 26, 14, 11, 200, 340, 3)
    else:
        canvas.arc(x, y + 8, 12, 8, 30, 150, 3)


def box(canvas: Canvas, x: float, y: float, lid: float, shake: float) -> None:
    x += shake
    canvas.polygon(
        [(x - 34, y - 20), (x + 34, y - 20), (x + 30, y + 30), (x - 30, y + 30)], (176, 120, 80)
    )
    canvas.polygon(
        [(x - 5, y - 20), (x + 5, y - 20), (x + 5, y + 30), (x - 5, y + 30)], (220, 90, 90)
    )
    angle = -1.9 * lid
    dx, dy = 72 * math.cos(angle), 72 * math.sin(angle)
    left, lean = x - 36, 10 * math.sin(-angle)
    far = (left + dx + lean, y - 30 + dy)
    canvas.polygon(
        [(left, y - 20), (left + dx, y - 20 + dy), far, (left + lean, y - 32)], (150, 98, 62)
    )


def butterfly(canvas: Canvas, x: float, y: float, t: float) -> None:
    flap = 0.35 + 0.65 * abs(math.sin(9 * t))
    for side in (-1, 1):
        canvas.ellipse(x + side * 9 * flap, y - 5, 9 * flap, 9, (235, 110, 160))
        canvas.ellipse(x + side * 7 * flap, y + 6, 6 * flap, 6, (250, 170, 90))
    canvas.line([(x, y - 9), (x, y + 9)], 3)


def balloon(canvas: Canvas, x: float, y: float, size: float) -> None:
    canvas.line([(x, y + size), (x + 6, y + size + 60)], 1.5)
    canvas.ellipse(x, y, size * 0.9, size, (225, 80, 85))
    canvas.ellipse(x - size * 0.32, y - size * 0.4, size * 0.16, size * 0.22, (245, 160, 160))


def frame(t: float) -> Image.Image:
    """The film at ``t`` seconds."""
    canvas = Canvas()
    world(canvas, t)
    x = -60 + 270 * ease(t / 3.2)
    y = 262 - (18 * abs(math.sin(4.2 * t)) if t < 3.2 else 0)
    look, mood = (1.0, 0.2), "calm"
    shake = 3 * math.sin(40 * t) if 4.0 < t < 5.6 else 0.0
    lid = ease((t - 5.6) / 0.6)
    seat = (x, 216.0)
    if t >= 5.9:
        flight = ease((t - 5.9) / 3.6)
        wing = (
            400 + (seat[0] - 400) * flight + 46 * math.sin(3 * (t - 5.9)) * (1 - flight),
            250 - 130 * math.sin(math.pi * flight) + (seat[1] - 250) * flight,
        )
        look = (max(-1, min(1, (wing[0] - x) / 80)), -1.0 if flight > 0.2 else 0.0)
        mood = "smile" if flight > 0.35 else "calm"
    else:
        wing = None
    if t >= 10.5:
        look = (0.0, -0.6)
    jump = 0.0
    if t >= BURST_S:
        since = t - BURST_S
        jump = 70 * math.sin(min(math.pi, math.pi * since / 0.7)) if since < 0.7 else 0.0
        mood = "shock" if since < 2.2 else "smile"
        look = (0.0, -1.0 if since < 1.2 else 0.3)
        if wing is not None:
            wing = (seat[0] + 60 * since, seat[1] - 90 * since - 20 * math.sin(6 * since))
    box(canvas, 400, 272, lid, shake)
    if 9.5 <= t < BURST_S:
        rise = ease((t - 9.5) / (BURST_S - 9.5))
        balloon(canvas, x + 58 - 20 * rise, 330 - 170 * rise, 22 + 62 * rise**2)
    fellow(canvas, x, y - jump, look, mood)
    if wing is not None:
        butterfly(canvas, wing[0], wing[1] - (jump if t < BURST_S else 0), t)
    if t >= BURST_S:
        burst(canvas, x + 38, 160, t - BURST_S)
    return canvas.done()


def burst(canvas: Canvas, x: float, y: float, since: float) -> None:
    rng = np.random.default_rng(7)
    if since < 0.12:
        canvas.ellipse(x, y, 120, 120, (255, 250, 235))
    for number in range(70):
        angle, speed, spin = rng.uniform(0, 2 * math.pi), rng.uniform(60, 260), rng.uniform(2, 9)
        px = x + speed * math.cos(angle) * (1 - math.exp(-2.2 * since)) / 1.3
        py = y + speed * math.sin(angle) * (1 - math.exp(-2.2 * since)) / 1.6 + 26 * since**2
        py = min(py, 322 + 20 * rng.random())
        turn = spin * min(since, 4)
        dx, dy = 6 * math.cos(turn), 4 * math.sin(turn)
        canvas.polygon(
            [(px - dx, py - dy), (px + dy, py - dx), (px + dx, py + dy), (px - dy, py + dx)],
            CONFETTI[number % len(CONFETTI)],
        )


def picture() -> Image.Image:
    """The round one and an ice cream that fell."""
    canvas = Canvas()
    world(canvas, 2.0)
    fellow(canvas, 260, 262, (0.9, 0.8), "sad")
    canvas.ellipse(362, 312, 42, 9, (250, 225, 230))
    canvas.ellipse(358, 300, 24, 18, (250, 200, 215))
    canvas.polygon([(352, 262), (378, 296), (334, 298)], (205, 150, 90))
    return canvas.done()


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    film = FOLDER / "box.mp4"
    with av.open(str(film), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "27", "preset": "slow"}
        for number in range(SECONDS * FPS):
            shown = av.VideoFrame.from_image(frame(number / FPS))
            container.mux(stream.encode(shown))
        container.mux(stream.encode())
    picture().save(FOLDER / "ice-cream.webp", quality=82)
    for path in (film, FOLDER / "ice-cream.webp"):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
