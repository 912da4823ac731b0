"""The names that data sets give to the emotions, as folders and in tables: one table for all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from webapp.domain import EMOTIONS

# By emotion: what people call it. Two and three letters are codes of JAFFE and KDEF.
_WORDS: Final = {
    "angry": "anger angry an ang angriness mad furious",
    "disgust": "disgust disgusted di dis disgusting",
    "fear": "fear fearful afraid scared fe fea af afs",
    "happy": "happy happiness joy joyful ha hap smile smiling",
    "sad": "sad sadness sa sorrow unhappy",
    "surprise": "surprise surprised su sur astonished surprising",
    "neutral": "neutral neutrality ne neu nes",
}
_EMOTION_OF: Final = {
    word: EMOTIONS.index(emotion) for emotion, words in _WORDS.items() for word in words.split()
}
_DECORATION: Final = re.compile(r"^(?:\d+[\s_.)-]+|class[\s_-]+|label[\s_-]+)+|[\s_-]+\d+$")
_NUMBERS: Final = {str(number): number for number in range(len(EMOTIONS))}


def emotion_of(name: str, *, numbered: bool = False) -> int | None:
    """The index into ``EMOTIONS`` that a folder's or table's name means, or None.

    Numbers mean FER2013's order, 0 to 6, and only where ``numbered`` says so.

    >>> [emotion_of(name) for name in ("Anger", "0_angry", "fearful", "contempt")]
    [0, 0, 2, None]
    """
    plain = unicodedata.normalize("NFC", name).strip().casefold()
    if plain in _EMOTION_OF:
        return _EMOTION_OF[plain]
    if numbered and plain in _NUMBERS:
        return _NUMBERS[plain]
    return _EMOTION_OF.get(_DECORATION.sub("", plain))


def are_numbered(names: Iterable[str]) -> bool:
    """Whether folders are named 0 to 6 as in FER2013.

    Other data sets count otherwise (RAF-DB from 1, AffectNet to 7): their numbers mean other
    emotions, and guessing would mislabel every picture.
    """
    numbers = {name.strip() for name in names if name.strip().isdecimal()}
    return "0" in numbers and numbers <= _NUMBERS.keys()
