"""Reports and exports of studies over HTTP."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from flask import Blueprint, Response, jsonify, request, send_file
from flask.typing import ResponseReturnValue

from webapp.errors import InvalidRequest, NotFound
from webapp.languages import language
from webapp.studies.api import private
from webapp.studies.report.exports import people_csv, scores_csv
from webapp.studies.service import studies

blueprint = Blueprint("study_report_api", __name__, url_prefix="/api/v1/studies")
MAX_PART: Final = 3000
EXPORTS: Final = {
    "scores.csv": "text/csv",
    "people.csv": "text/csv",
    "report.json": "application/json",
    "report.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def _part(name: str) -> str:
    value = request.args.get(name, "")
    if len(value) > MAX_PART or "\x00" in value:
        raise InvalidRequest(f"Expected {name} as short text.", field=name)
    return value


@blueprint.get("/<study_id>/report")
def report(study_id: str) -> ResponseReturnValue:
    """The report as it is now, ``?by=`` with segments, ``?only=`` of some people."""
    return private(jsonify(studies().reports.report(study_id, _part("by"), _part("only"))))


@blueprint.get("/<study_id>/exports/<form>")
def export(study_id: str, form: str) -> ResponseReturnValue:
    """The scores or people as CSV, the report as a workbook or JSON."""
    opened = studies()
    study = opened.catalog.get(study_id)
    if form not in EXPORTS:
        raise NotFound(f"Expected one of {', '.join(EXPORTS)}.")
    if form == "report.json":
        answer = jsonify(opened.reports.report(study_id))
    elif form == "report.xlsx":
        book = BytesIO(opened.reports.workbook(study_id, language()))
        answer = send_file(book, mimetype=EXPORTS[form])
    else:
        lines = (people_csv if form == "people.csv" else scores_csv)(opened.store, study_id)
        answer = Response(lines, mimetype="text/csv")
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in study.name)[:60].strip("-")
    answer.headers["Content-Disposition"] = f'attachment; filename="{plain or "study"}-{form}"'
    return private(answer)
