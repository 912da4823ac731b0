"""Uploaded models: what is refused and why, what is admitted, and what the process may not do."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.build_uploads import ALPHABETICAL
from tests.support.built import KERAS_ENVIRONMENT, ROOT
from tests.support.models import make_version
from tests.support.uploads import faces_zip, upload_files, zip_of
from training.admission.allowed import check_config, parse_config
from training.admission.faces import load_faces, read_zip, save_faces
from training.admission.files import recognise
from webapp.card import CARD_FILE, KERAS_FILE, TFLITE_FILE, ModelCard
from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid
from webapp.models.registry import Registry

LIMIT = 50_000_000


@pytest.fixture(scope="module")
def uploads() -> Path:
    return upload_files()


def look(path: Path, tmp_path: Path, limit: int = LIMIT) -> Any:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return recognise(path, scratch, limit)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lambda.keras", "Lambda layer.*was not run"),
        ("lambda.h5", "Lambda layer.*was not run"),
        ("nan.keras", "not finite"),
        ("nan.h5", "not finite"),
        ("truncated.keras", "cut short"),
        ("truncated.h5", "cut short"),
        ("upward.keras", r"outside\.txt.*points outside"),
        ("linked.h5", "ExternalLink"),
    ],
)
def test_refused_before_keras_sees_it(
    uploads: Path, tmp_path: Path, name: str, reason: str
) -> None:
    with pytest.raises(ModelInvalid, match=reason):
        look(uploads / name, tmp_path)
    assert not (uploads / "hacked").exists()
    assert not (tmp_path / "outside.txt").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pickle.dumps({"a": 1}), "pickle.*not opened"),
        (b"", "empty"),
        (b"\0" * 4096, "begins with zeros"),
        (b"\x1c\0\0\0TFL3" + b"\0" * 50, "LiteRT file"),
        (b"hello there, model", "no format that can be read"),
        (faces_zip(1), "neither a .keras file nor a version folder"),
    ],
)
def test_other_files_are_named_for_what_they_are(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    with pytest.raises(ModelInvalid, match=reason):
        look(path, tmp_path)


def test_declared_sizes_are_believed_and_refused_before_they_are_read(
    uploads: Path, tmp_path: Path
) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "huge.h5"
    shutil.copy(uploads / "good.h5", path)
    with h5py.File(path, "a") as file:
        file.create_dataset("huge", (1 << 40,), "f4", chunks=(1 << 16,))
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelInvalid, match="declares the shape"):
        look(path, tmp_path)


@pytest.mark.parametrize("kind", ["external", "object"])
def test_datasets_that_are_no_plain_numbers(uploads: Path, tmp_path: Path, kind: str) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "odd.h5"
    shutil.copy(uploads / "good.h5", path)
    with h5py.File(path, "a") as file:
        if kind == "external":
            outside = [("/etc/hostname", 0, 4)]
            file.create_dataset("odd", (1,), "f4", external=outside)
        else:
            file.create_dataset("odd", (400,), h5py.string_dtype())
    with pytest.raises(ModelInvalid, match=r"external storage|objects are never loaded"):
        look(path, tmp_path)


def _config(uploads: Path) -> dict[str, Any]:
    with zipfile.ZipFile(uploads / "good.keras") as archive:
        return parse_config(archive.read("config.json"))


@pytest.mark.parametrize(
    "item",
    [
        {"class_name": "Lambda", "config": {}},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"module": "keras.utils", "class_name": "get_file", "config": {}},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}},
        {"module": "os", "class_name": "system", "config": {}},
        {"module": "keras.src.utils.file_utils", "class_name": "get_file", "config": {}},
        {"module": "mine", "class_name": "Dense", "registered_name": "mine>Dense", "config": {}},
        {"module": "keras.layers", "class_name": "Dense", "registered_name": "mine>Dense"},
        {"class_name": "__lambda__", "config": {"value": ["aGk="]}},
        {"class_name": ["Dense"], "config": {}},
        {"module": "subprocess", "config": {}},
    ],
)
def test_anything_that_is_not_keras_own_is_refused(uploads: Path, item: dict[str, Any]) -> None:
    config = _config(uploads)
    assert check_config(config) == 7
    deep = copy.deepcopy(config)
    deep["config"]["layers"][1]["config"]["kernel_initializer"] = item
    with pytest.raises(ModelInvalid):
        check_config(deep)
    beside = copy.deepcopy(config)
    beside["config"]["layers"].append(item)
    with pytest.raises(ModelInvalid):
        check_config(beside)


def test_absurd_descriptions_are_refused(uploads: Path) -> None:
    config = _config(uploads)
    config["config"]["layers"][1]["config"]["filters"] = 10**9
    with pytest.raises(ModelInvalid, match="declares filters"):
        check_config(config)
    nested: dict[str, Any] = {}
    inner = nested
    for _ in range(200):
        inner["a"] = inner = {}
    with pytest.raises(ModelInvalid, match="nested"):
        check_config(_config(uploads) | {"config": nested})
    with pytest.raises(ModelInvalid, match="not JSON"):
        parse_config("[" * 100_000)


@pytest.mark.slow
def test_a_version_is_compared_with_its_card(tmp_path: Path) -> None:
    folder = make_version(tmp_path, "test-1")
    with (folder / TFLITE_FILE).open("ab") as stream:
        stream.write(b"x")
    path = tmp_path / "version.zip"
    path.write_bytes(zip_of(folder, "test-1/"))
    with pytest.raises(ModelInvalid, match="SHA-256 differs"):
        look(path, tmp_path)


@pytest.mark.slow
def test_admitting_and_refusing_what_only_keras_can_tell(uploads: Path, tmp_path: Path) -> None:
    """One process, because each start of TensorFlow takes seconds."""
    faces, left_out = read_zip(_written(tmp_path / "faces.zip", faces_zip(8)), LIMIT)
    save_faces(faces, tmp_path / "faces.npz")
    assert left_out == []
    assert len(load_faces(tmp_path / "faces.npz")) == 56
    active = make_version(tmp_path, "test-1")
    archive = _written(tmp_path / "version.zip", zip_of(active, "test-1/"))
    common = {"filename": "x", "version": "new", "limit_bytes": LIMIT}
    labelled = common | {"labels": ALPHABETICAL, "pixels": "0-1"}
    measured = {"evaluation": str(tmp_path / "faces.npz"), "active": str(active)}

    def of(name: str, **fields: Any) -> dict[str, Any]:
        return labelled | {"file": str(uploads / name)} | fields

    requests = [
        of("eight.keras"),
        of("two-channels.keras"),
        of("two-inputs.keras"),
        of("constant.keras"),
        of("good.weights.h5", recipe="mien"),
        of("good.weights.h5"),
        of("good.keras", labels=()),
        of("good.keras", labels=ALPHABETICAL[:6]),
        of("good.h5", **measured),
        of("good.keras", labels=(), evaluation=str(tmp_path / "faces.npz")),
        common | {"file": str(archive), "version": "again"} | measured,
    ]
    work = tmp_path / "work"
    work.mkdir()
    (work / "requests.json").write_text(json.dumps(requests))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.admit_many", str(work)],
        cwd=ROOT, env=os.environ | KERAS_ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads((work / "answers.json").read_text())
    said = [a.get("error", {}).get("message", "") for a in answers]
    assert "a label for each of the network's 8 outputs. Received 7" in said[0]
    assert "Expected an input" in said[1] and "48, 48, 2" in said[1]
    assert "Received 2 inputs" in said[2]
    assert "same answer for every picture" in said[3]
    assert "do not fit the network" in said[4]
    assert "Choose the recipe" in said[5]
    assert answers[6]["ok"]["needs"] == "labels"
    assert "7 outputs. Received 6" in said[7]
    assert not (uploads / "hacked").exists()

    report, folder = answers[8]["ok"], work / "8" / "version"
    card = ModelCard.load(folder)
    assert report["kind"] == "h5" and report["measured"]["n"] == 56
    assert card.training["uploaded"]["labels"] == list(ALPHABETICAL)
    assert report["comparison"]["active"] == "test-1"
    assert sum(map(sum, report["comparison"]["matrix"])) == 56
    models = tmp_path / "admitted"
    models.mkdir()
    shutil.copytree(folder, models / "new")
    assert max(Registry(models).verify("new")["differences"].values()) < 1e-3

    hint = answers[9]["ok"]["suggestion"]
    assert sorted(hint["labels"]) == sorted(EMOTIONS) and 0 <= hint["accuracy"] <= 1

    kept = ModelCard.load(work / "10" / "version")
    assert kept.version == "again" and answers[10]["ok"]["kept_files"]
    assert kept.files[KERAS_FILE] == ModelCard.load(active).files[KERAS_FILE]
    assert "upload" in kept.metrics


@pytest.mark.slow
def test_labels_and_pixels_are_adapted_exactly(uploads: Path, tmp_path: Path) -> None:
    """What the adapted version says is what the uploaded one says, in our order."""
    code = f"""
import json, sys
import numpy as np
from pathlib import Path
from training.admission.files import recognise
from training.admission.networks import adapter, open_network
from training.publishing.compiled import compile_model
from training.litert import keras_logits, litert_outputs
from tests.support.build_uploads import ALPHABETICAL
from webapp.domain import EMOTIONS
scratch = Path({str(tmp_path)!r}); path = Path({str(uploads / "good.keras")!r})
model = open_network(recognise(path, scratch, {LIMIT}), None)
pictures = np.random.default_rng(0).uniform(0, 255, (5, 48, 48, 1)).astype(np.float32)
plain = next(iter(keras_logits(model, pictures / 255).values()))
compiled = compile_model(model, weights="full", adapt=adapter(ALPHABETICAL, "0-1"))
ours = litert_outputs(compiled.tflite, pictures)[compiled.heads[0].output]
order = [ALPHABETICAL.index(name) for name in EMOTIONS]
print(json.dumps(float(np.abs(plain[:, order] - ours).max())))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=os.environ | KERAS_ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) < 1e-5


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_an_evaluation_set_needs_all_seven(tmp_path: Path) -> None:
    path = _written(tmp_path / "faces.zip", faces_zip(1, leave_out="fear"))
    with pytest.raises(ModelInvalid, match="found for fear"):
        read_zip(path, LIMIT)
    with pytest.raises(ModelInvalid, match="cannot be opened"):
        read_zip(_written(tmp_path / "no.zip", b"PK no"), LIMIT)


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path: Path) -> None:
    buffer = io.BytesIO(faces_zip(1))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("faces/happy/broken.png", b"\x89PNG no")
        archive.writestr("faces/elsewhere/x.png", b"")
    faces, left_out = read_zip(_written(tmp_path / "f.zip", buffer.getvalue()), LIMIT)
    assert len(faces) == 7
    assert len(left_out) == 2 and "broken.png" in "".join(left_out)


def test_the_process_may_do_nothing_else(tmp_path: Path) -> None:
    code = """
import ctypes, json, os, pathlib, pickle, socket, subprocess, sys
from training.admission.confine import confine
work = pathlib.Path(sys.argv[1]) / "work"
work.mkdir()
enforced, strict = confine(work, 1024, 60, 1_000_000)
strict()
libc = ctypes.CDLL(None, use_errno=True)
class Evil:
    def __reduce__(self):
        return os.getcwd, ()
def refused(act):
    try:
        act()
    except OSError:
        return True
    return False
found = {
    "socket": refused(socket.socket),
    "native socket": libc.socket(2, 1, 0) == -1,
    "native fork": libc.fork() == -1,
    "native kill": libc.kill(os.getppid(), 0) == -1,
    "program": refused(lambda: subprocess.run(["true"])),
    "system": refused(lambda: os.system("true")),
    "write outside": refused(lambda: open(sys.argv[1] + "/outside", "w")),
    "rename outside": refused(lambda: os.rename(work, sys.argv[1] + "/away")),
    "unpickle": refused(lambda: pickle.loads(pickle.dumps(Evil()))),
    "large file": refused(lambda: (work / "large").write_bytes(bytes(2_000_000))),
}
try:
    bytearray(2 << 30)
    found["memory"] = False
except MemoryError:
    found["memory"] = True
if enforced["landlock"]:  # what native code does passes by the audit hook
    outside = sys.argv[1].encode()
    flags = os.O_WRONLY | os.O_CREAT
    found["native write outside"] = libc.open(outside + b"/native", flags, 0o600) == -1
    found["native rename outside"] = libc.rename(bytes(work), outside + b"/away") == -1
    found["native symlink outside"] = libc.symlink(b"/", outside + b"/link") == -1
(work / "inside").write_text("fine")
with open("/proc/self/status") as file:
    status = file.read()
found["filtered"] = "Seccomp:\\t2" in status or not enforced["kernel_filter"]
import threading
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
print(json.dumps({"enforced": enforced, "found": found}))
"""
    done = subprocess.run(
        [sys.executable, "-c", "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
         + code, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    if not report["enforced"]["kernel_filter"]:
        report["found"] = {k: v for k, v in report["found"].items() if "native" not in k}
    assert all(report["found"].values()), report


def test_the_process_answers_and_ends_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "incoming").write_bytes(faces_zip(2))
    request = {"kind": "faces", "file": "incoming", "limit_bytes": LIMIT, "memory_mb": 2048,
               "seconds": 60}  # fmt: skip
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "training.admission", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as running:
        assert running.wait(60) == 0
    answer = json.loads((tmp_path / "result.json").read_text())["ok"]
    assert answer["faces"] == 14 and answer["class_counts"]["happy"] == 2
    (tmp_path / "result.json").unlink()
    # without a parent it ends instead of working on
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) as running:
        assert running.wait(60) in (0, 3)


def test_a_card_in_a_version_archive_is_checked(tmp_path: Path) -> None:
    folder = make_version(tmp_path, "test-1")
    payload = json.loads((folder / CARD_FILE).read_text())
    payload["emotions"] = payload["emotions"][::-1]
    (folder / CARD_FILE).write_text(json.dumps(payload))
    with pytest.raises(ModelInvalid, match="labels"):
        look(_written(tmp_path / "v.zip", zip_of(folder)), tmp_path)


@pytest.mark.parametrize("version", ["mien-4", "mien-5", "mien-large-1"])
def test_the_versions_that_ship_could_be_uploaded(version: str) -> None:
    with zipfile.ZipFile(ROOT / "models" / version / KERAS_FILE) as archive:
        assert check_config(parse_config(archive.read("config.json"))) > 20
