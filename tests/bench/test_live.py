"""The load program's arithmetic, and that it counts what really happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bench import live
from tests.support.live import FakeInference, served
from webapp.app import create_app
from webapp.errors import InferenceUnavailable
from webapp.settings import Settings


@pytest.fixture(autouse=True)
def no_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for inference reads no pictures, so none need be made."""
    monkeypatch.setattr(live, "camera_jpegs", lambda *_options: [b"not read"] * 3)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)]
)
def test_percentiles_are_nearest_ranks(share: float, expected: int) -> None:
    assert live.percentile([float(v) for v in range(100, 0, -1)], share) == expected


def test_no_values_have_no_percentile() -> None:
    assert live.percentile([], 0.5) is None


def test_results_of_all_clients_are_counted() -> None:
    app = create_app(Settings(async_mode="threading"), FakeInference())
    with served(app) as url:
        report = asyncio.run(live.measure(url, None, 3, 10, 1, warm_up_s=0.5))
    assert report["errors"] == {}
    assert report["results"] > 0
    # each frame that fell due was answered, dropped, or still on its way at the end
    assert abs(report["due"] - report["dropped"] - report["results"]) <= 2 * 3
    assert report["faces_per_result"] == 1
    assert report["models"] == ["fake-1"]
    assert [row["process"] for row in report["processes"]] == ["clients"]


def test_errors_are_no_results_and_fail_the_run(tmp_path: Path) -> None:
    inference = FakeInference(error=InferenceUnavailable("None ready."))
    target = tmp_path / "live.json"
    with served(create_app(Settings(async_mode="threading"), inference)) as url:
        arguments = ["--clients", "1", "--fps", "10", "--seconds", "0.5", "--json", str(target)]
        assert live.main([*arguments, "--url", url]) == 1
    report = json.loads(target.read_text(encoding="utf-8"))
    assert report["results"] == 0
    assert report["errors"]["inference_unavailable"] > 0
    assert report["frame_to_result_ms"]["p95"] is None


@pytest.mark.parametrize("wrong", [["--clients", "0"], ["--fps", "0"], ["--seconds", "-1"], []])
def test_impossible_loads_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        live.main([*wrong, *(["--json", "-"] if wrong else [])])
    assert caught.value.code == 2
    assert capsys.readouterr().err
