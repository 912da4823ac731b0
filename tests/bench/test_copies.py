"""Copies between two sets of faces, and what remembering them would be worth."""

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from bench import copies, reliability
from bench.copies import labels_of_copies, likeness, report
from tests.support.faces import make_faces
from training.data.dataset import LabelledFaces, load_folder


def _sets(folder: Path) -> tuple[LabelledFaces, LabelledFaces]:
    make_faces(folder / "train", 3, seed=1)
    make_faces(folder / "test", 2, seed=2, prefix="PublicTest")
    copied = sorted((folder / "test" / "happy").iterdir())[0].read_bytes()
    for emotion, name in (("sad", "a"), ("sad", "b"), ("happy", "c")):
        (folder / "train" / emotion / f"{name}.png").write_bytes(copied)
    other = sorted((folder / "test" / "fear").iterdir())[0].read_bytes()
    (folder / "train" / "fear" / "again.png").write_bytes(other)
    return load_folder(folder / "test"), load_folder(folder / "train")


def test_remembering_is_right_where_the_copy_has_the_same_label(tmp_path: Path) -> None:
    test, training = _sets(tmp_path)
    theirs = labels_of_copies(test, training)
    assert sorted(theirs[theirs >= 0].tolist()) == [2, 4]  # fear as fear, happy mostly as sad
    everything_angry = np.zeros(len(test), np.int64)
    found = report(test, training, everything_angry)
    assert found["copies"] == 2
    assert found["same_label_as_its_copy"] == 0.5
    assert found["accuracy"] == round(2 / 14, 4)
    assert found["accuracy_on_copies"] == 0.0
    assert found["accuracy_on_others"] == round(2 / 12, 4)
    assert found["remembered"] == round(3 / 14, 4)


def test_a_mirrored_brighter_picture_is_near(tmp_path: Path) -> None:
    _, training = _sets(tmp_path)
    picture = training.images[:1]
    changed = np.clip(picture[:, :, ::-1] * 0.7 + 40, 0, 255).astype(np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (1, 48, 48), dtype=np.uint8)
    found = likeness(np.concatenate([changed, noise]), training.images)
    assert found[0] > 0.99
    assert found[1] < 0.9


def test_a_folder_without_faces_is_said_in_one_line(tmp_path: Path) -> None:
    for program in (copies, reliability):
        outcome = CliRunner().invoke(program.main, ["--data", str(tmp_path)])
        assert outcome.exit_code == 1
        assert outcome.output.startswith("Error: ") and outcome.output.count("\n") == 1
        nobody = ["--data", str(tmp_path), "--models", str(tmp_path)]
        outcome = CliRunner().invoke(program.main, nobody)
        assert outcome.exit_code == 1
        assert outcome.output.startswith("Error: No model is active")
