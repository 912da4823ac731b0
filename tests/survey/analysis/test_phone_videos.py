"""Videos as phones, cameras and editors write them: turned, stretched, cut off, with own clocks."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from webapp.errors import CorruptImage
from webapp.survey import ledger
from webapp.survey.analysis.outcomes import analyze_video
from webapp.survey.analysis.video import sample, sample_in_process

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 220)


def corners() -> np.ndarray:
    """64 x 32: red top left, green top right, blue bottom left, white bottom right."""
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:16, :32], picture[:16, 32:] = RED, GREEN
    picture[16:, :32], picture[16:, 32:] = BLUE, WHITE
    return picture


def write(
    path: Path,
    *,
    seconds: float = 2.0,
    start_s: float = 0.0,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    codec: str = "mpeg4",
) -> Path:
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(round(seconds * 10)):
            frame = av.VideoFrame.from_ndarray(corners(), format="rgb24")
            frame.time_base = Fraction(1, 10)
            frame.pts = round(start_s * 10) + number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turned(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Put a display matrix into the track header of an MP4."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    struct.pack_into(">9i", data, at, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def picture_of(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def colours(image: Image.Image) -> list[str]:
    """The names of the corners: top left, top right, bottom left, bottom right."""
    width, height = image.size
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    found = []
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
        seen = np.array(image.getpixel((int(width * x), int(height * y))), int)
        found.append(min(names, key=lambda name: int(np.abs(seen - names[name]).sum())))
    return found


@pytest.mark.parametrize(
    ("matrix", "size", "expected"),
    [
        ((1, 0, 0, 1), (64, 32), ["red", "green", "blue", "white"]),
        ((0, 1, -1, 0), (32, 64), ["blue", "red", "white", "green"]),  # a quarter clockwise
        ((-1, 0, 0, -1), (64, 32), ["white", "blue", "green", "red"]),
        ((0, -1, 1, 0), (32, 64), ["green", "white", "red", "blue"]),
        ((-1, 0, 0, 1), (64, 32), ["green", "red", "white", "blue"]),  # mirrored
        ((1, 0, 0, -1), (64, 32), ["blue", "white", "red", "green"]),
        ((0, 1, 1, 0), (32, 64), ["red", "blue", "green", "white"]),
        ((0, -1, -1, 0), (32, 64), ["white", "green", "blue", "red"]),
    ],
)
def test_every_turn_and_mirroring_is_undone(
    tmp_path: Path,
    matrix: tuple[int, int, int, int],
    size: tuple[int, int],
    expected: list[str],
) -> None:
    path = turned(write(tmp_path / "v.mp4", seconds=0.5), *matrix)
    _, jpeg = next(sample(path, 1, 60))
    assert picture_of(jpeg).size == size
    assert colours(picture_of(jpeg)) == expected


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(2), (128, 32)), (Fraction(1, 2), (64, 64)), (Fraction(16, 15), (68, 32))],
)
def test_pixels_that_are_not_square_come_out_in_shape(
    tmp_path: Path, aspect: Fraction, size: tuple[int, int]
) -> None:
    path = write(tmp_path / "v.mp4", seconds=0.5, aspect=aspect)
    _, jpeg = next(sample(path, 1, 60))
    assert picture_of(jpeg).size == size
    # turned as well: the width of a pixel is meant before the turn
    _, jpeg = next(sample(turned(path, 0, 1, -1, 0), 1, 60))
    assert picture_of(jpeg).size == size[::-1]


@pytest.mark.parametrize("start_s", [0.0, 10.0, 4000.0])
@pytest.mark.parametrize("name", ["v.mkv", "v.ts"])
def test_times_count_from_the_first_frame(tmp_path: Path, start_s: float, name: str) -> None:
    codec = "mpeg2video" if name == "v.ts" else "mpeg4"
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(corners(), format="rgb24")
            frame.time_base, frame.pts = Fraction(1, 25), round(start_s * 25) + number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert [t_ms for t_ms, _ in sample(path, 2, 60)] == [0, 520, 1000, 1520]


@pytest.mark.parametrize("sampler", [sample, sample_in_process])
def test_a_video_cut_off_gives_its_frames_and_then_the_error(tmp_path: Path, sampler) -> None:
    options = {"movflags": "faststart"}
    whole = write(tmp_path / "v.mp4", seconds=20, options=options).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) * 6 // 10])
    frames = []
    with pytest.raises(CorruptImage, match=r"cut off|damaged"):
        for t_ms, _ in sampler(path, 1, 60):
            frames.append(t_ms)
    assert 5 <= len(frames) < 20
    path.write_bytes(whole[:700])
    with pytest.raises(CorruptImage):
        list(sampler(path, 1, 60))


@pytest.mark.parametrize(
    ("name", "codec"), [("v.avi", "mjpeg"), ("v.avi", "mpeg4"), ("v.wmv", "wmv2")]
)
def test_containers_that_name_their_size_are_found_cut_off(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 64, 32
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 5
        for _ in range(100):
            frame = av.VideoFrame.from_ndarray(corners(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert len(list(sample(path, 1, 60))) == 10
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    frames = []
    with pytest.raises(CorruptImage, match="cut off"):
        frames.extend(t_ms for t_ms, _ in sample(path, 1, 60))


def test_an_error_names_no_path_of_this_machine(tmp_path: Path) -> None:
    whole = write(tmp_path / "v.mp4", seconds=2).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])  # its index stood at the end
    with pytest.raises(CorruptImage, match="cut off") as raised:
        list(sample(path, 1, 60))
    assert str(tmp_path) not in raised.value.message


def test_a_survey_counts_what_could_be_read_and_says_what_could_not(tmp_path: Path) -> None:
    from tests.survey.analysis.test_video import Shades

    def frames():
        yield 0, b"\xff\xd8"
        raise CorruptImage("The video is cut off: it ends after 1.0 s of 3.0 s.")

    class Found(Shades):
        def analyze(self, image: bytes, **_options: object):
            return Shades.analyze(self, _bright())

    outcome = analyze_video(Found(), frames(), "test-1", "exclude", lambda: False)
    assert outcome.category == ledger.USED
    assert "cut off" in str(outcome.reason)

    def none():
        raise CorruptImage("The video holds no frame.")
        yield

    outcome = analyze_video(Found(), none(), "test-1", "exclude", lambda: False)
    assert (outcome.category, outcome.reason) == (ledger.UNREADABLE, "The video holds no frame.")


def _bright() -> bytes:
    target = io.BytesIO()
    Image.new("L", (64, 48), 220).save(target, "JPEG")
    return target.getvalue()


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = np.zeros((1, 8000), np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(CorruptImage, match="no video"):
        list(sample(path, 1, 60))
