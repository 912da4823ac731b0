from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner, Result

from tests.support.models import activate, make_version
from tests.survey.analysis.test_phone_videos import write
from webapp.cli import cli
from webapp.models.registry import Registry


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    make_version(folder, "test-1", 0)
    make_version(folder, "test-2", 1)
    activate(folder, "test-1")
    monkeypatch.setenv("MIEN_MODELS_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def face() -> bytes:
    picture = cv2.cvtColor(skimage.data.astronaut()[:250, 80:400], cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.fixture
def pictures(tmp_path: Path, face: bytes) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(face)
    (folder / "b.jpg").write_bytes(face[:1500])
    (folder / "c.txt").write_text("not a picture", encoding="utf-8")
    (folder / "deeper" / "wall.png").write_bytes(
        cv2.imencode(".png", np.full((200, 200), 90, np.uint8))[1].tobytes()
    )
    (folder / ".DS_Store").write_bytes(b"left by a system")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_every_file_of_a_folder_comes_out_once(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.json"
    done = run("analyze", pictures, "--json", target)
    assert done.exit_code == 0, done.output
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["model"] == "test-1"
    rows = {Path(row["source"]).name: row for row in report["items"]}
    assert set(rows) == {"a.jpg", "b.jpg", "c.txt", "wall.png"}
    assert len(rows["a.jpg"]["result"]["faces"]) == 1
    assert rows["b.jpg"]["error"]["code"] == "corrupt_image"
    assert rows["c.txt"]["error"]["code"] == "unsupported_image"
    assert rows["wall.png"]["result"]["faces"] == []
    summary = report["summary"]
    assert {key: summary[key] for key in ("items", "read", "errors", "faces", "without_face")} == {
        "items": 4,
        "read": 2,
        "errors": 2,
        "faces": 1,
        "without_face": 1,
    }
    assert sum(summary["labels"].values()) == 1
    assert [path.name for path in tmp_path.glob(".out*")] == []


def test_a_zip_is_read_like_a_folder(
    models: Path, pictures: Path, tmp_path: Path, face: bytes
) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("group/a.jpg", face)
        target.writestr("../outside.jpg", face)
        target.writestr("note.txt", "text")
    done = run("analyze", archive, "--json", "-")
    rows = json.loads(done.stdout)["items"]
    assert [row["source"].split("!")[1] for row in rows] == [
        "group/a.jpg",
        "outside.jpg",
        "note.txt",
    ]
    assert len(rows[0]["result"]["faces"]) == 1
    assert "outside" in rows[1]["error"]["message"]
    assert rows[2]["error"]["code"] == "unsupported_image"
    assert not (tmp_path.parent / "outside.jpg").exists()


def test_a_damaged_zip_is_one_error(models: Path, tmp_path: Path, pictures: Path) -> None:
    archive = tmp_path / "damaged.zip"
    archive.write_bytes(b"PK\x03\x04" + bytes(100))
    done = run("analyze", archive, pictures / "a.jpg", "--json", "-")
    rows = json.loads(done.stdout)["items"]
    assert rows[0]["error"]["code"] == "corrupt_image"
    assert len(rows[1]["result"]["faces"]) == 1


def test_a_video_is_sampled(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    picture = np.ascontiguousarray(skimage.data.astronaut()[:256, 80:400, ::-1])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 256))
    if not writer.isOpened():
        pytest.skip("needs codec: this OpenCV cannot write MPEG-4")
    for _ in range(20):
        writer.write(picture)
    writer.release()
    done = run("analyze", path, "--fps", "2", "--json", "-")
    assert done.exit_code == 0, done.stderr
    frames = json.loads(done.stdout)["items"][0]["frames"]
    assert [frame["t_ms"] for frame in frames] == [0, 500, 1000, 1500]
    assert all(len(frame["result"]["faces"]) == 1 for frame in frames)


def test_status_1_when_nothing_could_be_read(models: Path, pictures: Path) -> None:
    assert run("analyze", pictures / "c.txt").exit_code == 1


def test_a_picture_above_the_limit_is_an_error(
    models: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_MAX_IMAGE_BYTES", "1000")
    done = run("analyze", pictures / "a.jpg", "--json", "-")
    assert json.loads(done.stdout)["items"][0]["error"]["code"] == "payload_too_large"


def test_another_model_can_be_asked(models: Path, pictures: Path) -> None:
    done = run("analyze", pictures / "a.jpg", "--model", "test-2", "--json", "-")
    assert json.loads(done.stdout)["model"] == "test-2"
    missing = run("analyze", pictures / "a.jpg", "--model", "nothing")
    assert missing.exit_code == 1
    assert "no model version 'nothing'" in missing.stderr


@pytest.mark.parametrize("arguments", [("analyze",), ("analyze", "/does/not/exist")])
def test_wrong_use_is_explained(models: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert "PATH" in done.stderr


def test_a_rate_that_is_no_rate_is_refused(models: Path, pictures: Path) -> None:
    assert run("analyze", pictures, "--fps", "0").exit_code == 2


def test_models_are_listed_verified_switched_and_rolled_back(models: Path) -> None:
    listed = json.loads(run("models", "list", "--json").stdout)
    assert [(row["version"], row["active"]) for row in listed] == [
        ("test-1", True),
        ("test-2", False),
    ]
    assert "* test-1" in run("models", "list").stdout
    assert "head ferplus" in run("models", "verify").stdout
    assert run("models", "activate", "test-2").exit_code == 0
    assert Registry(models).active().version == "test-2"
    assert "test-1 is active" in run("models", "rollback").stdout
    assert Registry(models).active().version == "test-1"


def test_model_errors_are_one_line_and_status_1(models: Path) -> None:
    (models / "test-2" / "model.tflite").write_bytes(b"damaged")
    done = run("models", "activate", "test-2")
    assert done.exit_code == 1
    assert "was changed or damaged" in done.stderr
    assert "Traceback" not in done.output
    assert run("models", "rollback").exit_code == 1


def test_listing_works_without_an_active_model(models: Path) -> None:
    (models / "ACTIVE").unlink()
    done = run("models", "list")
    assert done.exit_code == 0
    assert "  test-1" in done.stdout
    assert "No model is active" in done.stderr


def test_what_systems_leave_behind_is_skipped_and_said(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "@eaDir" / "a.jpg").mkdir(parents=True)
    (pictures / "@eaDir" / "a.jpg" / "SYNOPHOTO_THUMB_M.jpg").write_bytes(b"\xff\xd8\xff")
    target = tmp_path / "out.json"
    done = run("analyze", pictures, pictures / "a.jpg", "--json", target)
    summary = json.loads(target.read_text(encoding="utf-8"))["summary"]
    assert (summary["items"], summary["skipped"]) == (4, 2)  # a.jpg was named twice
    assert "2 left by operating systems skipped" in done.output


def test_names_that_are_not_utf8_and_a_poor_console_cost_nothing(
    models: Path, face: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Path(os.fsdecode(os.fsencode(folder) + b"/M\xfcller.jpg")).write_bytes(face)
    (folder / "张三.jpg").write_bytes(face)
    target = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "webapp.cli", "analyze", str(folder), "--json", str(target)],
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert b"Traceback" not in done.stderr
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["summary"]["read"] == 2
    names = sorted(Path(item["source"]).name for item in report["items"])
    assert names == ["M\\udcfcller.jpg", "张三.jpg"]


def test_a_video_that_is_cut_off_is_an_error_with_what_was_read(
    models: Path, tmp_path: Path
) -> None:
    whole = write(tmp_path / "v.mp4", seconds=20, options={"movflags": "faststart"})
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    target = tmp_path / "out.json"
    done = run("analyze", path, "--json", target)
    assert done.exit_code == 1
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["items"][0]["frames"]
    assert report["items"][0]["error"]["code"] == "corrupt_image"
    assert (report["summary"]["items"], report["summary"]["errors"]) == (1, 1)
