"""Changes made by torch for whole batches, and training with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from tests.support.faces import draw, make_faces, make_votes  # noqa: E402
from training.data.arrival import Arrival  # noqa: E402
from training.data.augment import Augmentation, resize_batch  # noqa: E402
from training.data.sources import prepare  # noqa: E402
from training.engines.device_batches import (  # noqa: E402
    Draw,
    OnDevice,
    augment,
    blurred,
    compressed,
)
from training.engines.distil import read_answers, taught  # noqa: E402
from training.recipes.networks import MienSpec  # noqa: E402
from training.recipes.recipes import MIEN_RECIPES  # noqa: E402
from training.runs import read_history  # noqa: E402
from training.train import main  # noqa: E402
from webapp.errors import ModelInvalid  # noqa: E402

# Keras saves TensorFlow variables through numpy's older protocol
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")
STILL = Augmentation(
    flip=0, rotation=0, scale=0, stretch=0, shift=0, shear=0, light=0, noise_chance=0,
    blur_chance=0, cutout_chance=0, mixup=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    generator = np.random.default_rng(1)
    return np.stack([draw(n % 7, generator) for n in range(32)])


def _augmented(faces: np.ndarray, strength: Augmentation, side: int = 48) -> np.ndarray:
    found = augment(torch.from_numpy(faces)[:, None], side, strength, Draw(1, CPU))
    assert found.dtype == torch.float32
    assert tuple(found.shape) == (len(faces), 1, side, side)
    assert 0 <= float(found.min()) <= float(found.max()) <= 255
    return found[:, 0].numpy()


def test_no_change_at_no_strength(faces: np.ndarray) -> None:
    np.testing.assert_allclose(_augmented(faces, STILL), faces, atol=0.02)
    smaller = resize_batch(faces, 44)
    assert np.abs(_augmented(faces, STILL, 44) - smaller).mean() < 6


def test_a_flip_is_the_mirror(faces: np.ndarray) -> None:
    found = _augmented(faces, replace(STILL, flip=1.0))
    np.testing.assert_allclose(found, faces[:, :, ::-1], atol=0.02)


def test_every_change_changes(faces: np.ndarray) -> None:
    for name in ("light", "noise_chance", "blur_chance", "cutout_chance"):
        found = _augmented(faces, replace(STILL, **{name: 1.0}))
        assert np.abs(found - faces).mean() > 0.3, name
    for name in ("rotation", "scale", "stretch", "shift", "shear"):
        found = _augmented(faces, replace(STILL, **{name: getattr(Augmentation(), name)}))
        assert np.abs(found - faces).mean() > 0.3, name


def test_only_the_share_that_arrives_is_changed(faces: np.ndarray) -> None:
    found = _augmented(faces, replace(STILL, arrival=Arrival(chance=0.5)))
    changed = np.abs(found - faces).max(axis=(1, 2)) > 0.1
    assert changed.sum() == len(faces) // 2
    np.testing.assert_array_equal(found[changed], np.rint(found[changed]))


def test_blur_and_jpeg_are_those_of_opencv(faces: np.ndarray) -> None:
    pictures = torch.from_numpy(faces.astype(np.float32))[:, None]
    soft = blurred(pictures, torch.full((len(faces),), 1.2))[:, 0].numpy()
    expected = [
        cv2.GaussianBlur(p.astype(np.float32), (9, 9), 1.2, borderType=cv2.BORDER_REPLICATE)
        for p in faces
    ]
    np.testing.assert_allclose(soft, expected, atol=0.05)
    for quality in (20, 75):
        found = compressed(pictures, torch.full((len(faces),), float(quality)))[:, 0].numpy()
        packed = [cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for p in faces]
        written = np.stack([cv2.imdecode(p, cv2.IMREAD_GRAYSCALE) for p in packed])
        # rounding in the file's integer transform may pass a border of the quantisation
        assert np.abs(found - written).mean() < 0.25 * np.abs(written - faces.astype(float)).mean()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    make_faces(folder / "fer" / "train", 10, seed=1)
    make_votes(folder / "votes.csv", folder / "fer" / "train")
    return folder


def test_an_epoch_is_fixed_by_its_seed(data: Path) -> None:
    training = prepare(data / "fer", data / "votes.csv", 0.1, 1).training
    recipe = replace(MIEN_RECIPES["mien-robust"], batch=16)
    held = OnDevice(training, recipe, CPU)
    first, again, other = (list(held.epoch(0, seed)) for seed in (1, 1, 2))
    assert len(first) == len(training) // 16
    for one, same in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(first[0][0], other[0][0])
    pictures, fer2013, ferplus, each, weight = first[0]
    assert tuple(pictures.shape) == (16, 1, recipe.side_of(0), recipe.side_of(0))
    assert fer2013.shape == ferplus.shape == (16, 7)
    assert each.shape == weight.shape == (16,)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    network = MienSpec(stem=(8, 8), blocks=((8, 1), (16, 2)))
    small = replace(MIEN_RECIPES["mien-wide"], network=network, epochs=3, batch=16)
    monkeypatch.setitem(MIEN_RECIPES, "mien-wide", small)


def _train(data: Path, run: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        main, ["--data", str(data / "fer"), "--ferplus", str(data / "votes.csv"), "--out",
               str(run), "--recipe", "mien-wide", "--augment", "device", *options],
    )  # fmt: skip
    return done.exit_code, done.output + repr(done.exception)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_stopped_by_the_clock_it_goes_on_as_if_nothing_had_happened(
    data: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    status, said = _train(data, whole)
    assert status == 0, said
    status, said = _train(data, cut, "--minutes", "0.0001")
    assert status == 75
    assert "1 of 3 epochs are done" in said
    assert _train(data, cut, "--resume")[0] == 0
    losses = [[row["loss"] for row in read_history(run)] for run in (whole, cut)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_what_is_asked_of_torch_reaches_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compile_it(network: object) -> object:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", compile_it)
    assert _train(data, tmp_path / "run", "--compile", "--epochs", "1")[0] == 0
    assert len(compiled) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, said = _train(data, tmp_path / "other", "--device", "cuda")
    assert status == 1
    assert "Expected a CUDA device" in said
    status, said = _train(data, tmp_path / "keras", "--engine", "keras", "--compile")
    assert status == 2
    assert "torch engine" in said


@pytest.mark.slow
def test_the_script_for_a_lent_machine(data: Path, tmp_path: Path) -> None:
    """As on an accelerator, with a small network and on the processor: stop, go on, come home."""
    environment = os.environ | {
        "PYTHON": sys.executable, "DEVICE": "cpu", "RECIPE": "mien", "EPOCHS": "2", "BATCH": "32",
        "COMPILE": "0", "PIECE": "6000000", "PYTHONPATH": str(ROOT),
    }  # fmt: skip

    def call(work: str, back: str, **settings: str) -> subprocess.CompletedProcess[str]:
        folders = (data / "fer", data / "votes.csv", tmp_path / work, tmp_path / back)
        return subprocess.run(
            [str(ROOT / "tools" / "train_large.sh"), *map(str, folders)],
            cwd=ROOT, env=environment | settings, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = call("first", "back", MINUTES="0.0001")
    assert done.returncode == 75, done.stderr
    assert len(list((tmp_path / "back").glob("run.tar.*"))) > 1
    assert not (tmp_path / "back" / "answers.npz").exists()
    # another machine: nothing is there but what came home
    done = call("second", "back", RESUME_FROM=str(tmp_path / "back"))
    assert done.returncode == 0, done.stderr
    pieces = sorted((tmp_path / "back").glob("run.tar.*"))
    assert all(piece.stat().st_size <= 6_000_000 for piece in pieces)
    assert len(read_history(tmp_path / "second" / "run")) == 2
    (tmp_path / "home").mkdir()
    whole = tmp_path / "run.tar"
    whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    subprocess.run(["tar", "xf", whole, "-C", tmp_path / "home"], check=True)
    run = tmp_path / "home" / "run"
    assert (run / "model.keras").is_file()

    answers = tmp_path / "back" / "answers.npz"
    split = prepare(data / "fer", None, 0.1, 1)
    found = taught([answers], split.training)
    assert found is not None
    for head in ("fer2013", "ferplus"):
        assert found[head].shape == (len(split.training), 7)
        np.testing.assert_allclose(found[head].sum(axis=1), 1, atol=1e-3)
    logits = read_answers(answers, split.validation)["ferplus"]
    assert logits.shape == (len(split.validation), 7)
    facts = json.loads((run / "run.json").read_text())["data"]
    assert facts["fingerprint"] == split.facts["fingerprint"]
    # and teaches
    options = ["--teacher", str(answers), "--split-seed"]
    pupil = ["--data", str(data / "fer"), "--recipe", "mien", "--epochs", "1", "--batch", "32"]
    taught_run = tmp_path / "pupil"
    done_here = CliRunner().invoke(main, [*pupil, "--out", str(taught_run), *options, "1"])
    assert done_here.exit_code == 0, done_here.output
    assert json.loads((taught_run / "run.json").read_text())["teachers"][0]["answers"]
    other = CliRunner().invoke(main, [*pupil, "--out", str(tmp_path / "o"), *options, "2"])
    assert other.exit_code == 1
    assert "may have seen" in other.output


def test_what_cannot_teach(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "answers.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelInvalid, match="cannot teach"):
        taught([path], prepare(data / "fer", None, 0.1, 1).training)
