"""The live page and the page of recordings.

Configuration reaches their scripts as one JSON block in the template.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue

from webapp import __version__
from webapp.domain import EMOTIONS, UNCERTAIN
from webapp.live.events import NAMESPACE
from webapp.web.services import services

blueprint = Blueprint("pages", __name__)


def live_config() -> dict[str, Any]:
    """What the live page's scripts need to know before they connect."""
    settings = services().settings
    return {
        "namespace": NAMESPACE,
        "emotions": list(EMOTIONS),
        "uncertain": UNCERTAIN,
        "model": services().inference.version,
        "version": __version__,
        # whom the administrator lets moods be sent to; nothing is sent without a click
        "mood": {"webhooks": list(current_app.extensions["mien.mood.hosts"])},
        # a little after the server's own limit, so that its error arrives instead of ours
        "ack_timeout_ms": settings.inference_timeout_ms + 1000,
        "limits": {
            "max_frame_bytes": settings.max_frame_bytes,
            "max_fps": settings.live_max_fps,
            "idle_timeout_s": settings.live_idle_timeout_s,
        },
    }


@blueprint.get("/")
def live() -> ResponseReturnValue:
    """The page that shows the camera and what is read in it."""
    return render_template("live.html", config=live_config())


@blueprint.get("/recordings")
def recordings() -> ResponseReturnValue:
    """The page that plays back recordings; they are in the browser, the server has none."""
    return render_template("recordings.html")


@blueprint.get("/privacy")
def privacy() -> ResponseReturnValue:
    """What happens to pictures of people and to what is read in them."""
    settings = services().settings
    return render_template("privacy.html", unanalysed_days=settings.survey_unanalysed_days)
