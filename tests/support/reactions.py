"""A folder of reactions for survey tests: FER2013 faces in rooms, with bad files among them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.e2e.scenes import background
from webapp.domain import EMOTIONS


def scene(face: Path, seed: int) -> bytes:
    """A 48x48 FER2013 face as a head of some 220 px in a 640x480 JPEG."""
    rng = np.random.default_rng(seed)
    picture = cv2.imread(str(face), cv2.IMREAD_COLOR)
    side = int(rng.integers(250, 300))
    big = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    frame = background()
    x, y = int(rng.integers(40, 600 - side)), int(rng.integers(20, 460 - side))
    frame[y : y + side, x : x + side] = big
    noisy = frame.astype(np.float32) + rng.normal(0, 2, frame.shape)
    done, data = cv2.imencode(".jpg", noisy.clip(0, 255).astype(np.uint8))
    assert done
    return bytes(data.tobytes())


def astronauts(root: Path) -> Path:
    """``root/<emotion>/N.png``: NASA's astronaut's face again and again, lighter and mirrored.

    Her expression is the same in all: what a test counts must not depend on it.
    """
    import skimage.data

    face = cv2.cvtColor(skimage.data.astronaut()[60:220, 140:300], cv2.COLOR_RGB2GRAY)
    for label, emotion in enumerate(EMOTIONS):
        (root / emotion).mkdir(parents=True)
        for index in range(8):
            picture = cv2.convertScaleAbs(face, alpha=0.8 + 0.05 * index, beta=2.0 * label)
            cv2.imwrite(
                str(root / emotion / f"{index}.png"), picture[:, ::-1] if index % 2 else picture
            )
    return root


def make_reactions(test_faces: Path, root: Path, faces: int) -> dict[str, int]:
    """``root/Package A`` (mostly happy) and ``root/Package B`` (mostly sad), ``faces`` in all.

    20 bad files lie among them: 8 torn, 4 text, 4 copies, 4 without anybody. Returns how many
    files there are and how many of each certain fate.
    """
    mixes = {"Package A": ("happy", "happy", "surprise"), "Package B": ("sad", "angry", "neutral")}
    number = 0
    for group, emotions in mixes.items():
        folder = root / group
        folder.mkdir(parents=True)
        pools = {e: sorted((test_faces / e).iterdir()) for e in dict.fromkeys(emotions)}
        for index in range(faces // 2):
            pool = pools[emotions[index % len(emotions)]]
            source = pool[(index * 7) % len(pool)]
            (folder / f"p{index:04}.jpg").write_bytes(scene(source, number))
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
