"""The command line as a user meets it; each test starts real processes on a tiny data set."""

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.faces import make_faces, make_votes
from training.runs import read_history
from webapp.card import ModelCard
from webapp.domain import EMOTIONS
from webapp.models.registry import Registry
from webapp.vision.classifier import Classifier

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}


def _command(module, *options):
    return [sys.executable, "-m", module, *map(str, options)]


def _run(module, *options, **kwargs):
    return subprocess.run(
        _command(module, *options),
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False, **kwargs,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_faces(folder / "fer" / "train", 10, seed=1)
    make_faces(folder / "fer" / "test", 2, seed=2, prefix="PublicTest")
    make_votes(folder / "votes.csv", folder / "fer" / "train", folder / "fer" / "test")
    return folder


def test_one_command_from_the_archive_to_a_version_that_serves(data, tmp_path):
    with tarfile.open(tmp_path / "fer.tar.xz", "w:xz") as archive:
        archive.add(data / "fer", "fer")
    done = _run(
        "training.train", "--data", tmp_path / "fer.tar.xz", "--ferplus", data / "votes.csv",
        "--out", tmp_path / "run", "--epochs", 1, "--batch", 16, "--threads", 1,
        "--publish", "tiny-1", "--models-dir", tmp_path / "models",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    registry = Registry(tmp_path / "models")
    assert registry.active().version == "tiny-1"
    assert max(registry.verify("tiny-1")["differences"].values()) < 1e-3
    folder = tmp_path / "models" / "tiny-1"
    card = ModelCard.load(folder)
    assert card.data["training"]["pictures"] == 70
    assert card.metrics["test"]["n"] == 14
    assert card.metrics["test"]["ferplus"]["n"] == 14
    assert card.metrics["validation"]["source"] == "the published files"
    assert card.training["seed"] == 1
    assert card.training["published"]["litert_difference"]["probabilities"] <= 1e-5
    assert str(tmp_path) not in (folder / "card.json").read_text()
    assert list((tmp_path / "run" / "logs").glob("events.*"))
    probabilities = Classifier.from_version(folder).probabilities(
        np.full((1, card.input.height, card.input.width, 1), 99, np.float32)
    )
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)

    measured = _run(
        "training.evaluate", "--model", "ACTIVE", "--models-dir", tmp_path / "models",
        "--data", data / "fer" / "test", "--ferplus", data / "votes.csv", "--json", "-",
        "--report", tmp_path / "report", "--report-sample", 7,
    )  # fmt: skip
    assert measured.returncode == 0, measured.stderr
    found = json.loads(measured.stdout)
    kept = card.metrics["test"]
    for key in (
        "n",
        "accuracy",
        "precision_macro",
        "recall_macro",
        "f1_macro",
        "loss",
        "ece",
        "precision_thresholded",
        "recall_thresholded",
    ):
        assert found[key] == pytest.approx(kept[key])
    assert found["per_class"].keys() == set(EMOTIONS)
    assert found["serving"]["head"] == "ferplus"
    assert found["serving"]["fer2013"]["n"] == found["serving"]["ferplus"]["n"] == 14
    assert found["ms_per_face"] > 0
    for name in ("index.html", "reliability.png", "robustness.png",
                 "confusion1.png", "confusion2.png", "figures.json"):  # fmt: skip
        assert (tmp_path / "report" / name).stat().st_size > 0


def _train_options(data, run, engine, epochs, *more):
    return (
        "--data", data / "fer", "--ferplus", data / "votes.csv", "--out", run, "--engine", engine,
        "--epochs", epochs, "--batch", 16, "--threads", 1, *more,
    )  # fmt: skip


def _kill_in_mid_epoch(command, run):
    """Kill -9 once an epoch is whole and a later one has begun."""
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    ) as process:  # fmt: skip
        for line in process.stdout:
            if line.startswith("epoch") and "done" in line:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    assert not (run / "model.keras").exists()


@pytest.mark.parametrize("engine", ["torch", "keras"])
def test_killed_run_resumes_with_the_same_schedule(data, tmp_path, engine):
    if engine == "torch":
        pytest.importorskip("torch")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    done = _run("training.train", *_train_options(data, whole, engine, 3))
    assert done.returncode == 0, done.stderr
    _kill_in_mid_epoch(_command("training.train", *_train_options(data, cut, engine, 3)), cut)
    before = read_history(cut)
    assert 1 <= len(before) < 3
    done = _run("training.train", *_train_options(data, cut, engine, 3, "--resume"))
    assert done.returncode == 0, done.stderr
    expected, received = read_history(whole), read_history(cut)
    assert received[: len(before)] == before
    for key in ("epoch", "side", "rate"):
        assert [row[key] for row in received] == [row[key] for row in expected]
    # the same pictures, changes, rates and dropout: the same loss, up to the order of sums
    np.testing.assert_allclose(
        [row["loss"] for row in received], [row["loss"] for row in expected], rtol=0.02
    )
    assert not list(cut.glob(".*"))


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(data, tmp_path):
    pytest.importorskip("torch")
    run = tmp_path / "run"
    command = _command("training.train", *_train_options(data, run, "torch", 3))
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        for line in process.stdout:
            if line.startswith("epoch") and "done" in line:
                process.send_signal(signal.SIGINT)
                break
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert "go on with --resume" in out
    assert "Traceback" not in err
    assert 1 <= len(read_history(run)) < 3
    assert not (run / "model.keras").exists()
    assert not list(run.glob(".*"))


def test_resume_with_other_options_is_refused(data, tmp_path):
    pytest.importorskip("torch")
    run = tmp_path / "run"
    assert _run("training.train", *_train_options(data, run, "torch", 1)).returncode == 0
    again = _run("training.train", *_train_options(data, run, "torch", 1))
    assert again.returncode == 1
    assert "holds a run already" in again.stderr
    other = _run("training.train", *_train_options(data, run, "torch", 2, "--resume"))
    assert other.returncode == 1
    assert "begun with another parameters" in other.stderr


def test_full_disk_leaves_nothing_half_written(data, tmp_path):
    pytest.importorskip("torch")
    run = tmp_path / "run"
    # files may not grow beyond 2 MB: the first checkpoint hits that as it would a full disk
    limited = (
        "import resource, runpy, signal, sys;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000));"
        "sys.argv = ['train', *sys.argv[1:]];"
        "runpy.run_module('training.train', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *map(str, _train_options(data, run, "torch", 2))],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "go on with --resume" in done.stderr
    assert "Traceback" not in done.stderr
    left = {path.name for path in run.iterdir()}
    assert left <= {"run.json", "logs"}
    json.loads((run / "run.json").read_text())
    done = _run("training.train", *_train_options(data, run, "torch", 2, "--resume"))
    assert done.returncode == 0, done.stderr
    assert len(read_history(run)) == 2


def test_wrong_folder_is_a_clear_error_and_begins_nothing(tmp_path):
    done = _run("training.train", "--data", tmp_path, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "Expected one folder per emotion" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
