"""A study and people who take part in it, for the browser tests."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from playwright.sync_api import Page, expect

from tests.e2e.browser import PATIENCE_S, wait_until
from tests.e2e.scenes import Picture, background
from tests.e2e.servers import ServerProcess
from tests.support.reactions import heads

FIELDS: dict[str, Any] = {
    "name": "Two films and a picture",
    "purpose": "research",
    "contact": "Mira Example, mira@example.org",
    "notice_text": "We would like to know what faces do while people watch.",
    "fixation_ms": 500,
    "questions": {
        "before": [],
        "after": [
            {"id": "liking", "kind": "scale", "text": "Did you like it?", "required": True},
        ],
    },
}

# A camera whose face is set by what is on screen: a smile while the film of some length is between
# two times, in seconds, else none. So a test knows which expression
# belongs to which moment of which film. Everything behind the camera is the real thing.
_CAMERA = """(() => {
  const given = %s;
  const pictures = {};
  const loaded = Promise.all(Object.entries(given.faces).map(async ([name, data]) => {
    pictures[name] = new Image();
    pictures[name].src = `data:image/png;base64,${data}`;
    await pictures[name].decode();
  }));
  const smiling = () => {
    const film = document.querySelector('video.stimulus__content');
    if (!film || film.hidden) return false;
    const script = given.script[Math.round(film.duration)];
    return Boolean(script) && film.currentTime >= script[0] && film.currentTime < script[1];
  };
  navigator.mediaDevices.getUserMedia = async () => {
    await loaded;
    const canvas = document.createElement('canvas');
    canvas.width = 640;
    canvas.height = 480;
    const context = canvas.getContext('2d');
    const draw = () => context.drawImage(pictures[smiling() ? 'happy' : 'neutral'], 0, 0);
    draw();
    setInterval(draw, 33);
    return canvas.captureStream(30);
  };
})()"""


def face_scene(expression: str, *, mirrored: bool, light: float, side: int) -> Picture:
    """One of the heads of :func:`tests.support.reactions.heads` before a wall, BGR 640 x 480."""
    head = heads()[expression]
    if mirrored:
        head = np.ascontiguousarray(head[:, ::-1])
    big = cv2.resize(head, (side, side), interpolation=cv2.INTER_CUBIC)
    frame = background()
    frame[100 : 100 + side, 180 : 180 + side] = big
    return np.asarray((frame * np.float32(light)).clip(0, 255), np.uint8)


def scripted_camera(script: dict[int, tuple[float, float]], **look: Any) -> str:
    """A script for a page: its camera smiles where ``script`` says, by the film's length in s."""
    faces = {}
    for expression in ("happy", "neutral"):
        done, data = cv2.imencode(".png", face_scene(expression, **look))
        assert done
        faces[expression] = base64.b64encode(data.tobytes()).decode()
    return _CAMERA % json.dumps({"faces": faces, "script": script})


def write_film(path: Path, seconds: int, colour: tuple[int, int, int]) -> Path:
    """An H.264 film of a square that goes across a plain ground, 10 frames a second."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(seconds * 10):
            picture = np.full((180, 320, 3), colour, np.uint8)
            x = round(270 * number / (seconds * 10))
            picture[70:110, x : x + 40] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_picture(path: Path) -> Path:
    assert cv2.imwrite(str(path), np.full((180, 320, 3), (60, 140, 90), np.uint8))
    return path


def make_study(
    page: Page, server: ServerProcess, files: list[Path], **fields: Any
) -> dict[str, Any]:
    """An open study that shows ``files``, pictures for two seconds each."""
    api = page.request
    made = api.post(f"{server.url}api/v1/studies", data=FIELDS | fields)
    assert made.ok, made.text()
    study_id = made.json()["id"]
    for file in files:
        form: dict[str, Any] = {"file": str(file), "name": file.stem}
        form["file"] = {
            "name": file.name,
            "mimeType": "application/octet-stream",
            "buffer": file.read_bytes(),
        }
        if file.suffix == ".png":
            form["show_ms"] = "2000"
        answer = api.post(f"{server.url}api/v1/studies/{study_id}/stimuli", multipart=form)
        assert answer.ok, answer.text()
    opened = api.post(f"{server.url}api/v1/studies/{study_id}/open", data={})
    assert opened.ok, opened.text()
    return dict(opened.json())


class Participant:
    """Somebody at a browser, from the notice to the end."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.code = ""
        page.goto(url)
        page.locator("html[data-ready]").wait_for()

    def screen(self, name: str) -> None:
        expect(self.page.locator(f"section[data-screen={name}]")).to_be_visible()

    def state(self) -> dict[str, Any]:
        return dict(self.page.evaluate("window.mien.state"))

    def agree(self) -> None:
        self.page.get_by_role("checkbox").check()
        self.page.get_by_role("button", name="Take part").click()
        self.screen("receipt")
        self.code = self.page.locator("[data-screen=receipt] [data-code]").inner_text()
        self.page.locator("[data-screen=receipt] [data-to-camera]").click()

    def check_camera(self) -> None:
        self.page.get_by_role("button", name="Turn the camera on").click()
        self.screen("check")
        done = self.page.locator("[data-check-done]")
        expect(done).to_be_enabled(timeout=PATIENCE_S * 1000)
        done.click()
        self.screen("ready")

    def start(self) -> None:
        self.page.locator("[data-start]").click()

    def at(self, position_ms: float) -> None:
        """Waits until the film on screen is that far."""
        wait_until(
            self.page,
            lambda: self.state()["stimulus"] and self.state()["positionMs"] >= position_ms,
            f"the film at {position_ms} ms",
        )

    def answer(self) -> None:
        self.screen("questions")
        self.page.locator(".scale__point").nth(3).click()
        self.page.locator("[data-questions-form] button").click()
        self.screen("end")
