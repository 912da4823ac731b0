"""The demo study: a short animation that is drawn here, questions, and a notice.

``python -m webapp.studies.demo FILE`` draws the animation as a WebM film (VP9). Its
scenes are shapes that play, a countdown and a burst of stars.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webapp import ROOT
from webapp.database.study_tables import Study
from webapp.errors import MienError
from webapp.sandbox import bare_environment

if TYPE_CHECKING:
    from PIL.Image import Image

    from webapp.studies.service import Studies

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 20, 18
LONGEST_S: Final = 120.0
_POLL_S: Final = 0.05
FIELDS: Final[dict[str, Any]] = {
    "name": "Demo: a small animation",
    "purpose": "research",
    "presentation": "fixed",
    "fixation_ms": 1000,
    "contact": "The people who run this server",
    "keep_days": 30,
    "notice_text": (
        "You will see a short animation. Meanwhile the camera of your device looks at your face, "
        "and this server reads your facial expression from its pictures. The pictures are "
        "forgotten at once; only the scores of the expressions are kept, with the moment of the "
        "animation they belong to, and your answers.\n\n"
        "An expression is a movement of the face; it does not show what you feel. Taking part is "
        "voluntary: you may stop at any time, and the code that you get deletes everything of you. "
        "Nothing is used to judge you."
    ),
    "questions": {
        "before": [],
        "after": [
            {
                "id": "liking",
                "kind": "scale",
                "text": "How did you like the animation?",
                "min": 1,
                "max": 7,
                "min_label": "not at all",
                "max_label": "very much",
                "required": True,
            },
            {
                "id": "favourite",
                "kind": "choice",
                "text": "Which part do you remember best?",
                "options": ["The ball", "The countdown", "The surprise"],
                "required": False,
            },
        ],
    },
}


def _ball(draw: Any, t: float) -> None:
    """0 to 7 s: a ball that bounces and squashes, with eyes that look along."""
    x = WIDTH * (0.15 + 0.7 * (0.5 - 0.5 * math.cos(t * 0.9)))
    height = abs(math.sin(t * 2.4))
    squash = 1 + 0.35 * max(0.0, 0.18 - height) / 0.18
    radius = 46.0
    y = HEIGHT - 40 - radius / squash - 170 * height
    wide, tall = radius * squash, radius / squash
    draw.ellipse((x - wide * 0.8, HEIGHT - 46, x + wide * 0.8, HEIGHT - 34), fill="#c9cdd6")
    draw.ellipse((x - wide, y - tall, x + wide, y + tall), fill="#e0a100")
    look = 6 * math.sin(t * 0.9)
    for side in (-1, 1):
        cx = x + side * 15 + look
        draw.ellipse((cx - 8, y - 18, cx + 8, y - 2), fill="white")
        draw.ellipse((cx - 4 + look / 2, y - 14, cx + 4 + look / 2, y - 6), fill="#20242c")
    draw.arc((x - 18 + look, y - 6, x + 18 + look, y + 22), 20, 160, fill="#20242c", width=4)


def _countdown(draw: Any, t: float) -> None:
    """7 to 12 s: a ring that closes, five times."""
    share = t % 1
    box = (WIDTH / 2 - 90, HEIGHT / 2 - 90, WIDTH / 2 + 90, HEIGHT / 2 + 90)
    draw.ellipse(box, outline="#dfe2e8", width=16)
    draw.arc(box, -90, -90 + 360 * share, fill="#2f6fb7", width=16)
    left = 5 - int(t)
    for place in range(left):
        x = WIDTH / 2 + (place - (left - 1) / 2) * 26
        draw.ellipse((x - 8, HEIGHT / 2 - 8, x + 8, HEIGHT / 2 + 8), fill="#20242c")


def _surprise(draw: Any, t: float) -> None:
    """12 to 18 s: a burst of stars out of the middle, which then settle."""
    for number in range(40):
        angle = number * 2.399963  # the golden angle spreads them evenly
        far = (60 + number * 6.5) * (1 - math.exp(-3.2 * t))
        x = WIDTH / 2 + far * math.cos(angle + t * 0.25)
        y = HEIGHT / 2 + 0.62 * far * math.sin(angle + t * 0.25)
        size = 5 + 4 * math.sin(t * 4 + number)
        colour = ("#c8342b", "#6a8f1f", "#7a4fb5", "#e0a100", "#2f6fb7", "#d9632a")[number % 6]
        draw.regular_polygon((x, y, max(3.0, size)), 5, rotation=t * 40 + number * 9, fill=colour)


def frame_at(t: float) -> Image:
    """The picture at ``t`` seconds."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), "#f6f7f9")
    draw = ImageDraw.Draw(image)
    if t < 7:
        _ball(draw, t)
    elif t < 12:
        _countdown(draw, t - 7)
    else:
        _surprise(draw, t - 12)
    return image


def write_animation(path: Path) -> None:
    """Draw the film into ``path``, in this process."""
    import av
    import numpy as np

    with av.open(str(path), "w", format="webm") as container:
        stream: Any = container.add_stream("libvpx-vp9", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "34", "b:v": "0", "deadline": "realtime", "cpu-used": "8"}
        for number in range(SECONDS * FPS):
            frame: Any = av.VideoFrame.from_ndarray(np.asarray(frame_at(number / FPS)))
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _draw_in_process(path: Path) -> None:
    command = [sys.executable, "-m", "webapp.studies.demo", str(path.resolve())]
    child = subprocess.Popen(
        command, env=bare_environment(), cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + LONGEST_S
    try:
        while child.poll() is None and time.monotonic() < until:
            time.sleep(_POLL_S)
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
    if child.returncode:
        raise MienError("The demo animation could not be drawn.")


def make_demo(opened: Studies, owner_id: int | None) -> Study:
    """An open study with the animation. Raises :class:`MienError`."""
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "demo.webm"
        _draw_in_process(film)
        study = opened.catalog.create(FIELDS, owner_id, opened.settings.study_max_studies)
        with film.open("rb") as stream:
            opened.stimuli.add(study.id, stream, "Animation", None)
    return opened.catalog.open(study.id)


if __name__ == "__main__":
    write_animation(Path(sys.argv[1]))
