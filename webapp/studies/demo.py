"""The demo study: a short animation and a picture that ship, questions, and a notice.

``tools/make_demo_stimuli.py`` drew them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webapp.database.study_tables import Study

if TYPE_CHECKING:
    from webapp.studies.service import Studies

FOLDER: Final = Path(__file__).resolve().parent / "demo_files"
# file, name, how long a picture is shown in ms
STIMULI: Final = (("box.mp4", "The box", None), ("ice-cream.webp", "Ice cream", 5000))
FIELDS: Final[dict[str, Any]] = {
    "name": "Demo: the box",
    "purpose": "research",
    "presentation": "fixed",
    "fixation_ms": 1000,
    "contact": "The people who run this server",
    "keep_days": 30,
    "notice_text": (
        "You will see a short animation and a picture. Meanwhile the camera of your device looks "
        "at your face, and this server reads your facial expression from its pictures. The "
        "pictures are forgotten at once; only the scores of the expressions are kept, with the "
        "moment of the animation they belong to, and your answers.\n\n"
        "An expression is a movement of the face; it does not show what you feel. Taking part is "
        "voluntary: you may stop at any time, and the code that you get deletes everything of you. "
        "Nothing is used to judge you."
    ),
    "questions": {
        "before": [],
        "after": [
            {
                "id": "liking",
                "kind": "scale",
                "text": "How did you like what you saw?",
                "min": 1,
                "max": 7,
                "min_label": "not at all",
                "max_label": "very much",
                "required": True,
            },
            {
                "id": "favourite",
                "kind": "choice",
                "text": "Which part do you remember best?",
                "options": ["The butterfly", "The balloon", "The ice cream"],
                "required": False,
            },
        ],
    },
}


def make_demo(opened: Studies, owner_id: int | None) -> Study:
    """An open study with the animation and the picture. Raises :class:`MienError`."""
    study = opened.catalog.create(FIELDS, owner_id, opened.settings.study_max_studies)
    for file, name, show_ms in STIMULI:
        with (FOLDER / file).open("rb") as stream:
            opened.stimuli.add(study.id, stream, name, show_ms)
    return opened.catalog.open(study.id)
