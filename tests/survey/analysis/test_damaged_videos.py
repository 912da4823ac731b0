"""Decoders fill what is missing of a video with smears: those are no frames of it."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from PIL import Image

from webapp.errors import CorruptImage
from webapp.survey.analysis.hdr import HLG, PQ, standard_range
from webapp.survey.analysis.video import sample

FACE = np.asarray(Image.fromarray(skimage.data.astronaut()[:240, 80:400]))


def film(path: Path, codec: str, options: dict[str, str] | None = None) -> list[np.ndarray]:
    """Ten seconds of a face that moves, at 10 frames a second with a whole one each second."""
    shown = []
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=10, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(100):
            picture = np.ascontiguousarray(np.roll(FACE, 3 * number, axis=1))
            shown.append(picture)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return shown


def zeros(path: Path, begin: float, end: float) -> None:
    """What a copy that was broken off, or a card that fails, leaves in a file of the full size."""
    data = path.read_bytes()
    first, last = round(len(data) * begin), round(len(data) * end)
    path.write_bytes(data[:first] + bytes(last - first) + data[last:])


def sampled(path: Path) -> tuple[list[tuple[int, np.ndarray]], str]:
    found, why = [], ""
    try:
        for t_ms, jpeg in sample(path, 10, 60):
            found.append((t_ms, np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))))
    except CorruptImage as error:
        why = error.message
    return found, why


FILMS = [
    ("v.avi", "mpeg4", {}),
    ("v.avi", "libx264", {}),
    ("v.ts", "mpeg2video", {}),
    ("v.mp4", "libx264", {"movflags": "faststart"}),
    ("v.mp4", "libx265", {"movflags": "faststart"}),
    ("v.mp4", "libsvtav1", {"movflags": "faststart"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), FILMS)
@pytest.mark.parametrize("part", [(0.45, 0.52), (0.5, 1.0)], ids=["a hole", "no second half"])
def test_a_frame_that_shows_damage_is_not_read(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], part: tuple[float, float]
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    shown = film(tmp_path / name, codec, options)
    whole, why = sampled(tmp_path / name)
    assert ([t_ms for t_ms, _ in whole], why) == (list(range(0, 10_000, 100)), "")

    zeros(tmp_path / name, *part)
    found, why = sampled(tmp_path / name)
    assert 20 <= len(found) < 100
    assert "damaged" in why or "cut off" in why
    small = np.array(shown)[:, ::4, ::4].astype(int)
    for t_ms, picture in found:
        apart = np.abs(small - picture[::4, ::4]).mean((1, 2, 3))
        assert apart.min() < 12, f"the frame at {t_ms} ms is none of the film"
        assert apart.argmin() == round(t_ms / 100)


def test_frames_that_refer_to_later_ones_keep_their_times_in_asf(tmp_path: Path) -> None:
    film(tmp_path / "v.asf", "libx264")
    whole, why = sampled(tmp_path / "v.asf")
    assert ([t_ms for t_ms, _ in whole], why) == (list(range(0, 10_000, 100)), "")


def _signal(srgb: np.ndarray, transfer: int) -> np.ndarray:
    """sRGB levels as a camera for HDR writes them: the inverse of what is tested (BT.2100-2)."""
    value = srgb / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) * 203
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        power = (light / 10_000) ** m1
        return ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    scene = (light / 1000) ** (1 / 1.2)
    low = scene <= 1 / 12
    logarithm = 0.17883277 * np.log(np.where(low, 1, 12 * scene - 0.28466892)) + 0.55991073
    return np.where(low, np.sqrt(3 * scene), logarithm)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_high_dynamic_range_looks_as_it_was_filmed(tmp_path: Path, transfer: int) -> None:
    levels = np.repeat(np.array([20, 60, 100, 140, 180, 220]), 32)
    picture = np.tile(levels[None, :, None], (64, 1, 3)).astype(float)
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 192, 64, "yuv420p10le"
        stream.codec_context.color_trc = transfer
        stream.codec_context.colorspace = 9
        stream.codec_context.color_range = 1
        coded = np.rint(_signal(picture, transfer) * 65535).astype(np.uint16)
        frame = av.VideoFrame.from_ndarray(coded, format="rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    [(_, jpeg)] = sample(path, 1, 60)
    read = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))[32, 16::32]
    assert np.abs(read - levels[16::32]).max() <= 12, read


def test_the_levels_of_hdr_rise_to_white_and_others_are_left() -> None:
    for transfer in (PQ, HLG):
        levels = standard_range(transfer)
        assert levels is not None
        red = levels[:256]
        assert red == sorted(red)
        assert (red[0], red[-1], len(levels)) == (0, 255, 768)
    assert standard_range(1) is None
