"""Brings the catalogues of ``webapp/translations/`` up to date with the program's texts.

    python -m tools.texts

Texts that are new have no translation yet, those that are gone are dropped; what is missing is
listed. Collected are ``_("...")`` of templates, ``gettext``, ``ngettext``, ``pgettext`` and ``N_``
of Python, the messages of errors, ``t``, ``tn`` and ``mark`` of the browser's modules.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from webapp import errors as mien_errors

ROOT = Path(__file__).resolve().parents[1]
TRANSLATIONS = ROOT / "webapp" / "translations"
_PYTHON = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
_QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_JOINED = rf"{_QUOTED}(?:\s*\+\s*{_QUOTED})*"
# t("..."), mark("...") and tn("...", "..."); texts may be joined with +
_IN_SCRIPTS = re.compile(rf"\b(t|mark|tn)\(\s*({_JOINED})(?:\s*,\s*({_JOINED}))?")
# folder, pattern, method, options
_SOURCES = (
    ("templates", "*.html", "jinja2", {"trimmed": "true", "silent": "false"}),
    ("webapp", "*.py", "python", {}),
)


# messages that only logs, commands and whoever runs the server see: they stay in English
_UNSEEN = (
    "webapp/cli.py",
    "webapp/cluster/",
    "webapp/commands/",
    "webapp/database/",
    "webapp/domain.py",
    "webapp/inference/",
    "webapp/sandbox/",
    "webapp/server/",
    "webapp/settings.py",
    "webapp/vision/blazeface.py",
    "webapp/vision/classifier.py",
    "webapp/vision/two_looks.py",
    "webapp/web/production.py",
    "webapp/web/secret_key.py",
)


def in_scripts(text: str) -> Iterator[str | tuple[str, str]]:
    """The texts of a browser module, those of ``tn`` as singular and plural.

    By their form alone: Babel's own extractor loses its way in regular expressions and in
    template strings within each other.
    """
    for name, one, many in _IN_SCRIPTS.findall(text):
        forms = ["".join(map(json.loads, re.findall(_QUOTED, part))) for part in (one, many)]
        yield (forms[0], forms[1]) if name == "tn" else forms[0]


def marked(path: Path) -> Iterator[str]:
    """The texts that a Python file marks with ``N_``, its advice, its steps and its errors.

    Of an f-string the places are numbered: ``N_(f"{n} of {m}")`` is "{1} of {2}".
    """
    errors = [name for name, value in vars(mien_errors).items() if isinstance(value, type)]
    places = {"N_": 0, "Quality": 1, "notify": 0, "_corrupt": 1} | dict.fromkeys(
        errors, 0
    )  # which argument is the text
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        place = places.get(getattr(node.func, "id", getattr(node.func, "attr", "")))
        if place is None or len(node.args) <= place:
            continue
        text = node.args[place]
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield text.value
        elif isinstance(text, ast.JoinedStr):
            number = itertools.count(1)
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else f"{{{next(number)}}}"
                for part in text.values
            )


def collect() -> Catalog:
    """Every text of the program, each with the files it stands in."""
    found = Catalog(project="Mien", charset="utf-8")
    for folder, pattern, method, options in _SOURCES:
        for path in sorted((ROOT / folder).rglob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            for _line, text, comments, context in extract_from_file(
                method, path, keywords=_PYTHON, comment_tags=("Translators:",), options=options
            ):
                found.add(text, None, [(name, None)], auto_comments=comments, context=context)
            if method == "python" and not name.startswith(_UNSEEN):
                for own in marked(path):
                    found.add(own, None, [(name, None)])
    for path in sorted((ROOT / "training" / "admission").glob("*.py")):  # of uploaded models
        for own in marked(path):
            found.add(own, None, [(path.relative_to(ROOT).as_posix(), None)])
    for path in sorted((ROOT / "static" / "js").rglob("*.js")):
        name = path.relative_to(ROOT).as_posix()
        for script_text in in_scripts(path.read_text(encoding="utf-8")):
            found.add(script_text, None, [(name, None)])
    return found


def catalogues() -> list[Path]:
    return sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po"))


def updated(path: Path) -> Catalog:
    """The catalogue at ``path`` with today's texts."""
    with path.open("rb") as stream:
        known = read_po(stream, locale=path.parts[-3])
    made = known.creation_date
    known.update(collect(), no_fuzzy_matching=True)
    known.creation_date = made  # else every run would change the file
    known.obsolete.clear()
    for entry in known:  # in order of the files, so that changes of one page stand together
        entry.locations = sorted(set(entry.locations))
    return known


def missing(known: Catalog) -> list[str]:
    """The texts without a translation."""
    return [
        str(entry.id)
        for entry in known
        if entry.id and not all(entry.string if isinstance(entry.string, tuple) else [entry.string])
    ]


def main() -> int:
    left = 0
    for path in catalogues():
        known = updated(path)
        with path.open("wb") as stream:
            write_po(stream, known, width=100, sort_output=False, omit_header=False)
        for text in missing(known):
            left += 1
            print(f"{path.parts[-3]}: {text}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
