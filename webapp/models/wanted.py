"""What an upload of a model asks for, checked before a byte is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webapp.domain import EMOTIONS, FEWEST_EMOTIONS, MOST_OUTPUTS, NO_EMOTION_OF_OURS
from webapp.errors import InvalidRequest
from webapp.models.registry import NAME

RECIPES: Final = ("mien", "efficientnet-lite", "efficientnet-lite2", "efficientnetb2", "seed")
PIXELS: Final = ("0-255", "0-1", "-1-1")
RESERVED_NAMES: Final = frozenset(
    {"ACTIVE", "HISTORY", "ACTIVATIONS", "README", "NUL", "CON", "AUX", "PRN"}
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form asks; ``labels`` may be empty where the file's card gives them, or nobody
    knows them yet. ``evaluation`` is the id of a set, or empty for none.
    """

    name: str
    filename: str
    by: str
    recipe: str = ""
    labels: tuple[str, ...] = ()
    pixels: str = "0-255"
    licence: str = ""
    evaluation: str = ""


def check_name(name: str) -> None:
    """Raises :class:`InvalidRequest` for a name that no version can have."""
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            "Expected a version name of letters, digits, dots, - and _, at most 100 and beginning "
            f"with a letter or digit. Received {name[:100]!r}.",
            field="name",
        )
    if name.upper().partition(".")[0] in RESERVED_NAMES:
        raise InvalidRequest(
            f"{name!r} is the name of a file that the server keeps beside the versions; "
            "choose another.",
            field="name",
        )


def checked(wanted: Wanted) -> Wanted:
    """Raises :class:`InvalidRequest` that names the field."""
    check_name(wanted.name)
    if wanted.recipe and wanted.recipe not in RECIPES:
        raise InvalidRequest(f"Expected a recipe of {', '.join(RECIPES)}.", field="recipe")
    if wanted.pixels not in PIXELS:
        raise InvalidRequest(f"Expected a pixel range of {', '.join(PIXELS)}.", field="pixels")
    check_labels(wanted.labels, empty=True)
    return wanted


def check_labels(labels: tuple[str, ...], *, empty: bool = False) -> None:
    """Raises :class:`InvalidRequest` for another name, an emotion twice, or too few emotions."""
    if empty and not labels:
        return
    emotions = [name for name in labels if name in EMOTIONS]
    if (
        len(set(emotions)) != len(emotions)
        or len(emotions) < FEWEST_EMOTIONS
        or len(labels) > MOST_OUTPUTS
        or set(labels) - set(EMOTIONS) - set(NO_EMOTION_OF_OURS)
    ):
        raise InvalidRequest(
            f"Expected the model's outputs in their order, each of {', '.join(EMOTIONS)} once "
            f"({FEWEST_EMOTIONS} at least); {' or '.join(NO_EMOTION_OF_OURS)} for the others.",
            field="labels",
        )
