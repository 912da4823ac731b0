from __future__ import annotations

import io

import av
import numpy as np
import pytest

from webapp.files.kinds import (
    ARCHIVE,
    HEAD_BYTES,
    UNKNOWN,
    VIDEO,
    image_type,
    is_system_file,
    kind_of,
    why_unknown,
)


def film(container: str, codec: str) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            picture = np.full((48, 64, 3), 10 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    return target.getvalue()


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "mpeg4"),
        ("mov", "mpeg4"),
        ("3gp", "mpeg4"),
        ("matroska", "mpeg4"),
        ("avi", "mpeg4"),
        ("mpegts", "mpeg2video"),
        ("mpeg", "mpeg2video"),
        ("mpeg2video", "mpeg2video"),
        ("asf", "wmv2"),
        ("flv", "flv"),
        ("nut", "mpeg4"),
        ("rm", "rv20"),
        ("wtv", "mpeg2video"),
        ("m4v", "mpeg4"),
        ("yuv4mpegpipe", "wrapped_avframe"),
    ],
)
def test_what_the_decoder_writes_is_known_as_a_video(container: str, codec: str) -> None:
    try:
        data = film(container, codec)
    except (ValueError, av.FFmpegError) as error:
        pytest.skip(f"FFmpeg here cannot write it: {error}")
    assert kind_of(data[:HEAD_BYTES]) == VIDEO


@pytest.mark.parametrize("box", [b"wide", b"free", b"skip", b"mdat", b"moov", b"pnot"])
def test_an_old_quicktime_film_begins_with_any_box(box: bytes) -> None:
    assert kind_of(b"\0\0\0\x08" + box + b"\0\0\x01\0mdat" + bytes(90)) == VIDEO


def test_a_camcorders_transport_stream_has_four_bytes_before_each_packet() -> None:
    assert kind_of((b"\0\0\0\0\x47\x40\0\x10" + b"\xff" * 184) * 6) == VIDEO


@pytest.mark.parametrize(
    "head",
    [
        b"hello, this is text " * 20,
        b"BMW and other cars " * 20,
        b"%PDF-1.7\n" + bytes(90),
        b"RIFF\0\0\0\0WAVEfmt " + bytes(90),
        b"ID3\x03\0" + bytes(90),
        b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + bytes(90),
        b"G" * 10,
        bytes(300),
        b"",
        b"file;respondent\n" * 30,
    ],
)
def test_what_is_neither_picture_nor_video_is_unknown(head: bytes) -> None:
    assert kind_of(head) == UNKNOWN


def test_archives_that_are_not_opened_are_named() -> None:
    assert kind_of(b"PK\x05\x06" + bytes(18)) == ARCHIVE
    assert "RAR" in why_unknown(b"Rar!\x1a\x07\0" + bytes(90))
    assert "tar" in why_unknown(bytes(257) + b"ustar\0" + bytes(90))
    assert "not a picture" in why_unknown(b"text")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"\0\0\x01\0\x01\0\x20\x20", "icon"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"FUJIFILMCCD-RAW 0201", "raw file"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    ],
)
def test_files_that_no_decoder_reads_are_named_with_the_way_out(head: bytes, name: str) -> None:
    assert kind_of(head) == UNKNOWN
    assert name in why_unknown(head)


def test_brands_tell_avif_from_heic() -> None:
    assert image_type(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf") == "image/avif"
    assert image_type(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif") == "image/avif"
    assert image_type(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == "image/heic"


@pytest.mark.parametrize(
    "path",
    [
        "a/@eaDir/b.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "__MACOSX/a/._b.jpg",
        "a/.picasa.ini",
        "a/Thumbs.db",
        "a\\Thumbs.db",
        "Icon\r",
        "a/.DS_Store",
        "a/.picasaoriginals/b.jpg",
        "#recycle/b.jpg",
    ],
)
def test_what_systems_leave_behind_is_known(path: str) -> None:
    assert is_system_file(path)


@pytest.mark.parametrize("path", ["a/b.jpg", "icon.png", "thumbs/b.jpg", ".hidden/b.jpg"])
def test_other_files_are_somebodys(path: str) -> None:
    assert not is_system_file(path)
