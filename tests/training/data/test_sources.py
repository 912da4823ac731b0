import csv

import cv2
import numpy as np
import pytest

from tests.support.faces import draw, make_faces, make_votes
from training.data.dataset import (
    DatasetError,
    class_weights,
    ferplus_majority,
    load_folder,
    one_hot,
)
from training.data.sources import prepare, read_source
from webapp.domain import EMOTIONS


def test_kaggle_layout_with_test_drops_its_copies_from_training(tmp_path):
    make_faces(tmp_path / "train", 6, seed=1)
    make_faces(tmp_path / "test", 2, seed=2, prefix="PublicTest")
    copied = next((tmp_path / "test" / "happy").iterdir())
    (tmp_path / "train" / "sad" / "again.png").write_bytes(copied.read_bytes())
    ready = prepare(tmp_path, None, 0.25, seed=3)
    assert ready.facts["pictures"] == 6 * 7 + 1
    assert ready.facts["copies_of_test_dropped"] == 1
    assert "again.png" not in (*ready.training.names, *ready.validation.names)
    # stratified: a quarter of six, rounded, of every emotion
    assert set(ready.validation.class_counts.values()) == {2}
    assert set(ready.training.class_counts.values()) == {4}


def test_validation_folder_is_used_and_its_copies_leave_training(tmp_path):
    make_faces(tmp_path / "train", 4, seed=1)
    make_faces(tmp_path / "validation", 2, seed=2, prefix="v")
    copied = next((tmp_path / "validation" / "fear").iterdir())
    (tmp_path / "train" / "fear" / "again.png").write_bytes(copied.read_bytes())
    ready = prepare(tmp_path, None, 0.25, seed=3)
    assert len(ready.validation) == 14
    assert len(ready.training) == 28
    assert ready.facts["copies_of_validation_dropped"] == 1


def test_any_format_size_and_colour_becomes_48_grey(tmp_path):
    folder = make_faces(tmp_path / "faces", 1)
    generator = np.random.default_rng(0)
    large = draw(0, generator, 96)
    cv2.imwrite(str(folder / "angry" / "large.jpg"), cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
    cv2.imwrite(str(folder / "angry" / "wide.png"), np.full((20, 60), 77, np.uint8))
    faces = load_folder(folder)
    assert faces.images.shape == (9, 48, 48)
    assert faces.images.dtype == np.uint8
    wide = faces.images[faces.names.index("wide.png")]
    assert (wide == 77).all()
    shrunk = faces.images[faces.names.index("large.jpg")].astype(float)
    expected = cv2.resize(large, (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - expected).mean() < 4


def test_unreadable_files_are_listed_and_skipped(tmp_path):
    folder = make_faces(tmp_path / "faces", 2)
    (folder / "sad" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "sad" / "empty.jpg").write_bytes(b"")
    (folder / "sad" / "notes.txt").write_text("no picture")
    faces = load_folder(folder)
    assert set(faces.unreadable) == {"sad/broken.png", "sad/empty.jpg", "sad/notes.txt"}
    assert faces.class_counts["sad"] == 2


def test_empty_class_and_wrong_folder_say_what_is_missing(tmp_path):
    folder = make_faces(tmp_path / "faces", 1)
    for picture in (folder / "disgust").iterdir():
        picture.unlink()
    (folder / "disgust" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(DatasetError, match=r"disgust.* holds no readable picture"):
        read_source(folder)
    (folder / "disgust" / "broken.png").unlink()
    with pytest.raises(DatasetError, match="no picture of disgust"):
        read_source(folder)
    with pytest.raises(DatasetError, match="not a folder"):
        read_source(tmp_path / "nowhere")


def _write_csv(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["emotion", "pixels", "Usage"])
        writer.writerows(rows)


def _pixels(label, generator):
    return " ".join(map(str, draw(label, generator).ravel().tolist()))


def test_fer2013_csv_equals_the_pictures_made_from_it(tmp_path):
    generator = np.random.default_rng(5)
    rows = [(n % 7, _pixels(n % 7, generator), "Training") for n in range(14)]
    rows += [(n % 7, _pixels(n % 7, generator), "PublicTest") for n in range(7)]
    rows += [(9, rows[0][1], "Training"), (0, "1 2 3", "Training"), (0, rows[0][1], "Other")]
    path = tmp_path / "fer2013.csv"
    _write_csv(path, rows)
    source = read_source(path)
    assert source.training.class_counts == dict.fromkeys(EMOTIONS, 2)
    assert source.training.names[3] == "Training_00003.png"
    assert source.validation.names[0] == "PublicTest_00014.png"
    assert source.test is None
    assert len(source.training.unreadable) == 3
    pixels = np.array(rows[3][1].split(), np.uint8).reshape(48, 48)
    assert (source.training.images[3] == pixels).all()


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "some.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=r"expected the columns of fer2013\.csv.* names a, b"):
        read_source(path)


def test_ferplus_votes_are_joined_by_name(tmp_path):
    folder = make_faces(tmp_path / "faces", 2)
    votes = make_votes(tmp_path / "votes.csv", folder)
    (folder / "happy" / "unknown.png").write_bytes(next((folder / "happy").iterdir()).read_bytes())
    faces = load_folder(folder, votes)
    majority = ferplus_majority(faces.votes)
    known = majority >= 0
    assert known.sum() == 14
    assert (majority[known] == faces.labels[known]).all()
    assert faces.votes[~known].sum() == 0


def test_class_weights_and_one_hot():
    labels = np.array([0, 0, 0, 0, 1, 2, 2])
    assert class_weights(labels).tolist() == [1, 4, 2, 0, 0, 0, 0]
    assert one_hot(labels).argmax(axis=1).tolist() == labels.tolist()
