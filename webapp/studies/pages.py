"""The pages of studies: list, form, one study and its report for researchers; the page behind a
link and the one to withdraw for people who take part.
"""

from __future__ import annotations

import io
from typing import Any

import segno
from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from webapp.access.auth import public
from webapp.database.study_tables import Study, StudyStimulus
from webapp.errors import Gone, NotFound
from webapp.languages import gettext as _
from webapp.languages import ngettext
from webapp.studies.access import visible
from webapp.studies.api import private, whole_json
from webapp.studies.catalog import stimuli_of
from webapp.studies.events import NAMESPACE
from webapp.studies.notices import LANGUAGES, NOTICES
from webapp.studies.participant_api import notice_json
from webapp.studies.service import studies
from webapp.survey.purposes import PURPOSES
from webapp.web.services import services

blueprint = Blueprint("study", __name__)
MAX_COLUMNS = 20  # of a link's query, beside pid and return


def _api(study_id: str) -> str:
    return f"/api/v1/studies/{study_id}"


def _stimuli(study_id: str) -> list[StudyStimulus]:
    with studies().store.session() as session:
        return stimuli_of(session, study_id)


def _link(study: Study) -> str | None:
    """The whole address to send, on the host that the researcher uses."""
    return None if study.link is None else f"{request.host_url}s/{study.link}"


def _facts(study: Study, stimuli: list[StudyStimulus]) -> dict[str, str]:
    """How much there is to watch and how long it is kept, in a sentence each."""
    shown_ms = sum((one.show_ms or one.duration_ms or 0) + study.fixation_ms for one in stimuli)
    minutes = max(1, round(shown_ms / 60_000))
    return {
        "summary": ngettext(
            "%(num)s film or picture to watch, about %(minutes)s min, on a phone or a computer "
            "with a camera.",
            "%(num)s films and pictures to watch, about %(minutes)s min, on a phone or a computer "
            "with a camera.",
            len(stimuli),
            minutes=minutes,
        ),
        "kept": ngettext(
            "Readings and answers are deleted %(num)s day after you took part, or at once when you "
            "withdraw.",
            "Readings and answers are deleted %(num)s days after you took part, or at once when "
            "you withdraw.",
            study.keep_days,
        ),
    }


# --- researchers


@blueprint.get("/studies")
def index() -> ResponseReturnValue:
    """Every study that may be seen, newest first."""
    found = studies().catalog.rows(visible())
    progress = studies().catalog.progress([study.id for study, _owner in found])
    rows = [
        {"study": study, "owner": owner, "people": progress[study.id].to_json()}
        for study, owner in found
    ]
    return render_template("studies.html", rows=rows, owners=services().settings.require_login)


@blueprint.get("/studies/new")
def new() -> ResponseReturnValue:
    return render_template("study_new.html", purposes=PURPOSES)


@blueprint.get("/studies/<study_id>/edit")
def edit(study_id: str) -> ResponseReturnValue:
    """What people watch, questions, notice, and how many are wanted."""
    study = studies().catalog.get(study_id)
    settings = services().settings
    config = {
        "api": _api(study_id),
        "study": whole_json(study),
        "notices": NOTICES,
        "limits": {"stimulus": settings.study_max_stimulus_bytes},
    }
    return render_template(
        "study_edit.html",
        study=study,
        stimuli=_stimuli(study_id),
        notice_languages=LANGUAGES.items(),
        config=config,
    )


@blueprint.get("/studies/<study_id>")
def show(study_id: str) -> ResponseReturnValue:
    """The link to send, how many people there are, what is missing before it opens."""
    study = studies().catalog.get(study_id)
    stimuli = _stimuli(study_id)
    checklist = [
        (bool(stimuli), _("Something to watch")),
        (bool(study.notice_text), _("A notice that people agree to")),
        (bool(study.contact), _("Who is responsible, and how to reach them")),
    ]
    return render_template(
        "study_show.html",
        study=study,
        stimuli=stimuli,
        facts=_facts(study, stimuli),
        people=studies().catalog.progress([study_id])[study_id].to_json(),
        link=_link(study),
        checklist=checklist,
        ready=all(done for done, _text in checklist),
        api=_api(study_id),
        config={"api": _api(study_id), "state": study.state},
    )


@blueprint.get("/studies/<study_id>/qr.svg")
def qr(study_id: str) -> ResponseReturnValue:
    """The link as a QR code. Raises :class:`NotFound` where there is no link."""
    link = _link(studies().catalog.get(study_id))
    if link is None:
        raise NotFound("This study has no link.", study=study_id)
    drawn = io.BytesIO()
    segno.make(link, error="m").save(
        drawn, kind="svg", scale=6, border=3, dark="#000", light="#fff", xmldecl=False
    )
    return private(Response(drawn.getvalue(), mimetype="image/svg+xml"))


@blueprint.get("/studies/<study_id>/report")
def report(study_id: str) -> ResponseReturnValue:
    """Curves beside what was shown; the figures come from the API."""
    study = studies().catalog.get(study_id)
    return render_template(
        "study_report.html",
        study=study,
        people=studies().catalog.progress([study_id])[study_id].to_json(),
        api=_api(study_id),
        config={"api": _api(study_id)},
    )


@blueprint.get("/studies/<study_id>/preview")
def preview(study_id: str) -> ResponseReturnValue:
    """What people who take part see; such a run enters no report."""
    return _participate(studies().catalog.get(study_id), preview=True)


# --- people who take part


def _participate(study: Study, *, preview: bool) -> ResponseReturnValue:
    query = {name: value for name, value in request.args.items() if len(value) <= 200}
    notice = notice_json(study)
    config: dict[str, Any] = {
        "link": study.link,
        "study": {
            "id": study.id if preview else None,
            "name": study.name,
            "contact": study.contact,
        },
        "notice": {"text": study.notice_text, "version": notice["notice_version"]},
        "preview": preview,
        "pid": query.pop("pid", None),
        "return": request.args.get("return"),
        "columns": dict(
            [(name, value) for name, value in query.items() if name != "return"][:MAX_COLUMNS]
        ),
        "namespace": NAMESPACE,
        "ack_timeout_ms": services().settings.study_frame_timeout_ms + 1000,
    }
    page = render_template(
        "study.html",
        study=study,
        facts=_facts(study, _stimuli(study.id)),
        preview=preview,
        config=config,
    )
    return private(Response(page))


@blueprint.get("/s/<link>")
@public
def take_part(link: str) -> ResponseReturnValue:
    """The page behind a study's link, or a friendly one where nobody can take part (now)."""
    try:
        study = studies().participants.open_study(link)
    except NotFound:
        return _unavailable("unknown", 404)
    except Gone as gone:
        return _unavailable(str(gone.detail.get("reason", "closed")), 410)
    return _participate(study, preview=False)


def _unavailable(reason: str, status: int) -> ResponseReturnValue:
    headings = {
        "unknown": _("This link leads to no study"),
        "closed": _("This study is closed"),
        "ended": _("This study has ended"),
        "full": _("Enough people have taken part"),
    }
    texts = {
        "unknown": _(
            "It may have been withdrawn, or a part of it was lost on the way. Ask whoever sent it."
        ),
        "closed": _("Nobody new can take part at the moment. Thank you for your interest."),
        "ended": _("Its last day has passed. Thank you for your interest."),
        "full": _("The study has all the people it needs. Thank you for your interest."),
    }
    return render_template(
        "study_unavailable.html", heading=headings[reason], text=texts[reason]
    ), status


@blueprint.get("/withdraw")
@public
def withdraw() -> ResponseReturnValue:
    """Where a withdrawal code is entered, at any time."""
    return render_template("withdraw.html")
