"""The commands of the documents, run as they stand there in a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import skimage.data

from tests.e2e.servers import ServerProcess, real_server
from tests.support.data import REPOSITORY
from tests.support.faces import make_faces
from tests.test_docs import DOCUMENTS, code_of

pytestmark = pytest.mark.slow

COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\S*/)?(?:python|curl|make|git|celery) ")
LOCAL = "http://127.0.0.1:5000"
PASSWORD = "correct horse battery staple\n"

# What a document says to run and this file does not, with the reason; * stands for any ending.
NOT_RUN = {
    "git clone*": "the address is the reader's",
    "make run*": "every browser test starts what it starts; tests of HTTPS start it with HTTPS=1",
    "MIEN_PORT=8080 make run": "as make run",
    "make test*": "runs this file",
    "make lint": "continuous integration runs it before the tests",
    "make audit": "needs the network",
    "make faults": "a measurement of minutes; its parts have tests",
    "make train*": "takes hours; a test trains a small network from end to end",
    "python -m bench.*": "a measurement of minutes or hours; tests/bench runs their parts",
    "python -m tools.texts": "writes the catalogue; tests/web holds that it is up to date",
    "python -m training.train --data labelled.zip": "takes hours, as make train",
    "python -m training.publish*": "needs a finished run; a test makes and publishes one",
    "python -m training.teach*": "needs a finished run; a test makes and asks one",
    "python -m training.mix*": "reads thousands of faces; a test mixes on small ones",
    "python -m webapp.cli models delete VERSION": "tests/models deletes versions",
    "python -m webapp.cli worker": "runs for ever; tests/cluster starts it with Redis",
    "python -m webapp.cli cluster": "needs Redis; tests/cluster runs it there",
    "celery -A*": "runs for ever; tests/cluster starts it with Redis",
    "python wsgi.py": "runs for ever; every browser test starts it",
    "python -m webapp.cli models activate|rollback|history": "three commands in one name",
    "python -m webapp.cli mood test-webhooks": "needs an address; tests/mood runs it with one",
    "python -m webapp.cli models activate": "run with a version's name below",
    "python -m webapp.cli": "names all commands",
    ".venv/bin/python -m pytest*": "runs inside this very program",
    'curl -H "Authorization: Bearer mien_…"*': "the token is the reader's",
    "curl -N*": "the code belongs to a person before a camera; tests/mood reads such streams",
    'curl -H "Accept: application/json"*': "as curl -N",
}


def documented() -> list[str]:
    lines = [
        line for document in DOCUMENTS if document.name != "CHANGELOG.md"
        for line in code_of(document)
    ]  # fmt: skip
    return sorted({re.sub(r"\s+", " ", line) for line in lines if COMMAND.match(line)})


def not_run(line: str) -> bool:
    return any(
        line.startswith(name[:-1]) if name.endswith("*") else line == name for name in NOT_RUN
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the files that the documents speak of."""
    folder = tmp_path_factory.mktemp("docs") / "mien"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (source := REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / name)
    for name in ("node_modules", "static/vendor", "webapp/vision/weights"):
        (folder / name).symlink_to(REPOSITORY / name)
    bin_folder = folder / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    python = bin_folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    bgr = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    for name in ("face.jpg", "FOLDER/one.jpg", "FOLDER/two.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), bgr)
    make_faces(folder / "path" / "to" / "fer2013" / "test")
    shutil.copytree(folder / "models" / "mien-5", folder / "models" / "my-model")
    card = folder / "models" / "my-model" / "card.json"
    card.write_text(
        json.dumps(json.loads(card.read_text(encoding="utf-8")) | {"version": "my-model"}),
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[ServerProcess]:
    running = real_server(place / "models", place.parent / "server.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def run(place: Path, server: ServerProcess) -> Callable[..., str]:
    """Runs one line in the copy. Its server has another port than the documents name."""

    def run_line(line: str, said: str = "") -> str:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MIEN_")}
        environ["PATH"] = f"{place / '.venv' / 'bin'}:{environ['PATH']}"
        environ["MIEN_INSTANCE_DIR"] = str(place / "instance")
        done = subprocess.run(
            ["bash", "-euc", line.replace(LOCAL, server.url.rstrip("/"))],
            cwd=place, env=environ, input=said, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    return run_line


# A line of a document and what its output has to hold; the later ones build on the earlier.
RUN = {
    "curl --data-binary @face.jpg http://127.0.0.1:5000/api/v1/analyze": '"happy"',
    ".venv/bin/python -m webapp.cli analyze face.jpg --json -": '"happy"',
    ".venv/bin/python tools/node.py --test tests/js/sender.test.mjs": "pass",
    "python -m webapp.settings": "MIEN_PORT",
    "python -m webapp.sandbox": "PermissionError",
    "python -m webapp.cli admin set-password": "is set",
    "python -m webapp.cli admin setup-link --name mira --role member --url https://mien.example/":
        "https://mien.example/admin/setup#",
    "python -m webapp.cli admin list": "mira",
    "python -m webapp.cli survey FOLDER --out REPORT --consent": "",
    "python -m training.train --help": "--recipe",
    "python -m training.export mien-5 --out mien-5.h5": "",
    "python -m training.evaluate --model my-model --data path/to/fer2013/test --json -":
        '"accuracy"',
    "python -m training.evaluate --model my-model --data path/to/fer2013/test --report report/": "",
    "python -m webapp.cli models activate my-model": "my-model",
}  # fmt: skip


def test_the_commands_that_stand_alone(run: Callable[..., str], place: Path) -> None:
    for line, expected in RUN.items():
        said = PASSWORD * 2 if "set-password" in line else ""
        assert expected in run(line, said), line
    for made in ("REPORT/report.html", "mien-5.h5", "report"):
        assert (place / made).exists(), made
    assert (place / "models" / "ACTIVE").read_text(encoding="utf-8").strip() == "my-model"


def test_the_survey_of_the_interface(run: Callable[..., str]) -> None:
    text = (REPOSITORY / "docs" / "surveys.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(S=http.*?)```", text, re.S)
    assert '"state"' in run(block)


def test_every_command_is_run_or_has_a_reason() -> None:
    walk_through = ("curl -T face.jpg", "curl -X POST $S", "curl $S/")
    unknown = [
        line
        for line in documented()
        if line not in RUN and not not_run(line) and not line.startswith(walk_through)
    ]
    assert unknown == []
    stale = [line for line in RUN if line not in documented()]
    assert stale == []
