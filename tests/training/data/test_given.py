"""Labelled faces as people have them: other names, formats, folders, tables and archives."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.faces import draw, make_faces
from training.admission.faces import read_zip
from training.data.archive import opened
from training.data.dataset import DatasetError, ferplus_majority
from training.data.labels import are_numbered, emotion_of
from training.data.sources import prepare, read_evaluation, read_source
from webapp.domain import EMOTIONS

NOUNS = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Neutral")
ADJECTIVES = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
CODES = ("AN", "DI", "FE", "HA", "SA", "SU", "NE")
DECORATED = tuple(f"{number}_{name}" for number, name in enumerate(ADJECTIVES))
NUMBERS = tuple("0123456")


def renamed(folder: Path, names: tuple[str, ...]) -> Path:
    for emotion, name in zip(EMOTIONS, names, strict=True):
        (folder / emotion).rename(folder / f"moving-{name}")
    for name in names:
        (folder / f"moving-{name}").rename(folder / name)
    return folder


def packed(folder: Path, path: Path, extra: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"faces/{file.relative_to(folder).as_posix()}")
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("names", [NOUNS, ADJECTIVES, CODES, DECORATED, NUMBERS])
def test_class_folders_by_any_name_through_every_door(tmp_path: Path, names) -> None:
    folder = renamed(make_faces(tmp_path / "faces", 2), names)
    leftovers = {
        "__MACOSX/faces/._x.png": b"x",
        f"faces/{names[0]}/.DS_Store": b"x",
        f"faces/{names[1]}/@eaDir/a.png/T.png": b"x",
        "faces/README.txt": b"what this is",
    }
    path = packed(folder, tmp_path / "train.zip", leftovers)
    assert read_source(folder).training.class_counts == dict.fromkeys(EMOTIONS, 2)
    with opened(path) as source:
        assert read_source(source).training.unreadable == ("faces/README.txt",)
        assert read_evaluation(source).class_counts == dict.fromkeys(EMOTIONS, 2)
    faces, left_out = read_zip(path, 10**8)
    assert faces.class_counts == dict.fromkeys(EMOTIONS, 2)
    assert [name.partition(":")[0] for name in left_out] == ["faces/README.txt"]


GERMAN = ("Wut", "Ekel", "Angst", "Fröhlich", "Trauer", "U\u0308berraschung", "neutral")
FRENCH = ("Colère", "dégoût", "PEUR", "joie", "tristesse", "surprise", "neutre")
SPANISH = ("enojo", "asco", "miedo", "Felicidad", "tristeza", "sorpresa", "neutro")
LOOSE = (
    "(0) ANGRY",
    "disgust_faces",
    "fear (2)",
    "3. Happy",
    "emotion_sad",
    "surprise7",
    "6-Neutral",
)


@pytest.mark.parametrize("names", [GERMAN, FRENCH, SPANISH, LOOSE])
def test_classes_in_other_languages_and_with_decoration(names) -> None:
    assert [emotion_of(name) for name in names] == list(range(7))


def test_codes_with_a_number_are_people_and_no_emotion() -> None:
    assert [emotion_of(name) for name in ("fe3", "an12", "content", "happy_birthday")] == [None] * 4


@pytest.mark.parametrize("numbers", ["1234567", "01234567"])
def test_other_numberings_are_refused_with_the_reason(tmp_path: Path, numbers: str) -> None:
    folder = tmp_path / "faces"
    for number in numbers:
        (folder / number).mkdir(parents=True)
        Image.new("L", (48, 48)).save(folder / number / "a.png")
    with pytest.raises(DatasetError, match=f"numbered {numbers[0]} to 7"):
        read_source(folder)
    rows = [f"{numbers[n % len(numbers)]},{'7 ' * 2304},Training" for n in range(24)]
    path = tmp_path / "faces.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]))
    with pytest.raises(DatasetError, match=f"numbered {numbers[0]} to 7"):
        read_source(path)


@pytest.mark.parametrize(
    "form",
    [
        lambda pixels: "[" + ", ".join(pixels) + "]",
        lambda pixels: "\n".join(pixels),
        lambda pixels: " ".join(f"{value}.0" for value in pixels),
        lambda pixels: " ".join(str(int(value) / 255) for value in pixels),
    ],
    ids=["list", "lines", "floats", "shares"],
)
def test_pixels_however_a_program_wrote_them(tmp_path: Path, form) -> None:
    path = tmp_path / "faces.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("label", "pixels"))
        for name, pixels, _ in rows_of(NOUNS):
            writer.writerow((name, form(pixels.split())))
    plain = table(tmp_path / "plain.csv", ("emotion", "pixels"), order=(0, 1))
    found, expected = (read_source(one).training for one in (path, plain))
    assert np.array_equal(found.images, expected.images)
    assert np.array_equal(found.labels, expected.labels)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_one_compressed_table_and_files_that_are_none(tmp_path: Path, pack) -> None:
    plain = table(tmp_path / "plain.csv", ("emotion", "pixels", "Usage"))
    path = tmp_path / "fer2013.csv.packed"
    path.write_bytes(pack(plain.read_bytes()))
    with opened(path) as source:
        assert read_source(source).training.fingerprint == read_source(plain).training.fingerprint
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match="cannot be unpacked"), opened(path):
        pass
    for data, words in ((b"7z\xbc\xaf\x27\x1c", "7z archives"), (b"PAR1", "something else")):
        path.write_bytes(data + bytes(90))
        with pytest.raises(DatasetError, match=words), opened(path) as source:
            read_source(source)


def test_hard_links_in_a_tar_are_files_and_what_points_outside_is_listed(tmp_path: Path) -> None:
    folder = make_faces(tmp_path / "faces", 1)
    path = tmp_path / "faces.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(folder, "faces")
        first = next(info for info in archive.getmembers() if info.isfile())
        for kind, name, target in (
            (tarfile.LNKTYPE, "faces/happy/again.png", first.name),
            (tarfile.SYMTYPE, "faces/happy/link.png", "/etc/hostname"),
            (tarfile.REGTYPE, "../outside.png", ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    with opened(path) as source:
        faces = read_source(source).training
    assert len(faces) == 8
    assert {name.rpartition("/")[2] for name in faces.unreadable} == {"link.png", "outside.png"}


def test_names_that_mean_other_emotions_are_none() -> None:
    assert [emotion_of(name) for name in ("contempt", "happy_birthday", "3", "calm")] == [None] * 4
    assert not are_numbered("1234567")  # RAF-DB
    assert not are_numbered("01234567")  # AffectNet
    assert are_numbered("0123456")


def test_half_of_the_pictures_as_tiff_and_without_a_suffix(tmp_path: Path) -> None:
    folder = make_faces(tmp_path / "faces", 4)
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        if number % 2:
            Image.open(file).save(file.with_suffix(".tiff"))
            file.unlink()
        elif number % 4 == 0:
            file.rename(file.with_suffix(""))
    assert read_source(folder).training.class_counts == dict.fromkeys(EMOTIONS, 4)
    faces, left_out = read_zip(packed(folder, tmp_path / "t.zip"), 10**8)
    assert (len(faces), left_out) == (28, [])


def test_sets_in_capitals_and_deep_folders(tmp_path: Path) -> None:
    make_faces(tmp_path / "in" / "FER" / "Train", 3, seed=1)
    make_faces(tmp_path / "in" / "FER" / "Test", 1, seed=2)
    source = read_source(tmp_path / "in")
    assert source.test is not None
    assert (len(source.training), len(source.test)) == (21, 7)
    assert len(read_evaluation(tmp_path / "in")) == 7


def rows_of(names, count: int = 14):
    generator = np.random.default_rng(5)
    for number in range(count):
        pixels = " ".join(map(str, draw(number % 7, generator).ravel().tolist()))
        yield names[number % 7], pixels, ("Training", "PublicTest")[number >= 7]


def table(path: Path, header, names=NUMBERS, delimiter=",", encoding="utf-8", order=(0, 1, 2)):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(header)
    writer.writerows([row[at] for at in order] for row in rows_of(names))
    path.write_bytes(text.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("names", [NUMBERS, NOUNS])
@pytest.mark.parametrize(
    ("header", "delimiter", "encoding", "order"),
    [
        (("emotion", " pixels", " Usage"), ",", "utf-8", (0, 1, 2)),
        (("emotion", " Usage", " pixels"), ",", "utf-8-sig", (0, 2, 1)),
        (("Emotion", "Pixels", "Usage"), ";", "utf-16", (0, 1, 2)),
        (("emotion", "pixels", "Usage"), "\t", "utf-8", (0, 1, 2)),
    ],
)
def test_tables_of_faces_however_they_were_saved(
    tmp_path: Path, names, header, delimiter, encoding, order
) -> None:
    path = table(tmp_path / "icml.csv", header, names, delimiter, encoding, order)
    plain = read_source(table(tmp_path / "plain.csv", ("emotion", "pixels", "Usage")))
    source = read_source(path)
    assert source.training.fingerprint == plain.training.fingerprint
    assert source.validation is not None
    packed_path = tmp_path / "fer2013.tar.gz"
    with tarfile.open(packed_path, "w:gz") as archive:
        archive.add(path, "fer2013/fer2013.csv")
        archive.addfile(tarfile.TarInfo("fer2013/README"))
    with opened(packed_path) as folder:
        assert read_source(folder).training.fingerprint == plain.training.fingerprint


def test_official_ferplus_votes_belong_to_the_rows_of_the_table(tmp_path: Path) -> None:
    path = table(tmp_path / "fer2013.csv", ("emotion", "pixels", "Usage"))
    columns = [
        "neutral",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "disgust",
        "fear",
        "contempt",
        "unknown",
        "NF",
    ]
    place = (4, 5, 6, 1, 3, 2, 0)
    votes = tmp_path / "fer2013new.csv"
    with votes.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Usage", "Image name", *columns])
        for number in range(14):
            row = [0] * 10
            row[place[number % 7]] = 10
            usage = ("Training", "PublicTest")[number >= 7]
            writer.writerow([usage, f"fer{number:07}.png", *row])
    source = read_source(path, votes)
    assert (ferplus_majority(source.training.votes) == source.training.labels).all()


def test_votes_for_other_pictures_are_refused(tmp_path: Path) -> None:
    folder = make_faces(tmp_path / "faces", 2)
    votes = tmp_path / "votes.csv"
    votes.write_text(
        "file,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
        "other.png,10,0,0,0,0,0,0,0,0,0\n"
    )
    with pytest.raises(DatasetError, match="0 of 14 pictures have votes"):
        prepare(folder, votes, 0.5, seed=1)
    with pytest.raises(DatasetError, match="0 of 14 pictures have votes"):
        read_evaluation(folder, votes)


def test_archives_are_told_by_content_and_damaged_ones_in_one_line(tmp_path: Path) -> None:
    folder = make_faces(tmp_path / "faces", 1)
    path = packed(folder, tmp_path / "data.bin")
    with opened(path) as source:
        assert len(read_source(source).training) == 7
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="encrypted") as raised, opened(path):
        pass
    assert "\n" not in str(raised.value)
    shutil.make_archive(str(tmp_path / "t"), "gztar", folder)
    cut = tmp_path / "cut.tgz"
    cut.write_bytes((tmp_path / "t.tar.gz").read_bytes()[:600])
    with pytest.raises(DatasetError), opened(cut) as source:
        read_source(source)
