"""Uploading a model over HTTP: what is refused, what is left on disk, what becomes a version."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin_uploads import Api, bearer, leftovers
from tests.support.build_uploads import ALPHABETICAL
from tests.support.live import FakeInference, served
from tests.support.models import activate, make_version
from tests.support.uploads import faces_zip, upload_files, zip_of
from webapp.app import create_app
from webapp.card import ModelCard
from webapp.errors import Conflict, MienError
from webapp.files.staging import Staging, sweep
from webapp.models.evaluation_sets import EvaluationSets
from webapp.models.registry import Registry
from webapp.models.services import models_of
from webapp.models.uploads import MAX_WAITING, PREFIX, Uploads
from webapp.models.wanted import Wanted
from webapp.settings import Settings
from webapp.web.open_database import database_of

LIMIT = 5_000_000


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    make_version(folder, "old", 0)
    activate(folder, "old")
    return folder


@pytest.fixture
def api(models: Path, tmp_path: Path) -> Iterator[Api]:
    settings = Settings(
        models_dir=str(models),
        instance_dir=str(tmp_path / "instance"),
        async_mode="threading",
        model_max_upload_bytes=LIMIT,
    )
    app = create_app(settings, FakeInference(version="old"), Registry(models))
    token = bearer(app)
    with served(app) as url:
        yield Api(url, token)
    models_of(app).stop()
    database_of(app).close()


def until(condition: Callable[[], Any], patience_s: float = 240) -> Any:
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.05)


def finished(api: Api, upload: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        _, state = api.call("GET", f"/models/uploads/{upload}")
        return state if state["state"] in ("done", "refused", "cancelled", "asks") else None

    found: dict[str, Any] = until(look)
    return found


def test_of_uploads_that_come_at_once_no_more_are_taken_than_may_wait(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowStaging(Staging):
        def __init__(self, parent: Path, prefix: str) -> None:
            time.sleep(0.1)  # others count meanwhile
            super().__init__(parent, prefix)

    class Waiting:
        def read(self, size: int = -1, /) -> bytes:
            over.wait(60)
            return b""

    monkeypatch.setattr("webapp.models.uploads.Staging", SlowStaging)
    settings = Settings(models_dir=str(models), instance_dir=str(tmp_path / "instance"))
    uploads = Uploads(settings, EvaluationSets(settings), lambda *_: None)
    over = threading.Event()

    def begin(number: int) -> type[Exception]:
        try:
            uploads.begin(Wanted(f"new{number}", "a.zip", "me"), Waiting(), 100)
        except MienError as error:
            return type(error)
        raise AssertionError("a body that ends early was taken")

    with ThreadPoolExecutor(12) as pool:
        ends = [pool.submit(begin, number) for number in range(12)]
        until(lambda: sum(end.done() for end in ends) == 12 - MAX_WAITING)
        refused = [end.result() for end in ends if end.done()]
        over.set()
    assert refused == [Conflict] * (12 - MAX_WAITING)
    assert leftovers(models) == []


def test_refused_on_arrival_with_nothing_left(api: Api, models: Path) -> None:
    cases: list[tuple[bytes, int, str]] = [
        (pickle.dumps([1, 2]), 422, "pickle"),
        (b"\0" * 100_000, 422, "begins with zeros"),
        (b"no model at all", 422, "neither HDF5 nor a ZIP"),
        (b"\x08\x07\x12\x07pytorch", 422, "an ONNX file. Mien serves Keras models only"),
        (b"\x08\x09:" + bytes(90), 422, "an ONNX file"),
        (b"\x08\x01\x12\xf0" + bytes(90), 422, "TensorFlow SavedModel"),
        (b"\x0a\x3a\x0a\x01x\x12\x0bPlaceholder" + bytes(90), 422, "TensorFlow graph"),
        (b'{"class_name": "Functional"}', 422, "without its weights"),
        (b"\x1c\0\0\0TFL3" + bytes(90), 422, "LiteRT file"),
        (b"PK\x03\x04" + b"\0" * LIMIT, 413, "Expected at most 5,000,000 bytes"),
    ]
    for body, status, reason in cases:
        answered, error = api.call("POST", "/models/uploads", body, name="new", filename="m.h5")
        assert (answered, reason in error["error"]["message"]) == (status, True), error
        assert leftovers(models) == []
    assert sorted(p.name for p in models.iterdir()) == ["ACTIVE", "old"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"name": "../old"}, "name"),
        ({"name": ".hidden"}, "name"),
        ({"name": "new", "recipe": "mine"}, "recipe"),
        ({"name": "new", "labels": "angry,sad"}, "labels"),
        ({"name": "new", "pixels": "0-2"}, "pixels"),
        ({"name": "old"}, "name"),
    ],
)
def test_what_is_asked_must_make_sense(
    api: Api, models: Path, query: dict[str, str], field: str
) -> None:
    status, error = api.call("POST", "/models/uploads", b"PK\x03\x04", **query)
    assert status in (400, 409) and error["error"]["detail"]["field"] == field
    assert leftovers(models) == []


def test_an_announced_size_is_refused_before_a_byte_is_sent(api: Api, models: Path) -> None:
    import http.client

    headers = {
        "Authorization": f"Bearer {api._token}",
        "Content-Length": str(2_000_000_000),
    }
    connection = http.client.HTTPConnection(api._address, timeout=30)
    connection.putrequest("POST", "/admin/api/models/uploads?name=new")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413 and b"2,000,000,000" in answer.read()
    connection.close()
    assert leftovers(models) == []


def test_a_client_that_leaves_leaves_nothing(api: Api, models: Path) -> None:
    import socket

    host, port = api._address.split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /admin/api/models/uploads?name=new HTTP/1.1\r\nHost: localhost\r\n"
            b"Authorization: Bearer " + api._token.encode() + b"\r\n"
            b"Content-Length: 100000\r\n\r\nPK\x03\x04" + bytes(50_000)
        )
        until(lambda: leftovers(models))
    until(lambda: not leftovers(models))
    until(lambda: api.call("GET", "/models/uploads")[1]["uploads"][0]["state"] == "refused")


@pytest.mark.slow
def test_from_file_to_version(api: Api, models: Path) -> None:
    """One upload that asks for its labels, and the refusals that only its check can tell."""
    files = upload_files()
    status, made = api.call("POST", "/evaluation-sets", faces_zip(4), name="Small faces")
    assert status == 201 and made["faces"] == 28, made
    assert api.call("POST", "/evaluation-sets", faces_zip(4), name="Small faces")[0] == 400

    for name, reason in (
        ("lambda.keras", "Lambda layer"),
        ("lambda.h5", "Lambda layer"),
        ("truncated.h5", "cut short"),
        ("upward.keras", "points outside"),
        ("nan.h5", "not finite"),
    ):
        body = (files / name).read_bytes()
        status, job = api.call("POST", "/models/uploads", body, name="bad", filename=name)
        assert status == 202
        ended = finished(api, job["id"])
        assert ended["state"] == "refused" and reason in ended["reason"], ended
        assert leftovers(models) == []
    assert not (files / "hacked").exists()

    body = (files / "good.h5").read_bytes()
    status, job = api.call(
        "POST", "/models/uploads", body, name="new", filename="good.h5", evaluation=made["id"]
    )
    assert status == 202
    asks = finished(api, job["id"])
    assert asks["state"] == "asks", asks
    assert len(asks["report"]["suggestion"]["labels"]) == 7
    assert api.call("POST", f"/models/uploads/{job['id']}/labels", {"labels": ["sad"]})[0] == 400
    given = {"labels": list(ALPHABETICAL), "pixels": "0-1"}
    assert api.call("POST", f"/models/uploads/{job['id']}/labels", given)[0] == 202
    done = finished(api, job["id"])
    assert done["state"] == "done", done
    assert done["report"]["measured"]["n"] == 28
    assert done["report"]["comparison"]["active"] == "old"
    assert leftovers(models) == []
    card = ModelCard.load(models / "new")
    assert card.metrics["upload"]["evaluation_set"]["name"] == "Small faces"
    assert card.training["uploaded"]["by"].startswith("ada")
    Registry(models).verify("new")

    assert api.call("POST", "/models/new/activate", {"why": "a test"})[0] == 200
    assert (models / "ACTIVE").read_text() == "new\n"
    assert api.call("POST", "/models/rollback")[0] == 200
    _, history = api.call("GET", "/models/history")
    assert [e["outcome"] for e in history["entries"]] == ["rolled_back", "activated"]
    assert api.call("DELETE", f"/evaluation-sets/{made['id']}")[0] == 204


def test_cancelling_ends_the_check(api: Api, models: Path) -> None:
    body = zip_of(models / "old", "old/")
    status, job = api.call("POST", "/models/uploads", body, name="new", filename="old.zip")
    assert status == 202
    api.call("DELETE", f"/models/uploads/{job['id']}")
    assert finished(api, job["id"])["state"] == "cancelled"
    assert leftovers(models) == []


def test_only_what_dead_makers_left_is_swept(tmp_path: Path) -> None:
    import os
    import signal
    import subprocess
    import sys

    alive = Staging(tmp_path, PREFIX)
    code = (
        "import sys, time; from pathlib import Path; "
        "from webapp.files.staging import Staging; "
        f"s = Staging(Path(sys.argv[1]), {PREFIX!r}); (s.folder / 'incoming').write_bytes(b'x'); "
        "print('made', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    ) as maker:
        assert maker.stdout is not None and maker.stdout.readline() == b"made\n"
        assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 2
        assert sweep(tmp_path, PREFIX) == 0
        os.kill(maker.pid, signal.SIGKILL)
        maker.wait()
    assert sweep(tmp_path, PREFIX) == 1
    assert [p.name for p in tmp_path.iterdir()] == [alive.folder.name]
    alive.remove()
    assert list(tmp_path.iterdir()) == []
