"""The page that shows the audit log."""

from __future__ import annotations

from flask import render_template, request
from flask.typing import ResponseReturnValue

from webapp.access.audit import ROWS_AT_ONCE, entries
from webapp.access.auth import admin_required
from webapp.admin.login_pages import blueprint
from webapp.languages import N_
from webapp.web.open_database import store
from webapp.web.strict_input import row_id

AREAS = (
    ("", N_("Everything")),
    ("login", N_("Logins")),
    ("account", N_("Accounts")),
    ("token", N_("Tokens")),
    ("model", N_("Models")),
    ("shadow", N_("Shadow")),
    ("survey", N_("Surveys")),
)


@blueprint.get("/audit")
@admin_required
def audit() -> ResponseReturnValue:
    """Who did what and when; ``?area=`` narrows, ``?before=`` goes on from an entry."""
    area = request.args.get("area", "")
    area = area if area in dict(AREAS) else ""
    rows = entries(store(), before=request.args.get("before", type=row_id), action=area)
    older = rows[-1].id if len(rows) == ROWS_AT_ONCE else None
    return render_template("admin/audit.html", rows=rows, areas=AREAS, area=area, older=older)
