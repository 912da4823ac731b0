"""The REST interface, with a stand-in for inference, against its own OpenAPI document."""

from __future__ import annotations

import io
import json
import re
import subprocess
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from werkzeug.serving import make_server
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from tests.support.live import FakeInference
from webapp.api.openapi import PREFIX
from webapp.app import create_app
from webapp.card import ModelCard
from webapp.domain import THOROUGH
from webapp.errors import (
    CorruptImage,
    ImageTooLarge,
    InferenceTimeout,
    InferenceUnavailable,
    MienError,
    NotFound,
    UnsupportedImage,
    WorkerCrashed,
)
from webapp.settings import Settings

ANALYZE = "/api/v1/analyze"


@dataclass(frozen=True)
class Version:
    version: str
    card: ModelCard
    folder: Path = Path()


class FakeRegistry:
    def __init__(self) -> None:
        card = ModelCard("first", "small", "2025-01-01", metrics={"fer2013": {"accuracy": 0.5}})
        self.cards = [card, replace(card, version="second", uncertain_below=0.9)]

    def versions(self) -> list[Version]:
        return [Version(card.version, card) for card in self.cards]

    def get(self, version: str) -> Version:
        for known in self.versions():
            if known.version == version:
                return known
        raise NotFound("No such version.")

    def active(self) -> Version:
        return self.get("second")


@pytest.fixture
def inference() -> FakeInference:
    return FakeInference()


def client_of(inference: FakeInference, **settings: Any) -> FlaskClient:
    app = create_app(Settings(async_mode="threading", **settings), inference, FakeRegistry())
    return app.test_client()


@pytest.fixture
def client(inference: FakeInference) -> FlaskClient:
    return client_of(inference)


def check(client: FlaskClient, body: Any, name: str) -> None:
    """Hold an answer against a schema of the served document."""
    document = client.get("/api/v1/openapi.json").json
    assert document is not None
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"picture", "image/jpeg"),
        (b"picture", "application/octet-stream"),
        (b"picture", None),
        (b"picture", "application/x-www-form-urlencoded"),
        (b"picture", "multipart/form-data"),
        (b"picture", "text/plain; charset=utf-16"),
        ({"image": (io.BytesIO(b"picture"), "a.jpg")}, "multipart/form-data"),
    ],
)
def test_a_picture_in_each_form_is_read_with_upsampling(
    inference: FakeInference, client: FlaskClient, data: Any, content_type: str | None
) -> None:
    answer = client.post(ANALYZE, data=data, content_type=content_type)
    assert answer.status_code == 200
    check(client, answer.json, "FrameResult")
    assert inference.calls == [{"image": b"picture", "request": THOROUGH}]


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", "image/jpeg"),
        (b"", None),
        ({"photo": (io.BytesIO(b"picture"), "a.jpg")}, "multipart/form-data"),
        ({"image": "text, not a file"}, "multipart/form-data"),
        ({"image": (io.BytesIO(b""), "a.jpg")}, "multipart/form-data"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
    ],
)
def test_a_request_without_a_picture_is_invalid(
    inference: FakeInference, client: FlaskClient, data: Any, content_type: str | None
) -> None:
    answer = client.post(ANALYZE, data=data, content_type=content_type)
    assert answer.status_code == 400
    check(client, answer.json, "Error")
    assert inference.calls == []


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedImage("Not a picture."),
        CorruptImage("Damaged."),
        ImageTooLarge("Too many pixels.", pixels=50_000_000),
        InferenceUnavailable("None ready."),
        InferenceTimeout("Too late."),
        WorkerCrashed("Died."),
    ],
)
def test_inference_errors_keep_their_status_and_shape(
    inference: FakeInference, client: FlaskClient, error: MienError
) -> None:
    inference.error = error
    answer = client.post(ANALYZE, data=b"picture", content_type="image/jpeg")
    assert answer.status_code == error.status
    assert answer.json == error.to_json()
    check(client, answer.json, "Error")


def test_too_many_bytes_are_refused_before_they_are_read(inference: FakeInference) -> None:
    client = client_of(inference, max_image_bytes=1000)

    class Unread(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise AssertionError("the body was read")

        readline = readinto = readinto1 = read1 = read  # type: ignore[assignment]

    builder = EnvironBuilder(ANALYZE, method="POST", content_type="image/jpeg")
    environ = builder.get_environ() | {
        "wsgi.input": Unread(),
        "CONTENT_LENGTH": "5000000000",
    }
    answer = client.open(Request(environ))
    assert answer.status_code == 413
    check(client, answer.json, "Error")
    assert answer.json is not None
    assert answer.json["error"]["code"] == "payload_too_large"


def test_a_picture_just_above_the_limit_is_refused_in_both_forms(inference: FakeInference) -> None:
    client = client_of(inference, max_image_bytes=1000)
    raw = client.post(ANALYZE, data=b"x" * 1001, content_type="image/jpeg")
    form = client.post(ANALYZE, data={"image": (io.BytesIO(b"x" * 1001), "a.jpg")})
    assert (raw.status_code, form.status_code) == (413, 413)
    assert form.json is not None
    assert form.json["error"]["message"].startswith("Expected at most ")
    assert inference.calls == []
    assert client.post(ANALYZE, data=b"x" * 1000, content_type="image/jpeg").status_code == 200


def test_uploads_for_analysis_never_touch_the_disk(
    inference: FakeInference, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_files(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("a temporary file was made")

    for name in ("TemporaryFile", "SpooledTemporaryFile"):
        monkeypatch.setattr(f"werkzeug.formparser.{name}", no_files, raising=False)
    picture = b"x" * 2_000_000
    # by hand, because the test client itself would build so large a form in a temporary file
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    answer = client.post(
        ANALYZE,
        data=head + picture + b"\r\n--x--\r\n",
        content_type="multipart/form-data; boundary=x",
    )
    assert answer.status_code == 200
    assert inference.calls[0]["image"] == picture


def test_the_rate_limit_answers_429_in_the_one_shape(inference: FakeInference) -> None:
    client = client_of(inference, api_rate_per_minute=2)
    answers = [client.post(ANALYZE, data=b"x", content_type="image/jpeg") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    check(client, answers[2].json, "Error")
    assert answers[2].json is not None
    assert answers[2].json["error"]["code"] == "rate_limited"
    assert int(answers[2].headers["Retry-After"]) > 0
    assert client.get("/api/v1/models").status_code == 200


def test_models_are_listed_with_their_figures(client: FlaskClient) -> None:
    body = client.get("/api/v1/models").json
    check(client, body, "Models")
    assert body is not None
    assert (body["active"], body["serving"]) == ("second", "fake-1")
    assert [row["version"] for row in body["models"]] == ["first", "second"]
    assert [row["active"] for row in body["models"]] == [False, True]
    assert body["models"][0]["metrics"] == {"fer2013": {"accuracy": 0.5}}


def test_the_document_is_openapi_and_describes_every_route(client: FlaskClient) -> None:
    document = client.get("/api/v1/openapi.json").json
    assert document is not None
    validate(document)
    assert document["openapi"].startswith("3.1")
    described = {
        (path, method.upper()) for path, item in document["paths"].items() for method in item
    }
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(PREFIX)
    }
    assert described == served
    assert described >= {(ANALYZE, "POST"), ("/api/v1/models", "GET")}
    operations = [entry for item in document["paths"].values() for entry in item.values()]
    assert all(entry["summary"] for entry in operations)
    names = [entry["operationId"] for entry in operations]
    assert len(set(names)) == len(names)


def test_curl_without_a_type_sends_a_picture(tmp_path: Path, inference: FakeInference) -> None:
    """Curl declares every ``--data-binary`` body a form."""
    (tmp_path / "face.jpg").write_bytes(b"picture")
    app = create_app(Settings(async_mode="threading"), inference, FakeRegistry())
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = subprocess.run(
            f"curl --data-binary @face.jpg http://127.0.0.1:{server.port}/api/v1/analyze".split(),
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert done.returncode == 0
    assert "faces" in json.loads(done.stdout)
    assert inference.calls == [{"image": b"picture", "request": THOROUGH}]


@pytest.mark.parametrize(("killed", "status", "calls"), [(True, 200, 2), (False, 502, 1)])
def test_a_picture_whose_worker_was_killed_is_tried_once_more(
    killed: bool, status: int, calls: int
) -> None:
    detail = {"killed": True} if killed else {}

    class Once(FakeInference):
        def analyze(self, image: bytes, **options: Any) -> Any:
            self.error = None if self.calls else WorkerCrashed("It ended.", **detail)
            return super().analyze(image, **options)

    inference = Once()
    client = create_app(Settings(async_mode="threading"), inference).test_client()
    assert client.post(ANALYZE, data=b"jpeg").status_code == status
    assert len(inference.calls) == calls
