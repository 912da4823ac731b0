"""The model pages: all versions, one version's card, two versions side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from webapp.access.audit import record
from webapp.access.auth import admin_required
from webapp.admin import card_view as cards
from webapp.admin.login_pages import blueprint
from webapp.admin.requests import WRITE, body, who
from webapp.card import ModelCard
from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid
from webapp.models import measurements, notes
from webapp.models.notes import Notes
from webapp.models.registry import ModelVersion, Registry
from webapp.web.services import services


@dataclass(frozen=True)
class Row:
    """One version in the list; ``measured`` as :func:`measurements.known` gives it."""

    version: str
    card: ModelCard
    evaluation: cards.Evaluation | None
    size_bytes: int
    measured: dict[str, Any] | None
    notes: Notes


def _registry() -> Registry:
    return Registry(services().settings.models_path)


def _instance() -> Path:
    return Path(services().settings.instance_path)


def _row(found: ModelVersion) -> Row:
    return Row(
        found.version,
        found.card,
        cards.primary(found.card),
        cards.size_bytes(found.folder),
        measurements.known(_instance(), found.version, found.folder),
        notes.known(_instance(), found.version, found.card.created),
    )


def _serves(path: str) -> bool:
    """Whether this server takes ``POST path``."""
    try:
        current_app.url_map.bind("localhost").match(path, method="POST")
    except HTTPException:
        return False
    return True


def _shared(registry: Registry) -> dict[str, Any]:
    """What every model page shows of the state."""
    earlier = registry.earlier()
    return {
        "serving": services().inference.version,
        "active": registry.active_name(),
        "previous": earlier[-1] if earlier else None,
        "can_activate": _serves("/admin/api/models/some/activate"),
        "emotions": EMOTIONS,
    }


@blueprint.get("/models")
@admin_required
def models() -> ResponseReturnValue:
    """Every version, newest first, and the folders that are no version, with the reason."""
    registry = _registry()
    damaged = registry.damaged()
    rows = [_row(found) for found in reversed(registry.versions())]
    broken = damaged | {r.version: r.measured["error"] for r in rows if r.measured and _broken(r)}
    return render_template(
        "admin/models.html",
        rows=[row for row in rows if not _broken(row)],
        broken=sorted(broken.items()),
        folders=set(damaged),
        machine=measurements.machine(),
        **_shared(registry),
    )


def _broken(row: Row) -> bool:
    return row.measured is not None and "error" in row.measured


@blueprint.get("/models/<version>")
@admin_required
def model(version: str) -> ResponseReturnValue:
    """One version's card."""
    registry = _registry()
    found = registry.get(version)
    return render_template(
        "admin/model.html",
        row=_row(found),
        notes=notes.known(_instance(), version, found.card.created),
        curves=cards.curves(found.card),
        evaluations=cards.evaluations(found.card),
        facts=cards.facts(found.card),
        words=cards.FIGURE_WORDS,
        machine=measurements.machine(),
        others=[v.version for v in registry.versions() if v.version != version],
        **_shared(registry),
    )


@blueprint.get("/models/compare")
@admin_required
def compare_models() -> ResponseReturnValue:
    """Two versions side by side: ``?a=...&b=...``; evaluations that both cards have."""
    registry = _registry()
    first, second = (registry.get(request.args.get(name, "")) for name in ("a", "b"))
    ours = {e.key: e for e in cards.evaluations(first.card)}
    pairs = [
        (e, cards.compare(ours[e.key], e), cards.same_pictures(first.card, second.card, e.key))
        for e in cards.evaluations(second.card)
        if e.key in ours
    ]
    return render_template(
        "admin/compare.html",
        rows=[_row(first), _row(second)],
        pairs=pairs,
        ours=ours,
        facts=[dict(cards.facts(v.card)) for v in (first, second)],
        versions=[v.version for v in registry.versions()],
        **_shared(registry),
    )


@blueprint.post("/api/models/<version>/measure")
@admin_required(scope=WRITE)
def measure_model(version: str) -> ResponseReturnValue:
    """Check a version's files and time it on this machine, in a process of its own."""
    found = _registry().get(version)
    try:
        measured = measurements.measure(_instance(), found.version, found.folder)
    except OSError as error:
        raise ModelInvalid(f"The measurement cannot be kept: {error.strerror}.") from error
    record(
        "model.measure",
        found.version,
        {"error": measured["error"]} if "error" in measured else {"ms": measured["ms"]},
    )
    return jsonify({key: value for key, value in measured.items() if key != "key"})


@blueprint.put("/api/models/<version>/notes")
@admin_required(scope=WRITE)
def keep_notes(version: str) -> ResponseReturnValue:
    """Tags and a note of a version: ``{"tags": [...], "note": "..."}`` in place of those before."""
    found = _registry().get(version)
    given = body()
    made = notes.keep(
        _instance(),
        found.version,
        found.card.created,
        given.get("tags", []),
        given.get("note", ""),
        who(),
    )
    record("model.notes", found.version, {"tags": list(made.tags)})
    return jsonify(made.to_json())
