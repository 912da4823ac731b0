"""What publishing refuses. Most of it is refused before any network is loaded."""

import json

import numpy as np
import pytest

from tests.support.faces import make_faces
from training.data.dataset import load_folder
from training.publish import Options, publish
from training.publishing.finished import check_metrics, read_run, validation_pictures
from training.runs import write_history, write_json
from webapp.card import sha256_of
from webapp.domain import EMOTIONS
from webapp.errors import Conflict, InvalidRequest, ModelInvalid


def _make_run(folder, *, order=None, epochs=2, done=2, **facts):
    """A run's folder with answers that are right on most of 210 validation pictures."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 30)
    logits = generator.normal(size=(210, 7)) + 3 * np.eye(7)[labels]
    logits = logits if order is None else logits[:, order]
    (folder / "model.keras").write_bytes(b"stands for a model")
    np.savez(
        folder / "validation.npz",
        names=np.array([f"{n}.png" for n in range(210)]),
        labels=labels,
        votes=np.zeros((210, 10), np.float32),
        logits_fer2013=logits.astype(np.float32),
    )
    write_history(folder, [{"epoch": n + 1, "loss": 1.0} for n in range(done)])
    base = {
        "recipe": "mien",
        "seed": 1,
        "parameters": {"epochs": epochs},
        "data": {"fingerprint": "f"},
        "versions": {},
        "emotions": list(EMOTIONS),
    }
    write_json(folder / "run.json", base | facts)
    return folder


def test_whole_run_is_read(tmp_path):
    run = read_run(_make_run(tmp_path / "run"))
    assert run.logits["fer2013"].shape == (210, 7)
    assert run.model_sha256 == sha256_of(tmp_path / "run" / "model.keras")


@pytest.mark.parametrize("name", ["run.json", "model.keras", "validation.npz"])
def test_unfinished_run_is_refused(tmp_path, name):
    folder = _make_run(tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(ModelInvalid, match=f"lacks {name}"):
        read_run(folder)


def test_run_with_epochs_missing_is_refused(tmp_path):
    with pytest.raises(ModelInvalid, match=r"asked for 5 epochs\. Its history holds 2"):
        read_run(_make_run(tmp_path / "run", epochs=5))


def test_model_of_another_run_is_refused(tmp_path):
    with pytest.raises(ModelInvalid, match="is not the one this run trained"):
        read_run(_make_run(tmp_path / "run", model_sha256="0" * 64))


def test_declared_order_of_labels_must_be_ours(tmp_path):
    with pytest.raises(ModelInvalid, match="expected the labels in the order angry"):
        read_run(_make_run(tmp_path / "run", emotions=sorted(EMOTIONS)))


def test_answers_in_another_order_are_found_out_from_the_answers(tmp_path):
    alphabetical = [EMOTIONS.index(name) for name in sorted(EMOTIONS)]
    with pytest.raises(ModelInvalid, match="another order of labels") as refused:
        read_run(_make_run(tmp_path / "run", order=alphabetical))
    assert "fer2013" in str(refused.value)


def test_arrays_that_do_not_belong_together_are_refused(tmp_path):
    folder = _make_run(tmp_path / "run")
    with np.load(folder / "validation.npz") as archive:
        arrays = dict(archive)
    arrays["labels"] = arrays["labels"][:-1]
    np.savez(folder / "validation.npz", **arrays)
    with pytest.raises(ModelInvalid, match="do not belong together"):
        read_run(folder)
    (folder / "validation.npz").write_bytes(b"cut off")
    with pytest.raises(ModelInvalid, match="cannot be read"):
        read_run(folder)


def _metrics(folder, **changes):
    path = folder / "metrics.json"
    digest = sha256_of(folder / "model.keras")
    base = {"n": 10, "accuracy": 0.9, "model": {"sha256": digest}, "emotions": list(EMOTIONS)}
    path.write_text(json.dumps(base | changes))
    return path


def test_metrics_of_this_model_are_taken(tmp_path):
    folder = _make_run(tmp_path / "run")
    assert check_metrics(_metrics(folder), read_run(folder))["accuracy"] == 0.9


def test_metrics_of_another_checkpoint_stop_publishing(tmp_path):
    folder = _make_run(tmp_path / "run")
    _metrics(folder, model={"sha256": "0" * 64})
    with pytest.raises(ModelInvalid, match="measured on another model"):
        publish(folder, Options("v1", tmp_path / "models"))
    assert not (tmp_path / "models").exists()


def test_metrics_in_another_order_of_labels_stop_publishing(tmp_path):
    folder = _make_run(tmp_path / "run")
    _metrics(folder, emotions=sorted(EMOTIONS))
    with pytest.raises(ModelInvalid, match="in the order"):
        publish(folder, Options("v1", tmp_path / "models"))


def test_a_version_never_changes(tmp_path):
    folder = _make_run(tmp_path / "run")
    (tmp_path / "models" / "v1").mkdir(parents=True)
    with pytest.raises(Conflict, match="never changes"):
        publish(folder, Options("v1", tmp_path / "models"))


@pytest.mark.parametrize("name", ["../v1", ".hidden", "a/b", "x y", "Größe", "ACTIVE"])
def test_a_name_that_no_version_can_have_is_refused(tmp_path, name):
    folder = _make_run(tmp_path / "run")
    with pytest.raises(InvalidRequest, match=r"version name|file that the server keeps"):
        publish(folder, Options(name, tmp_path / "models"))


def test_file_that_is_no_model_leaves_no_folder_behind(tmp_path):
    pytest.importorskip("keras")
    folder = _make_run(tmp_path / "run")
    with pytest.raises(ModelInvalid, match="cannot be loaded"):
        publish(folder, Options("v1", tmp_path / "models"))
    assert not (tmp_path / "models").exists()


def test_validation_pictures_are_found_in_the_runs_order(tmp_path):
    faces = load_folder(make_faces(tmp_path / "faces", 30))
    order = np.random.default_rng(1).permutation(210)
    chosen = faces.take(order)
    folder = _make_run(tmp_path / "run", data={"fingerprint": faces.fingerprint})
    logits = 3 * np.eye(7, dtype=np.float32)[chosen.labels]
    np.savez(
        folder / "validation.npz",
        names=np.array(chosen.names),
        labels=chosen.labels,
        votes=chosen.votes,
        logits_fer2013=logits,
    )
    run = read_run(folder)
    found = validation_pictures(run, faces, faces.fingerprint)
    assert (found.images == chosen.images).all()
    with pytest.raises(ModelInvalid, match="not the pictures of this run"):
        validation_pictures(run, faces, "another")
