"""The words and figures that a report's sentences are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webapp.languages import gettext as _
from webapp.languages import ngettext, number, pgettext

# Translators: without an ending; sentences add one where the language has endings
_LOOKING: dict[str, Callable[[], str]] = {
    "angry": lambda: pgettext("looking", "angry"),
    "disgust": lambda: pgettext("looking", "disgusted"),
    "fear": lambda: pgettext("looking", "fearful"),
    "happy": lambda: pgettext("looking", "happy"),
    "sad": lambda: pgettext("looking", "sad"),
    "surprise": lambda: pgettext("looking", "surprised"),
    "neutral": lambda: pgettext("looking", "neutral"),
}
# what one or several people did
SHOWED: dict[str, Callable[[int], str]] = {
    "angry": lambda n: ngettext("looked angry", "looked angry", n),
    "disgust": lambda n: ngettext("looked disgusted", "looked disgusted", n),
    "fear": lambda n: ngettext("looked fearful", "looked fearful", n),
    "happy": lambda n: ngettext("smiled", "smiled", n),
    "sad": lambda n: ngettext("looked sad", "looked sad", n),
    "surprise": lambda n: ngettext("looked surprised", "looked surprised", n),
    "neutral": lambda n: ngettext(
        "showed no particular expression", "showed no particular expression", n
    ),
}


def looking(emotion: str) -> str:
    """How a face with this expression looks."""
    return _LOOKING[emotion]()


def percent(share: float) -> str:
    """A share as a whole percentage; small ones are not rounded to nothing."""
    if 0 < share < 0.005:
        return _("under %(limit)s", limit="1\u00a0%")
    return f"{round(100 * share)}\u00a0%"


def value(row: dict[str, Any], side: str) -> str:
    """What one group of a comparison shows: a percentage, or a valence with its sign."""
    if row["measure"] == "valence":
        return number(row[side], 2, sign=True)
    return percent(row[side])


def signed(figure: float, row: dict[str, Any]) -> str:
    """An end of a difference's interval: points, or valence."""
    if row["measure"] == "valence":
        return number(figure, 2, sign=True)
    return number(100 * figure, sign=True)


def measure_name(measure: str) -> str:
    """What was compared, at the beginning of a sentence."""
    if measure == "valence":
        return _("Valence")
    adjective = looking(measure)
    return _("%(adjective)s faces", adjective=adjective[:1].upper() + adjective[1:])


def inner_measure_name(measure: str) -> str:
    """The same within a sentence."""
    if measure == "valence":
        return _("valence")
    return _("%(adjective)s faces", adjective=looking(measure))


def counted(word: str, count: int) -> str:
    """As "30 people", "1 video"."""
    if word == "person":
        return ngettext("%(num)s person", "%(num)s people", count)
    if word == "video":
        return ngettext("%(num)s video", "%(num)s videos", count)
    return ngettext("%(num)s file", "%(num)s files", count)
