from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner

from bench.photos import interval, main
from tests.support.models import make_version


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    head = np.asarray(skimage.data.astronaut())[:260, 80:380, ::-1]
    lines = ["file,x1,y1,x2,y2,expression,side"]
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), head)
        lines.append(f"{number}.png,95,60,195,180,smiling,{'ab'[number % 2]}")
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 120, np.uint8))
    lines.append("wall.png,,,,,,")
    (tmp_path / "photos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_pictures_and_scenes_are_counted_by_size_tilt_light_and_group(
    photos: Path, tmp_path: Path
) -> None:
    folder = make_version(tmp_path / "models")
    (tmp_path / "models" / "ACTIVE").write_text(folder.name + "\n", encoding="utf-8")
    done = CliRunner().invoke(
        main,
        [
            *("--data", str(photos), "--models-dir", str(folder.parent), "--scenes", "6"),
            *("--group", "side", "--json", str(tmp_path / "out.json")),
        ],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert report["recall"]["pictures"]["n"] == 6
    assert report["recall"]["pictures"]["share"] == 1
    assert report["recall"]["side=a"]["n"] == report["recall"]["side=b"]["n"] == 3
    assert report["recall"]["size=100"]["n"] >= 1
    assert report["false_boxes"]["pictures"] == 0


def test_live_a_scene_is_watched_for_three_seconds(photos: Path, tmp_path: Path) -> None:
    folder = make_version(tmp_path / "models")
    (tmp_path / "models" / "ACTIVE").write_text(folder.name + "\n", encoding="utf-8")
    arguments = ["--data", str(photos), "--models-dir", str(folder.parent), "--scenes", "6"]
    done = CliRunner().invoke(main, [*arguments, "--live"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert report["false_boxes"]["pictures"] == 0
    shares = [report["over_time"][f"size=300, {s} s"]["share"] for s in (0, 1, 3)]
    assert shares == [1, 1, 1]
    assert report["over_time"]["scenes, 3 s"]["share"] == report["recall"]["scenes"]["share"]


def test_a_csv_without_boxes_is_one_line(photos: Path) -> None:
    (photos / "photos.csv").write_text("file,x1\na.png,1\n", encoding="utf-8")
    done = CliRunner().invoke(main, ["--data", str(photos)])
    assert done.exit_code == 1
    assert "expected columns file, x1, y1, x2, y2" in done.output


def test_an_interval_is_wilsons() -> None:
    assert interval(5, 10) == pytest.approx([0.2366, 0.7634], abs=1e-3)


def test_a_peer_looks_at_the_same_scenes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("yuface")
    package.detect = lambda picture, least: (  # type: ignore[attr-defined]
        np.array([int(100 * least)]),
        np.array([[1, 2, 30, 40]]),
        np.zeros((1, 10)),
    )
    monkeypatch.setitem(sys.modules, "yuface", package)
    folder = make_version(tmp_path / "models")
    (tmp_path / "models" / "ACTIVE").write_text(folder.name + "\n", encoding="utf-8")
    arguments = ["--data", str(photos), "--models-dir", str(folder.parent), "--scenes", "2"]
    done = CliRunner().invoke(main, [*arguments, "--peer", "yuface:0.7"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(done.output)
    assert report["peers"]["yuface:0.7"]["false_boxes"] == 2
    assert report["peers"]["yuface:0.7"]["recall"]["scenes"]["n"] == report["recall"]["scenes"]["n"]
    refused = CliRunner().invoke(main, [*arguments, "--peer", "nobody:0.5"])
    assert refused.exit_code == 1
    assert "Expected yuface or centerface" in refused.output
