"""The demo study: a short animation and a picture that ship, questions, and a notice, in the
language of whoever makes it.

``tools/make_demo_stimuli.py`` drew them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webapp.database.study_tables import Study
from webapp.languages import N_, gettext, language
from webapp.studies.notices import LANGUAGES

if TYPE_CHECKING:
    from webapp.studies.service import Studies

FOLDER: Final = Path(__file__).resolve().parent / "demo_files"
# file, name, how long a picture is shown in ms
STIMULI: Final = (("box.mp4", N_("The box"), None), ("ice-cream.webp", N_("Ice cream"), 5000))
NOTICE: Final = (
    N_(
        "You will see a short animation and a picture. Meanwhile the camera of your device looks "
        "at your face, and this server reads your facial expression from its pictures. The "
        "pictures are forgotten at once; only the scores of the expressions are kept, with the "
        "moment of the animation they belong to, and your answers."
    ),
    N_(
        "An expression is a movement of the face; it does not show what you feel. Taking part is "
        "voluntary: you may stop at any time, and the code that you get deletes everything of you. "
        "Nothing is used to judge you."
    ),
)


def fields() -> dict[str, Any]:
    """What the demo study says, in today's language."""
    _ = gettext
    chosen = language()
    return {
        "name": _("Demo: the box"),
        "purpose": "research",
        "presentation": "fixed",
        "fixation_ms": 1000,
        "contact": _("The people who run this server"),
        "keep_days": 30,
        "notice_language": chosen if chosen in LANGUAGES else "en",
        "notice_text": "\n\n".join(map(_, NOTICE)),
        "questions": {
            "before": [],
            "after": [
                {
                    "id": "liking",
                    "kind": "scale",
                    "text": _("How did you like what you saw?"),
                    "min": 1,
                    "max": 7,
                    "min_label": _("not at all"),
                    "max_label": _("very much"),
                    "required": True,
                },
                {
                    "id": "favourite",
                    "kind": "choice",
                    "text": _("Which part do you remember best?"),
                    "options": [_("The butterfly"), _("The balloon"), _("The ice cream")],
                    "required": False,
                },
            ],
        },
    }


def make_demo(opened: Studies, owner_id: int | None) -> Study:
    """An open study with the animation and the picture. Raises :class:`MienError`."""
    study = opened.catalog.create(fields(), owner_id, opened.settings.study_max_studies)
    for file, name, show_ms in STIMULI:
        with (FOLDER / file).open("rb") as stream:
            opened.stimuli.add(study.id, stream, gettext(name), show_ms)
    return opened.catalog.open(study.id)
