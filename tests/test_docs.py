"""What the documents say exists: files, commands and their options, links, settings."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.data import REPOSITORY
from tools import licences
from webapp.settings import markdown_table

DOCUMENTS = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").glob("*.md"),
        *(REPOSITORY / "docs" / "decisions").glob("*.md"),
    ]
)
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.S)
PATH = re.compile(r"(?:webapp|static|training|bench|tests|deploy|docs|tools)/[\w./-]+")


def code_of(document: Path) -> list[str]:
    """Every line of code in a document, joined where a backslash continues it."""
    found: list[str] = []
    for block, inline in CODE.findall(document.read_text(encoding="utf-8")):
        text = (block or inline).replace("\\\n", " ")
        found += [line.split("  #")[0].strip() for line in text.splitlines()]
    return [line for line in found if line]


def commands(document: Path) -> list[list[str]]:
    """The ``python -m`` commands of a document, as words after ``-m``."""
    found = []
    for line in code_of(document):
        match = re.search(r"python -m ((?:webapp|training|bench)\.\S+.*)", line)
        if match:
            words = shlex.split(re.split(r"[;|>&]", match.group(1))[0].replace("…", "X"))
            found.append(words)
    return found


COMMANDS = sorted({(d.name, tuple(c)) for d in DOCUMENTS for c in commands(d)})


@cache
def help_of(words: tuple[str, ...]) -> tuple[int, str]:
    """Status and text of a command's ``--help``."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *words, "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def subcommands(words: tuple[str, ...]) -> tuple[str, ...]:
    """The module and the words after it that choose a subcommand."""
    if words[0] != "webapp.cli":
        return words[:1]
    chosen: list[str] = [words[0]]
    for word in words[1:]:
        name = word.split("|")[0]
        if not re.fullmatch(r"[a-z][a-z-]*", name) or f" {name} " not in help_of(tuple(chosen))[1]:
            break
        chosen.append(name)
    return tuple(chosen)


@pytest.mark.parametrize(
    ("document", "words"), COMMANDS, ids=[f"{d}: {' '.join(w)}"[:90] for d, w in COMMANDS]
)
def test_a_documented_command_exists_with_its_options(
    document: str, words: tuple[str, ...]
) -> None:
    module = words[0].rstrip(".,;")
    source = REPOSITORY / (module.replace(".", "/") + ".py")
    assert source.is_file() or (source.with_suffix("") / "__main__.py").is_file(), document
    options = [word.split("=")[0] for word in words[1:] if word.startswith("--")]
    if not options and module != "webapp.cli":
        return
    status, text = help_of(subcommands((module, *words[1:])))
    assert status == 0, text
    missing = [option for option in options if option not in text]
    assert missing == [], f"{document}: {' '.join(words)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_links_that_a_document_names_are_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    gone = [link for link in links if not (document.parent / link).exists()]
    if document.name != "CHANGELOG.md":  # it speaks of what was, too
        named = {path.rstrip("./") for line in code_of(document) for path in PATH.findall(line)}
        gone += [
            path
            for path in named
            if not ((REPOSITORY / path).exists() or (REPOSITORY / f"{path}.py").exists())
            and not path.startswith("static/vendor")
        ]
    assert gone == []


def test_make_targets_of_the_readme_exist() -> None:
    lines = "\n".join(code_of(REPOSITORY / "README.md"))
    targets = set(re.findall(r"\bmake ([a-z][a-z-]*)", lines))
    rules = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert {"run", "test"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:", rules, re.M)] == []


def test_the_table_of_settings_is_the_one_that_the_code_makes() -> None:
    text = (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8")
    begin = text.index("<!-- settings:")
    block = text[text.index("-->", begin) + 3 : text.index("<!-- end of settings -->")]
    assert block.strip() == markdown_table(), "run: python -m webapp.settings, paste it there"


def test_the_page_of_licences_names_every_package_and_what_its_wheel_holds() -> None:
    """Names and libraries: what a package declares may be reworded by its next release."""
    rows = licences.table().splitlines()
    page = licences.DOCUMENT.read_text(encoding="utf-8")
    for name in licences.pinned():
        assert f"| {name} |" in page, "run: python tools/licences.py"
    for row in rows:
        name, _, inside = (cell.strip() for cell in row.strip("|").split("|"))
        if "GPL" in inside:
            assert re.search(rf"^\| {re.escape(name)} \|.*{re.escape(inside)}", page, re.M), row
