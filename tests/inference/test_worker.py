"""The worker process by itself: what it is told, and when it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.inference.conftest import until
from tests.support.scripted_pipeline import FACTORY
from webapp.inference.process import worker_environment
from webapp.inference.protocol import (
    Abort,
    Analyze,
    Channel,
    Commit,
    Done,
    Failure,
    Ping,
    Pong,
    Prepare,
    Ready,
    Result,
    Stop,
)
from webapp.inference.transport import TCP, Endpoint, connect_back

ROOT = Path(__file__).resolve().parents[2]


class Raw:
    """A worker process and the socket to it, without a supervisor."""

    def __init__(self, folder: Path) -> None:
        endpoint = Endpoint()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "webapp.inference.worker"),
                *("--socket", endpoint.argument, "--pipeline", FACTORY),
                *("--version-folder", str(folder), "--sandbox", "off"),
            ],
            env=worker_environment(endpoint),
            pass_fds=endpoint.inherited,
        )
        self.sock = endpoint.connect(60, lambda: True)
        endpoint.close()
        self.channel = Channel(self.sock)

    def close(self) -> None:
        self.sock.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def raw(version: Path) -> Iterator[Raw]:
    worker = Raw(version)
    yield worker
    worker.close()


def test_it_says_that_it_is_ready_and_ends_when_told(raw: Raw) -> None:
    assert raw.channel.receive() == Ready(raw.process.pid, "first")
    raw.channel.send(Stop(1))
    assert raw.process.wait(60) == 0


def test_it_ends_with_its_connection(raw: Raw) -> None:
    raw.channel.receive()
    raw.sock.close()
    assert raw.process.wait(60) == 0


def test_it_ends_with_its_connection_even_while_it_reads_a_picture(
    raw: Raw, tmp_path: Path
) -> None:
    raw.channel.receive()
    begun = tmp_path / "begun"
    raw.channel.send(Analyze(1, payload=f"hang {begun}".encode()))
    until(begun.exists)
    raw.sock.close()
    assert raw.process.wait(60) == 0


def test_it_answers_a_ping_while_it_reads_a_picture(raw: Raw, tmp_path: Path) -> None:
    raw.channel.receive()
    flag, begun = tmp_path / "flag", tmp_path / "begun"
    raw.channel.send(Analyze(1, payload=f"wait {flag} {begun}".encode()))
    until(begun.exists)
    raw.channel.send(Ping(2))
    assert raw.channel.receive() == Pong(2, "first", True, 0)
    flag.touch()
    result = raw.channel.receive()
    assert isinstance(result, Result)
    assert result.id == 1
    raw.channel.send(Ping(3))
    assert raw.channel.receive() == Pong(3, "first", False, 1)


def test_garbage_ends_it(raw: Raw) -> None:
    raw.channel.receive()
    raw.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert raw.process.wait(60) == 2


@pytest.mark.parametrize("regions", [[[1, 2, 3]], [["a", 0, 1, 1]], [7], [[5, 5, 1, 1]]])
def test_regions_that_are_no_boxes_are_an_error(raw: Raw, regions: list[object]) -> None:
    raw.channel.receive()
    raw.channel.send(Analyze(1, regions, payload=b"read"))
    failure = raw.channel.receive()
    assert isinstance(failure, Failure)
    assert failure.error["error"]["code"] == "invalid_request"


def test_only_what_was_prepared_and_not_aborted_is_committed(raw: Raw, tmp_path: Path) -> None:
    raw.channel.receive()
    folder = tmp_path / "second"
    folder.mkdir()
    raw.channel.send(Commit(1, 99))
    assert isinstance(raw.channel.receive(), Failure)
    raw.channel.send(Prepare(2, str(folder)))
    assert raw.channel.receive() == Done(2, "second")
    raw.channel.send(Abort(3, 2))
    assert raw.channel.receive() == Done(3, "first")
    raw.channel.send(Commit(4, 2))
    assert isinstance(raw.channel.receive(), Failure)
    raw.channel.send(Prepare(5, str(folder)))
    assert raw.channel.receive() == Done(5, "second")
    raw.channel.send(Commit(6, 5))
    assert raw.channel.receive() == Done(6, "second")


def test_ctrl_c_in_the_terminal_is_left_to_the_web_process(raw: Raw) -> None:
    raw.channel.receive()
    raw.process.send_signal(signal.SIGINT)
    raw.channel.send(Ping(1))
    assert raw.channel.receive() == Pong(1, "first", False, 0)


def test_sigterm_ends_it_after_the_picture_in_hand(raw: Raw, tmp_path: Path) -> None:
    raw.channel.receive()
    flag, begun = tmp_path / "flag", tmp_path / "begun"
    raw.channel.send(Analyze(1, payload=f"wait {flag} {begun}".encode()))
    until(begun.exists)
    raw.process.terminate()
    raw.channel.send(Ping(2))
    assert isinstance(raw.channel.receive(), Pong)
    flag.touch()
    assert isinstance(raw.channel.receive(), Result)
    assert raw.process.wait(60) == 0


def test_workers_end_when_the_web_process_is_killed(version: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from webapp.inference.client import InferenceService\n"
        "from webapp.settings import Settings\n"
        "settings = Settings(workers=2, worker_sandbox='off')\n"
        f"service = InferenceService(settings, Path({str(version)!r}), pipeline={FACTORY!r})\n"
        "service.start()\n"
        "print(*[w.pid for w in service.status()], flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as web:
        assert web.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in web.stdout.readline().split()]
        assert len(workers) == 2
        os.kill(web.pid, signal.SIGKILL)
    until(lambda: not any(worker.is_running() for worker in workers), "the workers' end")


def test_settings_and_secrets_stay_in_the_web_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_SECRET_KEY", "x")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@host/db")
    endpoint = Endpoint()
    environment = worker_environment(endpoint)
    endpoint.close()
    assert not [name for name in environment if name.startswith(("MIEN_", "DATABASE_URL"))]


def test_whoever_does_not_show_the_token_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint(TCP)
    port = int(endpoint.argument.partition(":")[2])
    stranger = socket.create_connection(("127.0.0.1", port))
    stranger.sendall(bytes(32))
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    theirs = connect_back(endpoint.argument)
    ours = endpoint.connect(60, lambda: True)
    endpoint.close()
    with ours, theirs, stranger:
        assert stranger.recv(1) == b""
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"


def test_the_web_process_imports_no_vision_code() -> None:
    script = (
        "import sys, webapp.inference.client\n"
        "heavy = {'cv2', 'dlib', 'ai_edge_litert', 'tensorflow', 'numpy', 'webapp.vision'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
