"""Sharing over HTTP: who sees a survey, inviting somebody, taking an invitation back."""

from __future__ import annotations

from typing import Any

from flask import jsonify
from flask.typing import ResponseReturnValue

from webapp.survey import sharing
from webapp.survey.api import blueprint
from webapp.survey.service import surveys


def sharing_json(survey_id: str) -> dict[str, Any]:
    """``{"owner", "guests": [{"name", "since"}], "may_share"}``. Raises :class:`NotFound`."""
    account_id = sharing.viewer()
    with surveys().store.session() as session:
        survey = sharing.check_visible(session, survey_id, account_id)
        found = sharing.guests(session, survey_id)
        return {
            "owner": sharing.owner_name(session, survey),
            "guests": [{"name": one.name, "since": one.since.isoformat()} for one in found],
            "may_share": sharing.may_share(survey, account_id),
        }


@blueprint.get("/<survey_id>/shares")
def sharing_show(survey_id: str) -> ResponseReturnValue:
    return jsonify(sharing_json(survey_id))


@blueprint.put("/<survey_id>/shares/<name>")
def sharing_invite(survey_id: str, name: str) -> ResponseReturnValue:
    opened = surveys()
    sharing.share(opened.store, survey_id, name, sharing.viewer())
    sharing.note("survey.share", opened.catalog.get(survey_id), {"with": name.strip().lower()})
    return jsonify(sharing_json(survey_id))


@blueprint.delete("/<survey_id>/shares/<name>")
def sharing_withdraw(survey_id: str, name: str) -> ResponseReturnValue:
    opened = surveys()
    sharing.unshare(opened.store, survey_id, name, sharing.viewer())
    sharing.note("survey.unshare", opened.catalog.get(survey_id), {"with": name.strip().lower()})
    return "", 204
