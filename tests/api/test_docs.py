"""The page that describes the interface, and its examples, run as somebody would run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.support.data import REPOSITORY
from tests.support.live import served
from tests.survey.doubles import FakeInference, picture
from webapp.api import docs
from webapp.app import create_app
from webapp.settings import Settings
from webapp.survey.service import surveys_of


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = Settings(
        async_mode="threading",
        instance_dir=str(tmp_path / "instance"),
        workers=1,
    )
    made = create_app(settings, inference=FakeInference())
    yield made
    surveys_of(made).close()


def test_the_page_shows_every_operation_and_nothing_from_elsewhere(app: Flask) -> None:
    client = app.test_client()
    document = client.get("/api/v1/openapi.json").json
    assert document is not None
    page = client.get("/api/docs", base_url="https://mien.localhost").text
    for path, item in document["paths"].items():
        for method, entry in item.items():
            assert f'id="{entry["operationId"]}"' in page, (method, path)
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    assert page.count("<script") == 1 and "js/pages/api-docs.js" in page
    assert page.index('id="examples"') < page.index('id="try"') < page.index('id="analyze"')
    assert "style=" not in page
    assert "https://mien.localhost/api/v1/analyze" in page
    assert "MIEN_URL" not in page


def programs() -> dict[str, list[str]]:
    node = [sys.executable, str(REPOSITORY / "tools" / "node.py")]
    return {".sh": ["sh"], ".py": [sys.executable, "-W", "error"], ".mjs": node}


@pytest.mark.parametrize("file", [file for file, _, _ in docs.SHOWN])
def test_the_examples_do_what_they_say(app: Flask, tmp_path: Path, file: str) -> None:
    if file.endswith(".sh") and shutil.which("curl") is None:
        pytest.skip("needs curl: it is not installed")
    (tmp_path / "face.jpg").write_bytes(picture("happy"))
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        (tmp_path / "pictures" / f"{number}.jpg").write_bytes(picture(f"happy:{number}"))
    example = docs.EXAMPLES / file
    with served(app) as url:
        done = subprocess.run(
            [*programs()[example.suffix], str(example)],
            cwd=tmp_path,
            env=os.environ | {"MIEN_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "happ" in done.stdout
    assert {path.name for path in docs.EXAMPLES.iterdir() if path.is_file()} >= {file}
