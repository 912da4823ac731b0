"""A study's workbook where there is little to draw, and where a name looks like a cell."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from webapp.domain import EMOTIONS
from webapp.languages import speaking
from webapp.studies.report.workbook import COUNTS, write_workbook

RECORDS: Any = SimpleNamespace(
    people=[], study=SimpleNamespace(questions={"before": [], "after": []})
)


def curve(times: list[int], mean: float | None) -> dict[str, Any]:
    values = [mean] * len(times)
    figures = {key: values for key in ("mean", "low", "high", "share")}
    return {
        "t_ms": times,
        "people": [1] * len(times),
        "emotions": {emotion: figures for emotion in EMOTIONS},
        "valence": {"mean": values},
    }


@pytest.mark.parametrize(
    ("found", "highest"),
    [
        (None, None),
        (curve([], 0.0), None),
        (curve([0, 250], 0.0), "0.1"),
        (curve([0, 250], None), "1.0"),
        (curve([0], 0.43), "0.5"),
    ],
)
def test_a_curve_of_nothing_and_a_name_like_a_cell(
    tmp_path: Path, found: dict[str, Any] | None, highest: str | None
) -> None:
    stimulus = {
        "id": "a", "name": "Sale!A1", "summary": None, "people": 0, "curve": found,
        "moments": [], "left_out": [],
    }  # fmt: skip
    report = {
        "study": {"name": "=x", "id": "1", "purpose": "research"},
        "stimuli": [stimulus],
        "comparison": None,
        "answers": [],
        "left_out": [],
        "people": dict.fromkeys(COUNTS, 0),
        "method": {
            "min_people": 5, "replicates": 10, "min_cell": 5, "threshold": 0.4, "models": {},
        },
    }  # fmt: skip
    path = tmp_path / "report.xlsx"
    with speaking("en"):
        write_workbook(path, report, RECORDS)
    with zipfile.ZipFile(path) as archive:
        charts = [archive.read(n).decode() for n in archive.namelist() if "charts/chart" in n]
    assert len(charts) == (highest is not None)
    for chart in charts:
        title = chart.split("<c:title>")[1].split("</c:title>")[0]
        assert "Sale" in title and "<c:f>" not in title
        assert f'<c:max val="{highest}"/>' in chart
