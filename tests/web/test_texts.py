"""Every text is in the catalogue, and every catalogue has every text with the same places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from tools import texts
from webapp import ROOT
from webapp.languages import ENGLISH, LANGUAGES

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
_PLACES = re.compile(r"%\(\w+\)s|%%|\{\w+\}|</?\w+")
# Jinja's own, scripts and styles, tags, and what stands for one character
_NO_TEXT = (
    re.compile(r"\{#.*?#\}", re.DOTALL),
    re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL),
    re.compile(r"\{% block main_class %\}.*?\{% endblock %\}"),
    re.compile(r"""\{%.*?%\}|\{\{(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'])*?\}\}""", re.DOTALL),
)
_TAG = re.compile(r'<[^>"]*(?:"[^"]*"[^>"]*)*>')
_SPOKEN = re.compile(r'\s(?:aria-label|title|placeholder|alt)="([^"]*)"')
_ADDRESS = re.compile(r"\S*/\S*")
_WORD = re.compile(r"[A-Za-z]{2,}")
# names, units and what is typed as it is
_NO_WORDS = {"Mien", "mien", "API", "HTML", "CSV", "JSON", "XLSX", "ms", "kB", "MB", "nbsp"}


@pytest.fixture(scope="module")
def collected() -> Catalog:
    return texts.collect()


@pytest.fixture(scope="module", params=[name for name in LANGUAGES if name != ENGLISH])
def catalogue(request: pytest.FixtureRequest) -> Catalog:
    path = texts.TRANSLATIONS / request.param / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as stream:
        return read_po(stream, locale=request.param)


def named(found: Catalog) -> set[tuple[str | None, str]]:
    return {
        (one.context, one.id if isinstance(one.id, str) else one.id[0]) for one in found if one.id
    }


def test_the_catalogue_holds_the_texts_of_the_program(
    collected: Catalog, catalogue: Catalog
) -> None:
    assert len(named(collected)) > 1000
    hint = "run python -m tools.texts, then translate what it lists"
    assert named(collected) - named(catalogue) == set(), hint
    assert named(catalogue) - named(collected) == set(), hint


def test_every_text_is_translated(catalogue: Catalog) -> None:
    assert texts.missing(catalogue) == []


def forms(entry: Message) -> list[tuple[str, str]]:
    """Each translation beside the text it stands for."""
    if isinstance(entry.id, str):
        return [(entry.id, str(entry.string))]
    return [(entry.id[1], form) for form in entry.string]


def test_a_translation_has_the_places_and_the_markup_of_its_text(catalogue: Catalog) -> None:
    for entry in catalogue:
        if not entry.id or not "".join(entry.string):
            continue
        for text, translation in forms(entry):
            places = [set(_PLACES.findall(one)) for one in (text, translation)]
            left_out = places[0] - places[1]
            # a form for one thing may say "one" in place of the number
            assert not left_out or left_out <= {"{count}", "%(num)s"}, text


def bare_words(template: str) -> list[str]:
    """What a reader would see of a template that no translation reaches."""
    for pattern in _NO_TEXT:
        template = pattern.sub(" ", template)
    seen = [text.strip() for text in (*_SPOKEN.findall(template), *_TAG.split(template))]
    return [
        text
        for text in seen
        if set(_WORD.findall(re.sub(r"&\w+;", " ", text))) - _NO_WORDS
        and not _ADDRESS.fullmatch(text)
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_text_that_is_not_translated(path: Path) -> None:
    assert bare_words(path.read_text(encoding="utf-8")) == []


def test_bare_text_is_found() -> None:
    assert bare_words("<p>Hello <b>you</b></p>") == ["Hello", "you"]
    assert bare_words('<a title="Go on" href="{{ x }}">{{ _("Go") }} · 3 %</a>') == ["Go on"]
    assert bare_words("{# A note #}{% if a %}<code>{{ b }}</code> ms{% endif %}") == []


def test_texts_of_scripts_are_found_by_their_form() -> None:
    script = 't("One {n}", { n }); tn("a", "b" + "c", n); at("no"); x.t( "Two" );'
    assert list(texts.in_scripts(script)) == ["One {n}", ("a", "bc"), "Two"]


def test_messages_of_errors_are_found_with_numbered_places(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(
        'raise NotFound(f"No {x} of {y!r}.", field="x")\n'
        'raise ValueError("not for people")\nname = N_("Happy")\n'
        'quality = Quality(False, "Closer.")\n'
    )
    assert sorted(texts.marked(file)) == ["Closer.", "Happy", "No {1} of {2}."]
