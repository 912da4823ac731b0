"""A small server with the page's contract and answers that are set by hand.

The page's error states (a lost worker, a full server, odd answers) are hard to bring about on
purpose in the real server; here one POST sets them. Run ``python -m tests.support.live_double
--port 5001``. ``POST /double`` takes JSON: ``{"fault": CODE | null, "faces": [...] | null,
"model": NAME, "status": {...} | null}``.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, render_template, request
from flask_socketio import SocketIO, emit
from werkzeug.serving import make_server

from webapp.domain import EMOTIONS
from webapp.errors import ERRORS_BY_CODE
from webapp.web.language_choice import init_languages

ROOT = Path(__file__).resolve().parents[2]
CSP = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def scores_of(label: str, confidence: float) -> dict[str, float]:
    """Seven probabilities with ``confidence`` for ``label`` and falling shares for the rest."""
    rest = [name for name in EMOTIONS if name != label]
    weights = [2.0**-i for i in range(len(rest))]
    shares = {
        name: (1 - confidence) * w / sum(weights) for name, w in zip(rest, weights, strict=True)
    }
    return {name: shares.get(name, confidence) for name in EMOTIONS}


def face(
    box: list[float],
    label: str = "happy",
    confidence: float = 0.83,
    track: int = 1,
    advice: str | None = None,
) -> dict[str, Any]:
    """One face as the contract has it; ``label`` may be ``uncertain``."""
    scores = scores_of("happy" if label == "uncertain" else label, confidence)
    return {
        "track": track,
        "box": box,
        "detection": 1.4,
        "label": label,
        "confidence": confidence,
        "scores": scores,
        "raw": scores,
        "valence": 0.5,
        "quality": {"ok": advice is None, "advice": advice},
    }


def drifting_faces() -> list[dict[str, Any]]:
    """Two faces on slow circles, the larger one changing its expression every three seconds."""
    now = time.monotonic()
    dx, dy = 40 * math.sin(now), 20 * math.cos(now)
    label = EMOTIONS[int(now / 3) % len(EMOTIONS)]
    confidence = 0.6 + 0.3 * math.sin(now * 1.7)
    return [
        face([180 + dx, 140 + dy, 330 + dx, 290 + dy], label, confidence, track=1),
        face([430 - dx, 160, 530 - dx, 260], "neutral", 0.7, track=2),
    ]


class Double:
    """What the server answers next; changed by ``POST /double``."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.faces: list[dict[str, Any]] | None = None
        self.model = "double-1"
        self.frames = 0


def create_double() -> tuple[Flask, SocketIO, Double]:
    app = Flask(
        __name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static")
    )
    init_languages(app)
    socketio = SocketIO(app, async_mode="threading", cors_allowed_origins=[])
    double = Double()

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = CSP
        return response

    @app.get("/")
    def live() -> str:
        config = {
            "namespace": "/live",
            "ack_timeout_ms": 3000,
            "mood": {"webhooks": ["home.example"]},
        }
        return render_template("live.html", config=config)

    @app.get("/recordings")
    def recordings() -> str:
        return render_template("recordings.html")

    @app.errorhandler(404)
    def missing(_: Exception) -> tuple[str, int]:
        message = f"Mien has no page {request.path}."
        return render_template("error.html", status=404, code="not_found", message=message), 404

    @app.post("/double")
    def control() -> Response:
        wanted = request.get_json()
        if "fault" in wanted:
            double.fault = wanted["fault"]
        if "faces" in wanted:
            double.faces = wanted["faces"]
        if "model" in wanted:
            double.model = wanted["model"]
        if wanted.get("status"):
            socketio.emit("status", wanted["status"], namespace="/live")
        return jsonify(frames=double.frames)

    @socketio.on("connect", namespace="/live")  # type: ignore[untyped-decorator]
    def connected() -> None:
        hello = {
            "model": "double-1",
            "limits": {"max_frame_bytes": 900_000, "max_fps": 40},
            "emotions": list(EMOTIONS),
            "session": "double",
        }
        emit("hello", hello)

    @socketio.on("options", namespace="/live")  # type: ignore[untyped-decorator]
    def options(wanted: dict[str, Any]) -> dict[str, Any]:
        return {"smoothing": True, "steadiness": "balanced", **wanted}

    @socketio.on("baseline", namespace="/live")  # type: ignore[untyped-decorator]
    def baseline(wanted: dict[str, Any]) -> dict[str, Any]:
        return {"state": "none", "progress": 0.0, "remaining_s": 0.0, "trouble": None}

    @socketio.on("frame", namespace="/live")  # type: ignore[untyped-decorator]
    def frame(meta: dict[str, Any], jpeg: bytes) -> Any:
        double.frames += 1
        if double.fault == "nonsense":
            return {"seq": meta["seq"], "faces": "many"}
        if double.fault:
            return ERRORS_BY_CODE[double.fault]("The double was told to fail.").to_json()
        return {
            "seq": meta["seq"],
            "frame": {"width": meta["width"], "height": meta["height"]},
            "model": double.model,
            "faces": drifting_faces() if double.faces is None else double.faces,
            "timings_ms": {"total": 1.0},
        }

    @socketio.on("share", namespace="/live")  # type: ignore[untyped-decorator]
    def share(wanted: dict[str, Any]) -> Any:
        if not wanted["on"]:
            return {"on": False}
        mood = {"state": "happy", "since_ms": time.time() * 1000}
        emit("sharing", {"mood": mood, "listeners": 2})
        code = "7KQ2-M9XP-4TVA"
        path = f"/api/v1/mood/{code}"
        hooks = ["home.example"] if wanted.get("webhooks") else []
        return {"on": True, "code": code, "key": "k", "path": path, "webhooks": hooks}

    return app, socketio, double


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    args = parser.parse_args()
    app, _, _ = create_double()
    server = make_server(args.host, args.port, app, threaded=True)
    print(f"listening on http://{args.host}:{server.port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
