from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from tests.e2e.scenes import astronaut, background
from tests.support.models import activate, make_version
from webapp.cli import cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    face = astronaut()[:390]  # her mission patch below looks like a face to detectors
    for group, quality in (("A", 90), ("B", 60)):
        (root / group).mkdir(parents=True)
        cv2.imwrite(str(root / group / "1.jpg"), face, [cv2.IMWRITE_JPEG_QUALITY, quality])
    cv2.imwrite(str(root / "A" / "wall.png"), background())
    (root / "B" / "torn.jpg").write_bytes((root / "B" / "1.jpg").read_bytes()[:2000])
    (root / "B" / "copy.jpg").write_bytes((root / "A" / "1.jpg").read_bytes())
    (root / "B" / ".DS_Store").write_bytes(b"x")
    name = os.fsdecode(os.fsencode(root / "A") + b"/M\xfcller.jpg")  # of a system without UTF-8
    cv2.imwrite(str(root / "A" / "2.jpg"), face, [cv2.IMWRITE_JPEG_QUALITY, 80])
    (root / "A" / "2.jpg").rename(name)
    return root


def test_a_folder_becomes_a_report(folder, tmp_path, monkeypatch):
    models = tmp_path / "models"
    models.mkdir()
    make_version(models, "test-1")
    activate(models, "test-1")
    for name in [name for name in os.environ if name.startswith("MIEN_")]:
        monkeypatch.delenv(name)  # the test suite's own variables are no settings
    monkeypatch.setenv("MIEN_MODELS_DIR", str(models))
    out = tmp_path / "out"
    arguments = ["survey", str(folder), "--out", str(out), "--workers", "1"]
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 1
    assert "agreed" in refused.output
    people = tmp_path / "people.csv"
    people.write_text("file;respondent;age\n1.jpg;Anna;30\nnobody.jpg;Bo;40\n", "utf-16")
    arguments += ["--respondents-file", str(people)]
    done = CliRunner(charset="ascii").invoke(cli, [*arguments, "--consent"])
    assert done.exit_code == 0, done.output
    report = json.loads((out / "report.json").read_text())
    assert report["ledger"]["uploaded"] == 6
    counts = {name: n for name, n in report["ledger"]["counts"].items() if n}
    assert counts == {"used": 3, "no_face": 1, "unreadable": 1, "duplicate": 1}
    assert "1 rows name no file: nobody.jpg" in done.output
    assert "M_udcfcller.jpg" in (out / "pictures.csv").read_text(encoding="utf-8-sig")
    assert report["model"]["version"] == "test-1"
    names = {path.name for path in out.iterdir()}
    assert names == {"report.html", "report.json", "report.xlsx", "faces.csv", "pictures.csv"}


def test_a_zip_alone_becomes_a_report_with_its_folders_as_groups(tmp_path, monkeypatch):
    models = tmp_path / "models"
    models.mkdir()
    make_version(models, "test-1")
    activate(models, "test-1")
    for name in [name for name in os.environ if name.startswith("MIEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIEN_MODELS_DIR", str(models))
    _, jpeg = cv2.imencode(".jpg", astronaut()[:390])
    packed, out = tmp_path / "Two packages.zip", tmp_path / "out"
    with zipfile.ZipFile(packed, "w") as archive:
        for group in ("A", "B"):
            archive.writestr(f"{group}/1.jpg", jpeg.tobytes() + group.encode())
    arguments = ["survey", str(packed), "--out", str(out), "--workers", "1", "--consent"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    report = json.loads((out / "report.json").read_text())
    assert report["survey"]["name"] == "Two packages"
    assert {group["name"] for group in report["groups"]} == {"A", "B"}
