"""The names that data sets give to the emotions, as folders and in tables: one table for all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from webapp.domain import EMOTIONS

# By emotion: what people call it, without accents. Two and three letters are codes of JAFFE and
# KDEF; then German, French, Spanish, Italian, Portuguese, Dutch, Chinese.
_WORDS: Final = {
    "angry": """anger angry an ang angriness mad furious rage
        wut wutend wuetend arger aerger zorn zornig verargert colere en_colere fache ira enojo
        enojado enfado enfadado rabbia arrabbiato raiva zangado boos woede 生气 愤怒 憤怒 生氣""",
    "disgust": """disgust disgusted di dis disgusting
        ekel degout degoute asco disgusto asqueado disgustato nojo walging 厌恶 厭惡""",
    "fear": """fear fearful afraid scared fe fea af afs fright
        angst furcht angstlich aengstlich peur effraye miedo asustado temor paura impaurito medo
        恐惧 害怕 恐懼""",
    "happy": """happy happiness joy joyful ha hap smile smiling joyous
        freude glucklich gluecklich frohlich joie heureux heureuse felicidad feliz alegria
        alegre felicita felice gioia felicidade blij vreugde 高兴 开心 快乐 高興 開心""",
    "sad": """sad sadness sa sorrow unhappy
        trauer traurig traurigkeit tristesse triste tristeza tristezza verdrietig droefheid
        悲伤 伤心 难过 悲傷 傷心""",
    "surprise": """surprise surprised su sur astonished surprising astonishment
        uberraschung ueberraschung uberrascht ueberrascht surpris sorpresa sorprendido sorpreso
        surpresa surpreso verrast verrassing 惊讶 吃惊 惊喜 驚訝""",
    "neutral": """neutral neutrality ne neu nes no_emotion no_expression
        neutre neutro neutrale neutraal 中性 平静 平靜""",
}
_EMOTION_OF: Final = {
    word: EMOTIONS.index(emotion) for emotion, words in _WORDS.items() for word in words.split()
}
_LONGEST_CODE: Final = 3
_THING: Final = r"(?:class|label|emotion|expression|face|faces|image|images|picture|pictures)"
_DECORATION: Final = re.compile(
    rf"^(?:\(?\d+[\s_.)-]+|{_THING}[\s_-]+)+|(?:[\s_-]+\(?\d+\)?|[\s_-]+{_THING})+$"
)
_NUMBERS: Final = {str(number): number for number in range(len(EMOTIONS))}


def emotion_of(name: str, *, numbered: bool = False) -> int | None:
    """The index into ``EMOTIONS`` that a folder's or table's name means, or None.

    Numbers mean FER2013's order, 0 to 6, and only where ``numbered`` says so.

    >>> [emotion_of(name) for name in ("Anger", "0_angry", "fearful", "contempt")]
    [0, 0, 2, None]
    """
    parted = unicodedata.normalize("NFKD", name.strip().casefold())
    plain = "".join(letter for letter in parted if not unicodedata.combining(letter))
    if plain in _EMOTION_OF:
        return _EMOTION_OF[plain]
    if numbered and plain in _NUMBERS:
        return _NUMBERS[plain]
    bare = re.sub(r"[\s-]+", "_", _DECORATION.sub("", plain))
    if len(word := bare.rstrip("0123456789")) > _LONGEST_CODE:  # "happy3", but not "fe3"
        bare = word
    return _EMOTION_OF.get(bare)


def are_numbered(names: Iterable[str]) -> bool:
    """Whether folders are named 0 to 6 as in FER2013.

    Other data sets count otherwise (RAF-DB from 1, AffectNet to 7): their numbers mean other
    emotions, and guessing would mislabel every picture.
    """
    numbers = {name.strip() for name in names if name.strip().isdecimal()}
    return "0" in numbers and numbers <= _NUMBERS.keys()


def why_not_numbered(names: Iterable[str]) -> str:
    """What to say of folders or labels that are numbered in another way; empty where none is."""
    numbers = sorted({int(name) for name in names if name.strip().isdecimal()})
    if len(numbers) < 2 or are_numbered(map(str, numbers)):
        return ""
    if numbers != list(range(numbers[0], numbers[-1] + 1)):
        return ""  # one of them is a slip
    return (
        f"The classes are numbered {numbers[0]} to {numbers[-1]}, not 0 to 6 as in FER2013, and "
        "data sets number them differently (RAF-DB 1 to 7, AffectNet 0 to 7): give each its name. "
    )
