"""Scripts and styles: compressed, kept by browsers, and always of one version."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp import ROOT
from webapp.app import create_app
from webapp.settings import Settings
from webapp.web.assets import modules_of, version_of

STATIC = ROOT / "static"


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(Settings(async_mode="threading"))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def address(app: Flask, name: str) -> str:
    return f"{app.static_url_path}/{name}"


def test_a_script_is_compressed_and_kept_for_good(app: Flask, client: FlaskClient) -> None:
    path = address(app, "js/pages/live.js")
    plain = (STATIC / "js" / "pages" / "live.js").read_bytes()
    first = client.get(path, headers={"Accept-Encoding": "gzip"}, buffered=True)
    assert first.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(first.data) == plain
    assert len(first.data) < len(plain) / 2
    assert "immutable" in first.headers["Cache-Control"]
    assert "no-cache" not in first.headers["Cache-Control"]
    assert "Accept-Encoding" in first.headers["Vary"]
    again = client.get(
        path,
        headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]},
        buffered=True,
    )
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(path, buffered=True).data == plain


def test_a_part_of_a_file_is_not_compressed(app: Flask, client: FlaskClient) -> None:
    headers = {"Range": "bytes=0-9", "Accept-Encoding": "gzip"}
    part = client.get(address(app, "css/base.css"), headers=headers, buffered=True)
    assert part.status_code == 206
    assert part.data == (STATIC / "css" / "base.css").read_bytes()[:10]


@pytest.mark.parametrize("version", ["", "0123456789ab/"])
def test_a_plain_or_older_address_is_answered_but_not_kept(
    client: FlaskClient, version: str
) -> None:
    with client.get(f"/static/{version}css/base.css") as answer:
        assert answer.status_code == 200
        assert "immutable" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["../wsgi.py", "0123456789ab/../../wsgi.py", "css", "no.css"])
def test_nothing_but_the_folders_files_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_pages_are_not_compressed(client: FlaskClient) -> None:
    page = client.get("/", headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in page.headers


def test_the_live_page_names_every_module_at_once(app: Flask, client: FlaskClient) -> None:
    html = client.get("/").get_data(as_text=True)
    first = re.findall(r'rel="modulepreload" href="([^"]+)"', html)
    assert first == [address(app, name) for name in modules_of(STATIC, "js/pages/live.js")]
    assert len(first) == 1, "Start waits for no other module"
    found = re.search(r'id="modules">(.*?)</script>', html)
    assert found
    named = json.loads(found.group(1))
    assert named == [address(app, name) for name in modules_of(STATIC, "js/live/app.js")]
    assert len(named) == len(set(named)) > 20
    assert not any("echarts" in name or "uPlot" in name for name in named), "drawn later, or never"


def test_modules_are_found_however_they_are_imported(tmp_path: Path) -> None:
    (tmp_path / "js" / "lib").mkdir(parents=True)
    (tmp_path / "js" / "a.js").write_text(
        'import {\n  b,\n} from "./lib/b.js";\nimport "./c.js";\nconst no = "./none.js";\n'
    )
    (tmp_path / "js" / "lib" / "b.js").write_text('export { c } from "../c.js";\n')
    (tmp_path / "js" / "c.js").write_text("export const c = 1;\n")
    assert modules_of(tmp_path, "js/a.js") == ("js/a.js", "js/lib/b.js", "js/c.js")


def test_the_version_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    before = version_of(tmp_path)
    (tmp_path / "a.js").write_text("2")
    changed = version_of(tmp_path)
    (tmp_path / "a.js").rename(tmp_path / "b.js")
    assert len({before, changed, version_of(tmp_path)}) == 3


def test_no_style_sheet_is_longer_than_400_lines() -> None:
    lengths = {path.name: path.read_text().count("\n") for path in (STATIC / "css").glob("*.css")}
    assert len(lengths) > 10
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_styles_name_beginning_and_end_not_left_and_right() -> None:
    """So that pages also work in languages that are written from right to left."""
    side = re.compile(r"-(?:left|right):|^\s+(?:left|right):|(?:text-align|float): (?:left|right)")
    # the knob of a switch moves by a transform, a bar grows to the right like the axis of time
    known = {"components.css": 1, "live.css": 1}
    found = {
        path.name: sum(bool(side.search(line)) for line in path.read_text().splitlines())
        for path in (STATIC / "css").glob("*.css")
    }
    assert {name: n for name, n in found.items() if n} == known
