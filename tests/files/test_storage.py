"""The store that nodes share: a folder, S3, and what surveys do with it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.survey.conftest import database, settings, store
from tests.survey.doubles import FakeInference, picture
from webapp.database.store import Store
from webapp.errors import StorageUnavailable
from webapp.files.remote_store import RemoteStore
from webapp.files.storage import SharedFiles
from webapp.settings import Settings
from webapp.survey.analysis.runner import JobRunner, latest_job, shared
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.intake.uploads import Uploads

__all__ = ["database", "settings", "store"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["file", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RemoteStore]:
    url = f"file://{tmp_path / 'shared'}"
    if request.param == "s3":
        url = f"{request.getfixturevalue('s3_url')}/{tmp_path.name}"
    opened = RemoteStore(url)
    yield opened
    opened.close()


def test_what_is_put_is_got_until_it_is_removed(remote: RemoteStore, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for number in range(3):
        source.write_bytes(b"x" * (number + 1) * 100_000)
        remote.put(source, f"a/b/{number}")
    remote.get("a/b/2", target)
    assert target.stat().st_size == 300_000
    assert remote.exists("a/b/1")
    assert not remote.exists("a/b/9")
    assert remote.files("a") == ["b/0", "b/1", "b/2"]
    assert remote.folders("a") == ["b"]
    remote.write_text("note", "one\n")
    remote.write_text("note", "two\n")
    assert remote.read_text("note") == "two\n"
    remote.remove_tree("a")
    remote.remove_tree("a")
    assert (remote.files("a"), remote.folders("a")) == ([], [])
    with pytest.raises(FileNotFoundError):
        remote.get("a/b/2", target)
    with pytest.raises(FileNotFoundError):
        remote.read_text("nothing")


@pytest.mark.parametrize("key", ["", "../up", "a//b", "/etc/passwd", "a/./b"])
def test_a_key_never_leaves_the_store(tmp_path: Path, key: str) -> None:
    opened = RemoteStore(f"file://{tmp_path / 'shared'}")
    try:
        with pytest.raises(StorageUnavailable):
            opened.exists(key)
    finally:
        opened.close()


def test_a_helper_that_dies_is_started_again(tmp_path: Path) -> None:
    opened = RemoteStore(f"file://{tmp_path / 'shared'}")
    try:
        opened.write_text("a", "1")
        assert opened._helper is not None
        opened._helper._process.kill()
        opened._helper._process.wait()
        while opened._helper.alive:
            opened._helper._process.poll()
        assert opened.read_text("a") == "1"
    finally:
        opened.close()


def test_a_store_that_is_away_is_said_so(tmp_path: Path) -> None:
    opened = RemoteStore("no-such-protocol://bucket")
    try:
        with pytest.raises(StorageUnavailable):
            opened.exists("a")
    finally:
        opened.close()


def test_a_survey_leaves_nothing_behind_in_the_shared_store(
    remote: RemoteStore, store: Store, settings: Settings, tmp_path: Path
) -> None:
    catalog = Catalog(store, tmp_path, SharedFiles(tmp_path, remote))
    uploads = Uploads(catalog, settings)
    survey = catalog.create(NewSurvey("Packages", "product", True, ("A",)))
    for content in ("happy:1", "sad:1", "none:1"):
        data = io.BytesIO(picture(content))
        uploads.receive(survey.id, "A", f"{content[:3]}.jpg", data)
    folder = f"surveys/{survey.id}"
    assert len(remote.files(folder)) == 3
    assert not list((tmp_path / "surveys").rglob("*.jpg"))
    runner = JobRunner(catalog, settings, shared(FakeInference()), lambda _job: None)
    runner.jobs.start(survey.id, {"version": "test-1"})
    assert runner.run_one()
    ended = latest_job(catalog, survey.id)
    assert ended is not None
    assert (ended.state, runner.jobs.counts(ended.id)) == ("done", {"used": 2, "no_face": 1})
    assert remote.files(folder) == []


def test_what_a_killed_process_had_on_its_way_is_deleted(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "scratch").mkdir()
    left = tmp_path / "scratch" / f"{ended.pid}-abc"
    other = tmp_path / "scratch" / f"{os.getppid()}-abc"
    for file in (left, other):
        file.write_bytes(picture("happy:1"))
    SharedFiles(tmp_path, RemoteStore(f"file://{tmp_path / 'shared'}"))
    assert (left.exists(), other.exists()) == (False, True)


GREEN = """
import eventlet
eventlet.monkey_patch()
import sys, threading
from pathlib import Path
from webapp.files.remote_store import RemoteStore
ticks = []
def tick():
    while True:
        ticks.append(1)
        eventlet.sleep(0.001)
eventlet.spawn(tick)
store = RemoteStore(sys.argv[1])
source = Path(sys.argv[2])
source.write_bytes(b"x" * 2_000_000)
def work(number):
    store.put(source, f"green/{number}")
    store.get(f"green/{number}", source.with_suffix(f".{number}"))
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(store.files("green")) == 8
store.close()
print("ticked" if len(ticks) > 10 else "blocked")
"""


def test_a_patched_web_process_serves_on_while_it_waits_for_s3(s3_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GREEN, s3_url, str(tmp_path / "source")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ticked\n"), done.stderr
