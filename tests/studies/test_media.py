"""What a stimulus is, found out in a confined process."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from webapp.errors import CorruptImage, MienError, UnsupportedImage
from webapp.studies.media import Media, look, look_in_process


def film(path: Path, codec: str, seconds: float = 2.0, pixels: str = "yuv420p") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for number in range(int(seconds * 10)):
            grey = np.full((64, 96, 3), number * 5, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "codec", "media_type"),
    [("a.mp4", "libx264", "video/mp4"), ("a.webm", "libvpx-vp9", "video/webm")],
)
def test_films_that_browsers_play(tmp_path: Path, name: str, codec: str, media_type: str) -> None:
    found = look_in_process(film(tmp_path / name, codec), 10**6)
    assert found == Media("video", media_type, 96, 64, found.duration_ms)
    assert found.duration_ms == 2000


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "why"),
    [
        ("a.avi", "mpeg4", "yuv420p", "Browsers do not play this file"),
        ("a.mp4", "mpeg4", "yuv420p", "mpeg4"),
        ("a.mkv", "libx264", "yuv420p", "Browsers do not play this file"),
        ("a.mov", "libx264", "yuv420p", "Browsers do not play this file"),
    ],
)
def test_films_that_browsers_do_not_play(
    tmp_path: Path, name: str, codec: str, pixels: str, why: str
) -> None:
    with pytest.raises(UnsupportedImage, match=why):
        look(film(tmp_path / name, codec, pixels=pixels), 10**6)


def test_damaged_files_are_refused_by_the_process(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", "libx264").read_bytes()
    for cut in (30, 200, len(whole) // 2):
        (tmp_path / "cut.mp4").write_bytes(whole[:cut])
        with pytest.raises(MienError) as caught:
            look(tmp_path / "cut.mp4", 10**6)
        assert isinstance(caught.value, (CorruptImage, UnsupportedImage))
    with pytest.raises(CorruptImage):
        look_in_process(tmp_path / "cut.mp4", 10**6)


def test_pictures_upright_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40)).save(path, exif=exif)
    assert look_in_process(path, 10**6) == Media("image", "image/jpeg", 40, 80, None)
    with pytest.raises(UnsupportedImage, match="pixels"):
        look(path, 1000)
    path.write_bytes(path.read_bytes()[:-500])
    Image.new("RGB", (8, 8)).save(tmp_path / "a.gif")
    with pytest.raises(UnsupportedImage):
        look(tmp_path / "a.gif", 10**6)
