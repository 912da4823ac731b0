"""What the training commands say of options, folders and files that cannot be used."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faces import make_faces, make_votes
from tests.support.models import make_version
from tests.support.trained import call, train
from training.data.dataset import load_folder
from training.data.sources import prepare
from training.evaluate import main as evaluate
from training.mix import main as mix
from training.recipes.networks import MienSpec
from training.recipes.recipes import MienRecipe
from training.train import main as train_main
from webapp.card import ModelCard
from webapp.errors import MienError

# Keras saves TensorFlow's variables through numpy in a way that numpy 2 announces as deprecated
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """``fer`` with training, validation and test pictures, and votes for them."""
    sets = [
        make_faces(tmp_path / "fer" / name, 2, seed=seed, prefix=name)
        for seed, name in enumerate(("train", "validation", "test"))
    ]
    make_votes(tmp_path / "votes.csv", *sets)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seed", -1), "--seed"),
        (("--split-seed", -3), "--split-seed"),
        (("--threads", 0), "--threads"),
        (("--recipe", "seed", "--seed", 20261128), "at most 42000"),
        (("--weights", "none"), "Only the recipes efficientnet..."),
        (("--publish", "my model"), "Expected a version name"),
        (("--publish", "ACTIVE"), "file that the server keeps"),
    ],
)
def test_options_that_cannot_be_are_refused_before_training(
    family: Path, options: tuple[object, ...], said: str
) -> None:
    done = train(family, "run", *options)
    assert done.exit_code in (1, 2)
    assert said in done.output
    assert not (family / "run").exists()


def test_out_that_is_a_file_and_a_folder_with_a_foreign_run_json(family: Path) -> None:
    (family / "file").write_text("mine")
    done = train(family, "file")
    assert "is a file" in done.output
    assert "--resume" not in done.output
    (family / "other").mkdir()
    record = family / "other" / "run.json"
    for content, said in (("{", "cannot be read"), ('{"mine": 1}', "another recipe")):
        record.write_text(content)
        done = train(family, "other", "--resume")
        assert done.exit_code == 1
        assert said in done.output
        assert record.read_text() == content
    shutil.rmtree(family / "fer" / "train")
    assert train(family, "other", "--resume").exit_code == 1
    assert record.exists()


def test_a_set_that_lacks_an_emotion_is_named(family: Path) -> None:
    shutil.rmtree(family / "fer" / "test" / "disgust")
    done = train(family, "run")
    assert "for the test set" in done.output
    assert "no picture of disgust" in done.output


def test_one_picture_of_each_emotion_is_too_few(tmp_path: Path) -> None:
    faces = make_faces(tmp_path / "faces", 1)
    done = call(train_main, "--data", faces, "--out", tmp_path / "run")
    assert "Expected at least two pictures of an emotion. Received 7 pictures" in done.output


def test_resume_needs_the_data_that_the_run_was_begun_with(family: Path) -> None:
    pytest.importorskip("torch")
    assert train(family, "run").exit_code == 0
    assert train(family, "run", "--resume").exit_code == 0
    votes = family / "votes.csv"
    whole = votes.read_text()
    votes.write_text(whole.replace(",8,", ",7,"))
    assert "another file of FER+ votes" in train(family, "run", "--resume").output
    votes.write_text(whole)
    known = next((family / "fer" / "train" / "happy").iterdir())
    shutil.copy(known, family / "fer" / "test" / "happy")
    assert "set of test pictures" in train(family, "run", "--resume").output
    shutil.rmtree(family / "fer" / "validation" / "sad")
    shutil.copytree(family / "fer" / "validation" / "fear", family / "fer" / "validation" / "sad")
    shutil.rmtree(family / "fer" / "test")
    assert "set of validation pictures" in train(family, "run", "--resume").output


def test_a_damaged_checkpoint_is_told(family: Path) -> None:
    pytest.importorskip("torch")
    assert train(family, "run").exit_code == 0
    checkpoint = family / "run" / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    done = train(family, "run", "--resume")
    assert done.exit_code == 1
    assert "cannot be read" in done.output
    assert "go on with --resume" not in done.output


@pytest.mark.parametrize(
    ("stops", "status", "said"),
    [(KeyboardInterrupt(), 130, "nothing is kept"), (MienError("astray"), 1, "astray")],
)
def test_a_run_that_ends_before_an_epoch_is_whole_is_none(
    family: Path, monkeypatch: pytest.MonkeyPatch, stops: BaseException, status: int, said: str
) -> None:
    def ends(*_: object) -> None:
        assert (family / "run" / "run.json").exists()
        raise stops

    monkeypatch.setattr("training.train.train", ends)
    done = train(family, "run")
    assert (done.exit_code, said in done.output) == (status, True)
    assert not (family / "run" / "run.json").exists()


def test_a_loss_that_is_no_number_is_told(family: Path) -> None:
    pytest.importorskip("torch")
    from training.engines.torch_loop import train_mien

    faces = load_folder(family / "fer" / "train")
    recipe = MienRecipe(
        epochs=1, batch=2, peak=1e30, network=MienSpec(stem=(8, 8), blocks=((8, 1),))
    )
    with pytest.raises(MienError, match="Expected a finite loss"):
        train_mien(family, recipe, faces, faces, seed=1, resume=False, report=lambda _: None)
    assert not (family / "checkpoint.pt").exists()


def test_measuring_into_a_place_that_is_none_is_one_line(family: Path) -> None:
    make_version(family / "models", "v1")
    for options in (
        ("--json", family / "nowhere" / "figures.json"),
        ("--json", family / "figures.json", "--report", family / "votes.csv"),
    ):
        done = call(
            evaluate, "--model", "v1", "--models-dir", family / "models",
            "--data", family / "fer", *options,
        )  # fmt: skip
        assert done.exit_code == 1
        assert "Cannot be read or written" in done.output


def test_a_mixture_that_cannot_be_scored_leaves_the_card(family: Path) -> None:
    shutil.rmtree(family / "fer" / "test")
    version = make_version(family / "models", "v1")
    facts = prepare(family / "fer", family / "votes.csv", 0.1, 1).facts
    replace(ModelCard.load(version), data={"training": facts}).save(version)
    before = ModelCard.load(version)
    done = call(
        mix, "--model", "v1", "--models-dir", family / "models", "--data", family / "fer",
        "--ferplus", family / "votes.csv", "--into", "v1", "--weight", 0.2,
    )  # fmt: skip
    assert done.exit_code == 1
    assert "Expected test pictures" in done.output
    assert ModelCard.load(family / "models" / "v1") == before
