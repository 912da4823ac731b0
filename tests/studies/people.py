"""A researcher and people who take part, over HTTP, as their pages would."""

from __future__ import annotations

import io
from typing import Any

from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from webapp.domain import EMOTIONS

API = "/api/v1/studies"
TAKE_PART = "/api/v1/participations"
FIELDS: dict[str, Any] = {
    "name": "Two films",
    "purpose": "advertising",
    "notice_text": "You see two pictures and the camera reads your expression.",
    "contact": "research@example.org",
    "return_hosts": ["https://panel.example"],
    "questions": {
        "before": [{"id": "age", "kind": "choice", "text": "Age?", "options": ["young", "old"]}],
        "after": [
            {"id": "liking", "kind": "scale", "text": "Liked it?", "min": 1, "max": 5,
             "required": True},
            {"id": "why", "kind": "text", "text": "Why?"},
        ],
    },
}  # fmt: skip


def picture(colour: str = "red") -> io.BytesIO:
    target = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(target, "PNG")
    target.seek(0)
    return target


def scores(emotion: str = "happy", top: float = 0.7) -> list[float]:
    rest = round((1 - top) / 6, 4)
    return [top if name == emotion else rest for name in EMOTIONS]


def sample(at_ms: float, emotion: str = "happy", top: float = 0.7, **more: Any) -> dict[str, Any]:
    made = {"t_ms": at_ms, "face": "one", "quality": True, "rate": 3.0}
    return made | {"scores": scores(emotion, top)} | more


class Researcher:
    """Makes studies and opens them."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def draft(self, **fields: Any) -> dict[str, Any]:
        answer = self.client.post(API, json=FIELDS | fields)
        assert answer.status_code == 201, answer.json
        return dict(answer.json)

    def add(self, study: str, colour: str = "red", **form: Any) -> TestResponse:
        file = (picture(colour), f"{colour}.png")
        return self.client.post(f"{API}/{study}/stimuli", data={"file": file} | form)

    def open(self, stimuli: int = 2, **fields: Any) -> dict[str, Any]:
        """An open study that shows so many pictures."""
        study = self.draft(**fields)
        for colour in ("red", "green", "blue", "white")[:stimuli]:
            assert self.add(study["id"], colour).status_code == 201
        answer = self.client.post(f"{API}/{study['id']}/open")
        assert answer.status_code == 200, answer.json
        return dict(answer.json)

    def show(self, study: str) -> dict[str, Any]:
        return dict(self.client.get(f"{API}/{study}").json)


class Person:
    """Somebody who takes part in a study."""

    def __init__(self, client: FlaskClient, study: dict[str, Any], **more: Any) -> None:
        self.client = client
        body = {
            "link": study["link"].removeprefix("/s/"),
            "consent": True,
            "notice_version": study["notice_version"],
        }
        self.answer = client.post(TAKE_PART, json=body | more)
        self.begun: dict[str, Any] = self.answer.json
        self.seq = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Study {self.begun['code']}"}

    @property
    def order(self) -> list[str]:
        return [one["id"] for one in self.begun["order"]]

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        return self.client.open(
            f"{TAKE_PART}/me{path}", method=method, headers=self.headers, **more
        )

    def send(self, stimulus: str, samples: list[dict[str, Any]], seq: int = 0) -> TestResponse:
        self.seq = seq or self.seq + 1
        body = {"seq": self.seq, "stimulus": stimulus, "samples": samples, "model": "fake-1"}
        return self.ask("POST", "/batches", json=body)

    def watch(self, stimulus: str, samples: list[dict[str, Any]]) -> None:
        assert self.send(stimulus, samples).status_code == 200
        assert self.ask("POST", f"/stimuli/{stimulus}/shown").status_code == 204

    def finish(self, **answers: Any) -> TestResponse:
        given = {"liking": 4} | answers
        assert self.ask("PUT", "/answers", json=given).status_code == 204
        return self.ask("POST", "/finish")

    def withdraw(self) -> TestResponse:
        code = self.begun["withdrawal_code"]
        return self.client.post("/api/v1/withdrawals", json={"withdrawal_code": code})
