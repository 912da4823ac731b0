"""A folder of reactions for survey tests: two expressions in rooms, with bad files among them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from tests.e2e.scenes import Picture, astronaut, background


@cache
def heads() -> dict[str, Picture]:
    """NASA's astronaut, who smiles, and the same head with the mouth upside down: no smile.

    The serving model reads the first as happy (above 0.99), the second as neutral (about 0.95).
    """
    happy = astronaut()[:250, 100:360]
    neutral = happy.copy()
    neutral[120:165, 95:152] = happy[120:165, 95:152][::-1]
    return {"happy": happy, "neutral": neutral}


def scene(expression: str, seed: int) -> bytes:
    """One of ``heads()``, with a face of some 100 px, in a 640x480 JPEG."""
    rng = np.random.default_rng(seed)
    picture = heads()[expression]
    side = int(rng.integers(250, 300))
    big = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    frame = background()
    x, y = int(rng.integers(40, 600 - side)), int(rng.integers(20, 460 - side))
    frame[y : y + side, x : x + side] = big
    noisy = frame.astype(np.float32) + rng.normal(0, 2, frame.shape)
    done, data = cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8))
    assert done
    return bytes(data.tobytes())


def make_reactions(root: Path, faces: int) -> dict[str, int]:
    """``root/Package A`` (mostly happy) and ``root/Package B`` (mostly neutral), ``faces`` in all.

    20 bad files lie among them: 8 torn, 4 text, 4 copies, 4 without anybody. Returns how many
    files there are and how many of each certain fate.
    """
    mixes = {
        "Package A": ("happy", "happy", "neutral"),
        "Package B": ("neutral", "neutral", "happy"),
    }
    number = 0
    for group, emotions in mixes.items():
        folder = root / group
        folder.mkdir(parents=True)
        for index in range(faces // 2):
            picture = scene(emotions[index % len(emotions)], number)
            (folder / f"p{index:04}.jpg").write_bytes(picture)
            number += 1
        whole = (folder / "p0000.jpg").read_bytes()
        for index in range(4):
            (folder / f"torn{index}.jpg").write_bytes(whole[: 3000 + 500 * index])
        for index in range(2):
            (folder / f"notes{index}.txt").write_text(f"notes {group} {index}")
            (folder / f"copy{index}.jpg").write_bytes(
                (folder / f"p{index + 1:04}.jpg").read_bytes()
            )
            wall = background()
            wall[:40] = index * 60 + (20 if group == "Package A" else 0)
            cv2.imwrite(str(folder / f"wall{index}.png"), wall)
    return {"files": number + 20, "unreadable": 12, "duplicate": 4, "no_face_at_least": 4}
