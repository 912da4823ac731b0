"""Review over HTTP: faces to label, labels, and the labelled faces as a training folder."""

from __future__ import annotations

import secrets

from flask import jsonify, request, send_file
from flask.typing import ResponseReturnValue

from webapp.files.storage import remove_tree
from webapp.survey.api import blueprint, download_name, find_job, json_body, private, text_of
from webapp.survey.corrections import write_training_zip
from webapp.survey.service import surveys


@blueprint.get("/<survey_id>/jobs/<int:job_id>/review")
def review_faces(survey_id: str, job_id: int) -> ResponseReturnValue:
    find_job(survey_id, job_id)
    reviews = surveys().reviews
    queue = request.args.get("queue", "random")
    return jsonify({"faces": reviews.faces(job_id, queue), "status": reviews.status(job_id)})


@blueprint.put("/<survey_id>/jobs/<int:job_id>/review/<int:face_id>")
def review_give(survey_id: str, job_id: int, face_id: int) -> ResponseReturnValue:
    find_job(survey_id, job_id)
    body = json_body()
    reviews = surveys().reviews
    reviews.give(job_id, face_id, text_of(body, "label"), text_of(body, "queue", "random"))
    return jsonify(reviews.status(job_id))


@blueprint.delete("/<survey_id>/jobs/<int:job_id>/review/<int:face_id>")
def review_withdraw(survey_id: str, job_id: int, face_id: int) -> ResponseReturnValue:
    find_job(survey_id, job_id)
    surveys().reviews.withdraw(job_id, face_id)
    return jsonify(surveys().reviews.status(job_id))


@blueprint.get("/<survey_id>/jobs/<int:job_id>/corrections.zip")
def review_corrections(survey_id: str, job_id: int) -> ResponseReturnValue:
    """The labelled faces, one folder for each emotion, as ``training`` reads them."""
    opened = surveys()
    job = find_job(survey_id, job_id)
    survey = opened.catalog.get(survey_id)
    # where pictures arrive: whatever deletes the survey's pictures deletes this copy too
    folder = opened.catalog.folders.incoming(survey_id).resolve() / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        target = folder / "corrections.zip"
        pixels = opened.settings.max_image_pixels
        write_training_zip(opened.catalog, survey, job, target, pixels)
        name = download_name(survey, f"labelled-faces-{job_id}.zip")
        answer = send_file(
            target, mimetype="application/zip", as_attachment=True, download_name=name
        )
    except BaseException:
        remove_tree(folder)
        raise
    answer.direct_passthrough = False  # passed through, its close would never be called
    answer.call_on_close(lambda: remove_tree(folder))
    return private(answer)
