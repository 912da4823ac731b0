"""Takes the README's picture: the live page on the shipped model, reading NASA's astronaut.

``python -m tests.e2e.screenshot --out docs/screenshot.png [--models models] [--seconds 45]``
"""

from __future__ import annotations

import argparse
import tempfile
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, sync_playwright

from tests.e2e.browser import chromium, start, state, wait_until
from tests.e2e.scenes import Picture, astronaut, moving_scene, write_mjpeg
from tests.e2e.servers import ROOT, real_server


def _portrait(path: Path) -> Path:
    """The astronaut filling the picture, hardly moving, in light that comes and goes."""

    def place(t: float) -> tuple[float, float, float]:
        angle = 2 * np.pi * t
        return 316 + 6 * np.cos(angle), 318 + 4 * np.sin(angle), 1.36 + 0.02 * np.sin(angle)

    frames: list[Picture] = list(moving_scene(astronaut(), place, seconds=8))
    return write_mjpeg(path, frames)


def _reduced(png: bytes, stage: FloatRect) -> bytes:
    """The same picture with 256 colours, a third of the size.

    What lies around ``stage`` is drawn, not photographed: it keeps colours of its own and no
    dither, since one palette for all would melt the expressions' colours into those of the photo.
    """
    x, y = round(stage["x"]), round(stage["y"])
    right, bottom = x + round(stage["width"]), y + round(stage["height"])
    with Image.open(BytesIO(png)) as picture:
        rgb = picture.convert("RGB")
    photo = rgb.crop((x, y, right, bottom))
    drawn = rgb.crop((right, 0, rgb.width, rgb.height))
    palette = Image.new("P", (1, 1))
    palette.putpalette(
        [v for part, n in ((drawn, 96), (photo, 160)) for v in _palette(part.quantize(n), n)]
    )
    reduced = rgb.quantize(palette=palette, dither=Image.Dither.NONE)
    reduced.paste(photo.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG), (x, y))
    out = BytesIO()
    reduced.save(out, "PNG", optimize=True)
    return out.getvalue()


def _palette(picture: Image.Image, colours: int) -> list[int]:
    """Exactly ``colours`` RGB triples of a picture with a palette."""
    values = picture.getpalette() or [0, 0, 0]
    return (values + values[:3] * colours)[: 3 * colours]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshot.png")
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        server = real_server(args.models.resolve(), Path(scratch) / "server.log")
        server.start()
        try:
            with chromium(playwright, _portrait(Path(scratch) / "portrait.mjpeg")) as browser:
                page = browser.new_page(
                    viewport={"width": 1280, "height": 800}, color_scheme=args.theme
                )
                start(page, server.url)
                page.wait_for_timeout(args.seconds * 1000)

                def fresh() -> bool:
                    held = state(page)
                    solid = [d for d in held["drawn"] if d["opacity"] == 1]
                    return len(solid) == 1 and held["meters"]["rate"] > 15

                wait_until(page, fresh, "one fresh face at camera rate", patience_s=120)
                stage = page.locator("[data-stage]").bounding_box()
                assert stage is not None
                args.out.write_bytes(_reduced(page.screenshot(), stage))
        finally:
            server.stop()
    picture = cv2.imread(str(args.out))
    assert picture is not None
    height, width = picture.shape[:2]
    print(f"{args.out}: {width}x{height}, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
