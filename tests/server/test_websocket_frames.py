"""The mended reading of frames against eventlet's own, and the release it was checked for.

eventlet runs in child processes: it must not be imported into the test process, whose sockets and
threads are not patched.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bench.support.server import RunningServer, running_server
from tests.support.models import server_environment
from tests.support.raw_websocket import CONTINUATION, PING, PONG, TEXT, frame, opened
from webapp.server import websocket_frames

COMPARE = """
import random, warnings
warnings.simplefilter("ignore")
from eventlet.websocket import RFC6455WebSocket
from webapp.server import websocket_frames
original = RFC6455WebSocket._apply_mask
draw = random.Random(7)
for size in [0, 1, 2, 3, 4, 5, 7, 8, 1000, 4099]:
    for offset in [0, 1, 2, 3, 4, 1001]:
        data = draw.randbytes(size)
        mask = tuple(draw.randbytes(4))
        for length in [None, size, size // 2]:
            theirs = original(data, mask, length=length, offset=offset)
            ours = websocket_frames.unmask(data, mask, length=length, offset=offset)
            assert theirs == ours and type(theirs) is type(ours), (size, offset, length)
assert websocket_frames.install()
assert RFC6455WebSocket._apply_mask is websocket_frames.unmask
print("same")
"""


def test_equals_eventlets_own_and_takes_its_place() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "same", done.stderr


@given(
    data=st.binary(max_size=300), mask=st.binary(min_size=4, max_size=4), offset=st.integers(0, 9)
)
def test_masking_twice_gives_the_data_back(data: bytes, mask: bytes, offset: int) -> None:
    masked = websocket_frames.unmask(data, tuple(mask), offset=offset)
    assert masked == bytes(b ^ mask[(offset + i) % 4] for i, b in enumerate(data))
    assert websocket_frames.unmask(masked, tuple(mask), offset=offset) == data


def test_the_installed_release_is_one_that_was_checked() -> None:
    assert version("eventlet").startswith(websocket_frames.CHECKED_RELEASES)


def test_other_releases_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_frames, "version", lambda _name: "0.42.0")
    monkeypatch.setattr(websocket_frames.importlib, "import_module", pytest.fail)
    assert websocket_frames.install() is False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder: Path = tmp_path_factory.mktemp("frames")
    environment = server_environment(folder)
    with running_server(environment) as started:
        yield started


@pytest.mark.parametrize(
    ("name", "first", "piece"),
    [
        ("large fragments", b"4", frame(CONTINUATION, bytes(1 << 20), last=False)),
        ("tiny fragments", b"4", frame(CONTINUATION, b"a", last=False) * 10_000),
        ("empty fragments", b"4", frame(CONTINUATION, b"", last=False) * 10_000),
    ],
)
def test_a_message_without_end_ends_its_connection(
    server: RunningServer, name: str, first: bytes, piece: bytes
) -> None:
    with opened(server.url) as made:
        made.sendall(frame(TEXT, first, last=False))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(200):
                made.sendall(piece)
    assert requests.get(f"{server.url}healthz", timeout=30).status_code == 200


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_others_are_answered_while_one_sends_what_needs_no_answer(
    server: RunningServer, opcode: int
) -> None:
    """The frames are there before they are read: nothing in between waits for the network."""
    with opened(server.url) as made:
        made.sendall(frame(opcode, b"") * 50_000)
        assert requests.get(f"{server.url}healthz", timeout=30).status_code == 200
