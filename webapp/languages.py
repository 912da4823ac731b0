"""What people read in which language: the catalogue, and numbers and dates as they are written.

English texts are the keys (gettext). ``translations/<language>/LC_MESSAGES/messages.po`` holds the
others and is read as it is, so that no compiled file has to be kept up to date;
``python -m tools.texts`` brings it up to date with the program.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache, cached_property, partial
from typing import Any, Final

import flask_babel
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from babel.support import NullTranslations, Translations
from flask import Flask
from flask_babel import Babel, Domain, force_locale, get_locale
from jinja2 import Environment

from webapp import ROOT

ENGLISH: Final = "en"
LANGUAGES: Final = {ENGLISH: "English", "de": "Deutsch"}  # each by its own name
RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur"})
TRANSLATIONS: Final = ROOT / "webapp" / "translations"
# where the texts stand that the browser's modules show: their own, and advice from the server
BROWSER: Final = ("static/js/", "webapp/vision/quality.py")
_PLACE: Final = re.compile(r"\{(\d+)\}")
_GROUPED: Final = re.compile(r"\d{1,3}(,\d{3})+")
_DATES: Final = {"de": "%d.%m.%Y"}
_MOMENTS: Final = {"de": "%d.%m.%Y, %H:%M"}
_SECONDS: Final = {"de": "%d.%m.%Y, %H:%M:%S"}


def gettext(text: str, /, **values: Any) -> str:
    """``text`` in today's language, with ``%(name)s`` replaced where there are values."""
    # a catalogue's entry of the empty text is its head
    return str(flask_babel.gettext(text, **values)) if text else ""


def ngettext(one: str, many: str, num: int, /, **values: Any) -> str:
    """The form for ``num`` things, which ``%(num)s`` stands for."""
    return str(flask_babel.ngettext(one, many, num, **values))


def pgettext(context: str, text: str, /, **values: Any) -> str:
    """``text`` as it is said in one context, where others would say it differently."""
    return str(flask_babel.pgettext(context, text, **values))


def N_(text: str) -> str:
    """``text`` itself: marks it for the catalogue where it is translated only when it is shown.

    It may be an f-string: the catalogue then has numbered places, and :func:`said` finds it.
    """
    return text


EMOTION_NAMES: Final = {
    "angry": N_("Angry"),
    "disgust": N_("Disgust"),
    "fear": N_("Fear"),
    "happy": N_("Happy"),
    "sad": N_("Sad"),
    "surprise": N_("Surprise"),
    "neutral": N_("Neutral"),
    "uncertain": N_("Unclear"),
    "valence": N_("Valence"),
}


@cache
def catalogue(language: str) -> Catalog:
    """The catalogue of a language other than English. Raises FileNotFoundError."""
    path = TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as stream:
        return read_po(stream, locale=language)


@cache
def translations(language: str) -> NullTranslations:
    """The texts of a language as :mod:`gettext` wants them; English texts are what they are."""
    if language == ENGLISH or language not in LANGUAGES:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return Translations(compiled)


class _Texts(Domain):  # type: ignore[misc]
    """The catalogue without a compiled file."""

    def get_translations(self) -> NullTranslations:
        return translations(language())


class Languages(Babel):  # type: ignore[misc]
    """Flask-Babel over the catalogues of this module."""

    @cached_property
    def domain_instance(self) -> Domain:
        return _Texts()


def language() -> str:
    """The language of whoever asked, as a key of :data:`LANGUAGES`; English outside requests."""
    locale = get_locale()
    return ENGLISH if locale is None else str(locale.language)


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Everything within is said in one language; for what is written outside of a request."""
    app = Flask("webapp", root_path=str(ROOT / "webapp"))
    Languages(app)
    with app.app_context(), force_locale(chosen):
        yield


@cache
def browser_script(chosen: str, places: tuple[str, ...] = BROWSER) -> str:
    """The texts of the browser's modules as a script that ``static/js/lib/i18n.js`` reads.

    ``places`` are beginnings of the paths whose texts it holds. Empty for English.
    """
    if chosen == ENGLISH:
        return ""
    known = catalogue(chosen)
    texts = {
        entry.id if isinstance(entry.id, str) else entry.id[0]: entry.string
        for entry in known
        if entry.id and any(path.startswith(places) for path, _ in entry.locations)
    }
    words = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'globalThis.mienWords={{language:"{chosen}",'
        f"plural:(n)=>Number({known.plural_expr}),texts:{words}}};\n"
    )


@cache
def script_name(chosen: str) -> str:
    """The name that :func:`browser_script` is served under; it changes with what it says."""
    return f"{chosen}-{hashlib.sha256(browser_script(chosen).encode()).hexdigest()[:12]}"


@cache
def _patterns(chosen: str) -> list[tuple[re.Pattern[str], str]]:
    """The texts with numbered places, longest first, and what they are in ``chosen``."""
    texts = sorted(
        (
            str(entry.id)
            for entry in catalogue(chosen)
            # hardly any words of its own would fit everything
            if entry.string and "{1}" in entry.id and len(_PLACE.sub("", str(entry.id))) > 8
        ),
        key=len,
        reverse=True,
    )
    known = {str(entry.id): str(entry.string) for entry in catalogue(chosen)}
    return [
        (re.compile(re.sub(r"\\\{\d+\\\}", "(.+?)", re.escape(text)), re.DOTALL), known[text])
        for text in texts
    ]


def _in_place(values: dict[str, str], place: re.Match[str]) -> str:
    value = values.get(place[1])
    if value is None:
        return place[0]
    if _GROUPED.fullmatch(value):
        return number(int(value.replace(",", "")))
    return said(value)


def said(text: str) -> str:
    """A text that was made in English elsewhere (an error, a stored reason) in today's language.

    What stands in its places is put into the translation, itself translated where it is a text of
    the catalogue; a text that the catalogue does not know stays as it is.
    """
    own = gettext(text)
    if own != text or language() == ENGLISH:
        return own
    for pattern, translation in _patterns(language()):
        if found := pattern.fullmatch(text):
            places = {str(i): value for i, value in enumerate(found.groups(), start=1)}
            return _PLACE.sub(partial(_in_place, places), translation)
    return text


def emotion_name(name: str) -> str:
    """An emotion, ``uncertain`` or ``valence`` as a heading says it."""
    return gettext(EMOTION_NAMES[name]) if name in EMOTION_NAMES else name


def served_heads(head: str, mixture: Mapping[str, Any] | None) -> str:
    """The serving head, or which heads are mixed how, as ``ModelCard.mixture_facts`` has it."""
    if mixture is None:
        return head
    weights = sorted(mixture["weights"].items(), key=lambda item: -item[1])
    mixed = gettext(" and ").join(
        f"{number(100 * weight)} % {name}" for name, weight in weights if weight
    )
    if not mixture["adjusted"]:
        return mixed
    return gettext("%(heads)s, adjusted for rare emotions", heads=mixed)


def number(value: float, digits: int = 0, sign: bool = False) -> str:
    """A number with as many digits behind the separator; with a real minus, and none before 0."""
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    text = str(format_decimal(round(value, digits), format=pattern, locale=language()))
    text = text.replace("-", "\u2212")
    if not any(digit in text for digit in "123456789"):
        return text.lstrip("\u2212")
    return f"+{text}" if sign and value > 0 else text


def day(moment: date | str | None) -> str:
    """A date; ISO 8601 in English, because readers of English write dates in two orders."""
    return _written(moment, _DATES, "%Y-%m-%d")


def minute(moment: datetime | str | None) -> str:
    """A date with hours and minutes."""
    return _written(moment, _MOMENTS, "%Y-%m-%d %H:%M")


def second(moment: datetime | str | None) -> str:
    """A date with hours, minutes and seconds."""
    return _written(moment, _SECONDS, "%Y-%m-%d %H:%M:%S")


def _written(moment: date | str | None, patterns: dict[str, str], plain: str) -> str:
    if not moment:
        return "–"
    if isinstance(moment, str):
        try:
            at: date = datetime.fromisoformat(moment)
        except ValueError:
            return moment  # somebody's own words, in the card of a model
    else:
        at = moment
    return at.strftime(patterns.get(language(), plain))


def add_texts(environment: Environment) -> None:
    """Give templates the texts, the filters of this module and the language they are in."""
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=lambda text: translations(language()).gettext(text) if text else "",
        ngettext=lambda one, many, n: translations(language()).ngettext(one, many, n),
        newstyle=True,
        pgettext=lambda context, text: translations(language()).pgettext(context, text),
    )
    environment.filters.update(FILTERS)
    environment.globals.update(
        language=language(), direction="rtl" if language() in RIGHT_TO_LEFT else "ltr"
    )


FILTERS: Final[dict[str, Any]] = {
    "emotion_name": emotion_name,
    "number": number,
    "day": day,
    "minute": minute,
    "second": second,
    "said": said,
}
