"""Values and bytes that nobody expects, from a seeded generator, so that a finding comes again."""

from __future__ import annotations

import io
import random
import zipfile
from typing import Any

import cv2
import numpy as np

from bench.support.scenes import frames_of_a_face

_NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**30, -(10**30), 0.5, 1e308, -1e308, 5e-324)
_TEXTS = ("", "a", "\x00", "é", "🙂", "../../etc/passwd", "' OR 1=1 --", "<script>", "A" * 5000)


def anything(dice: random.Random, depth: int = 0) -> Any:
    """Some JSON value."""
    kind = dice.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return dice.choice((None, True, False))
    if kind in (1, 2):
        return dice.choice(_NUMBERS)
    if kind == 3:
        return dice.choice(_TEXTS)
    if kind == 4:
        return dice.random() * 10 ** dice.randrange(20)
    if kind == 5:
        return [anything(dice, depth + 1) for _ in range(dice.randrange(4))]
    if kind == 6:
        return {dice.choice(_TEXTS): anything(dice, depth + 1) for _ in range(dice.randrange(4))}
    return float(dice.randrange(100))


def damaged(dice: random.Random, content: bytes) -> bytes:
    """The same bytes, or with some of them changed, lost, doubled or moved."""
    data = bytearray(content)
    for _ in range(dice.choice((0, 1, 1, 3))):
        if not data:
            break
        at = dice.randrange(len(data))
        kind = dice.randrange(7)
        if kind == 0:
            for _ in range(dice.choice((1, 10, 200))):
                data[dice.randrange(len(data))] = dice.randrange(256)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + dice.randrange(1, 200)]
        elif kind == 3:
            data[at:at] = data[: dice.randrange(1, 200)]
        elif kind == 4:
            data[at:at] = dice.randbytes(dice.randrange(1, 200))
        elif kind == 5:  # the head, where sizes and formats are
            place = dice.randrange(min(64, len(data)))
            data[place : place + 4] = dice.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff"))
        else:
            data = data[at:] + data[:at]
    return bytes(data)


def files() -> dict[str, bytes]:
    """One good file of each kind that is taken, by its name."""
    jpeg = frames_of_a_face()[0]
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    small = cv2.resize(picture, (160, 120))
    made = {"a.jpg": jpeg}
    for name in ("a.png", "a.webp", "a.bmp", "a.tiff", "a.gif"):
        try:
            ok, content = cv2.imencode(name[1:], small)
        except cv2.error:
            continue
        if ok:
            made[name] = content.tobytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("one.png", made["a.png"])
        target.writestr("../up.txt", "no picture")
        target.writestr("deep/two.jpg", jpeg)
    return made | {"a.zip": archive.getvalue(), "a.svg": b"<svg xmlns='x'/>", "empty": b""}
