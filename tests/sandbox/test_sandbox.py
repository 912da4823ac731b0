"""What a worker that was taken over could still do: tried out, not believed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.models import make_version
from tests.support.pictures import face_frames
from webapp.domain import THOROUGH
from webapp.errors import MienError, SettingsError
from webapp.inference.client import InferenceService
from webapp.sandbox import bare_environment, confine, seccomp
from webapp.sandbox.__main__ import NEEDED, UNFILTERED, report
from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
filtered = pytest.mark.skipif(
    not seccomp.supported(), reason="needs seccomp: this system has no such filter"
)
PROBE = "tests.sandbox.test_sandbox:Probe"


class Probe:
    """A pipeline that was taken over: every "picture" names something it tries to do."""

    version = "probe"

    def __init__(self, _folder: Path, *, max_pixels: int) -> None:
        del max_pixels

    def analyze(self, image: bytes, **_options: object) -> object:
        kind, _, value = image.decode().partition(" ")
        if kind == "connect":
            socket.create_connection(("127.0.0.1", int(value)), timeout=5).close()
        elif kind == "write":
            Path(value).write_text("x")
        elif kind == "run":
            subprocess.run([value], check=True)
        elif kind == "read":
            Path(value).read_text()
        raise MienError("It went through.")


def outcome(service: InferenceService, attempt: str) -> str:
    with pytest.raises(MienError) as caught:
        service.analyze(attempt.encode())
    return caught.value.message


@filtered
def test_a_confined_process_reaches_nothing_outside_itself() -> None:
    held = report()
    assert held.pop("confinement") == "limits; no network, no writing, no programs"
    through = {name for name, outcome in held.items() if outcome == "done"}
    assert through - set(UNFILTERED) == set(NEEDED)
    free = report("off")
    # the attempts themselves work where nothing is given up
    assert {name for name, tried in free.items() if tried == "done"} >= set(held) - set(UNFILTERED)


@filtered
def test_workers_cannot_connect_write_or_run_and_still_read(tmp_path: Path) -> None:
    secret = tmp_path / "readable"
    secret.write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        attempts = {
            f"connect {server.getsockname()[1]}": "PermissionError",
            f"write {tmp_path / 'new'}": "PermissionError",
            f"run {sys.executable}": "PermissionError",
            f"read {secret}": "It went through.",
        }
        for mode in ("require", "off"):
            settings = Settings(workers=1, worker_sandbox=mode, worker_start_timeout_ms=60_000)
            service = InferenceService(settings, tmp_path, pipeline=PROBE)
            service.start()
            try:
                for attempt, expected in attempts.items():
                    if mode == "require":
                        assert expected in outcome(service, attempt), attempt
                        assert not (tmp_path / "new").exists()
                    elif not attempt.startswith("run"):
                        assert outcome(service, attempt) == "It went through.", attempt
            finally:
                service.stop()


@filtered
def test_real_models_and_pictures_are_read_under_the_strictest_setting(tmp_path: Path) -> None:
    first, second = make_version(tmp_path, "one"), make_version(tmp_path, "two", seed=1)
    settings = Settings(workers=1, worker_sandbox="require", worker_start_timeout_ms=60_000)
    service = InferenceService(settings, first)
    service.start()
    try:
        assert service.analyze(face_frames()[0]).faces
        service.reload(second)  # loading another version needs files
        assert service.analyze(face_frames()[0], request=THOROUGH).model == "two"
    finally:
        service.stop()


def test_where_it_is_required_and_cannot_be_the_worker_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seccomp, "_MACHINES", {})
    monkeypatch.setattr("webapp.sandbox.limit_resources", lambda _mb: True)
    monkeypatch.setattr("webapp.sandbox.drop_capabilities", lambda: True)
    monkeypatch.setattr("webapp.sandbox.landlock.restrict", lambda *_: True)
    assert not seccomp.supported()
    assert not confine("auto").filter
    with pytest.raises(SettingsError, match="MIEN_WORKER_SANDBOX"):
        confine("require")


BECOME = """
import json, os
from webapp.errors import SettingsError
from webapp.sandbox import become
said = None
try:
    become({user!r})
except SettingsError as error:
    said = error.message
try:
    os.setuid(0)
    back = True
except PermissionError:
    back = False
print(json.dumps([os.getuid(), os.getgroups(), back, said]))
"""


def become(user: str) -> tuple[int, list[int], bool, str | None]:
    done = subprocess.run(
        [sys.executable, "-c", BECOME.format(user=user)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    uid, groups, back, said = json.loads(done.stdout)
    return uid, groups, back, said


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root: to leave")
def test_root_is_given_up_for_good() -> None:
    uid, groups, back, said = become("nobody")
    assert uid != 0
    assert groups == []
    assert not back
    # where the user cannot read Python itself, that is what is said
    assert said is None or "cannot read" in said
    assert "expected a user of this machine" in str(become("no-such-user")[3])


def test_secrets_stay_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MIEN_SECRET_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "REDIS_URL"):
        monkeypatch.setenv(name, "secret")
    assert "secret" not in bare_environment().values()
    assert "PATH" in bare_environment()
