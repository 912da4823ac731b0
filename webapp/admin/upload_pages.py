"""Pages: upload a model, put one into service, and the history of what served."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue

from webapp.access.auth import admin_required
from webapp.admin.card_view import Difference, Evaluation, compare, evaluations, same_pictures
from webapp.card import TFLITE_FILE, ModelCard
from webapp.domain import EMOTIONS
from webapp.errors import MienError
from webapp.languages import gettext, served_heads
from webapp.models import measurements
from webapp.models.paired import with_verdict
from webapp.models.registry import ModelVersion, Registry
from webapp.models.services import models
from webapp.models.wanted import RECIPES
from webapp.web.services import services

upload_blueprint = Blueprint("admin_upload", __name__, url_prefix="/admin")
history_blueprint = Blueprint("admin_history", __name__, url_prefix="/admin")
SHOWN_ENTRIES = 200


def _registry() -> Registry:
    return Registry(services().settings.models_path)


@upload_blueprint.get("/models/upload")
@admin_required
def form() -> ResponseReturnValue:
    """The form, the evaluation sets, and the uploads of this run of the server."""
    config = {
        "api": "/admin/api",
        "emotions": list(EMOTIONS),
        "limit": services().settings.model_max_upload_bytes,
        "activate": url_for("admin_history.confirm", version="VERSION"),
        "uploads": [job.to_json() for job in models().uploads.all()],
    }
    return render_template(
        "admin/model_upload.html",
        config=config,
        recipes=RECIPES,
        emotions=EMOTIONS,
        sets=models().sets.all(),
    )


def shown_on_test(card: ModelCard) -> Evaluation | None:
    """What the app's answers reach on test pictures; other heads' figures are not comparable."""
    found = (e for e in evaluations(card) if e.served and e.key.startswith("test"))
    return next(found, None)


def on_same_pictures(active: ModelVersion | None, candidate: ModelVersion) -> Difference | None:
    """Both versions' accuracy on the test pictures of their training, where those are the same."""
    if active is None:
        return None
    first, second = shown_on_test(active.card), shown_on_test(candidate.card)
    if first is None or second is None or first.title != second.title:
        return None
    if not same_pictures(active.card, candidate.card, second.key):
        return None
    return compare(first, second)[0]


def figures_of(found: ModelVersion) -> dict[str, Any]:
    """What a card says in one line each; a figure that was not measured is None."""
    card = found.card

    def of(place: Any, *names: str) -> Any:
        for name in names:
            place = place.get(name) if isinstance(place, dict) else None
        return place

    metrics = dict(card.metrics)
    upload = of(metrics, "upload")
    path = found.folder / TFLITE_FILE
    measured = measurements.known(services().settings.instance_path, found.version, found.folder)
    return {
        "version": found.version,
        "created": card.created[:10],
        "recipe": card.recipe,
        "input": f"{card.input.height} x {card.input.width}, "
        + (gettext("grey") if card.input.channels == 1 else gettext("colour")),
        "heads": ", ".join(head.name for head in card.heads),
        "served": served_heads(card.serving_head, card.mixture_facts()),
        "bytes": path.stat().st_size if path.is_file() else None,
        "uncertain_below": card.uncertain_below,
        "shown": shown_on_test(card),
        "upload_accuracy": of(upload, "accuracy"),
        "upload_interval": of(upload, "intervals", "accuracy"),
        "upload_set": of(upload, "evaluation_set", "name"),
        "ms": of(measured, "ms") or of(upload, "ms_per_face_cpu") or of(upload, "ms_per_face"),
        "licence": card.licence,
    }


@history_blueprint.get("/models/<version>/activate")
@admin_required
def confirm(version: str) -> ResponseReturnValue:
    """What would change if a version served, and the button that does it."""
    registry = _registry()
    candidate = registry.get(version)
    try:
        active: ModelVersion | None = registry.active()
    except MienError:
        active = None
    upload = candidate.card.metrics.get("upload")
    found = upload.get("comparison") if isinstance(upload, dict) else None
    compared = with_verdict(found) if isinstance(found, dict) and "matrix" in found else None
    return render_template(
        "admin/model_activate.html",
        candidate=figures_of(candidate),
        active=None if active is None else figures_of(active),
        compared=compared,
        on_test=on_same_pictures(active, candidate),
        shadow=models().shadow.latest_for(version),
        emotions=EMOTIONS,
        serving=services().inference.version,
        watch_s=services().settings.swap_watch_s,
        config={"api": "/admin/api", "version": version, "done": url_for("admin_history.index")},
    )


@history_blueprint.get("/history")
@admin_required
def index() -> ResponseReturnValue:
    """What serves now, what can be put into service, and who did what when."""
    found = [figures_of(version) for version in _registry().versions()]
    state = models().activation.state()
    return render_template(
        "admin/history.html",
        versions=list(reversed(found)),
        state=state,
        entries=models().activation.journal.entries(SHOWN_ENTRIES),
        config={"api": "/admin/api", "state": state},
    )
