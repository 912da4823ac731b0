"""What is no HTTP is answered in the one shape, by each of our servers, and the next is served."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from bench.support.fuzz_api import one_shape
from bench.support.server import RunningServer, running_server
from tests.support.models import server_environment

HOST = b"\r\nHost: localhost\r\n"
CHUNKED = b"POST /api/v1/analyze HTTP/1.1" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = [
    ("no request", b"hello there, how are you\r\n\r\n", 400),
    ("a version that is none", b"GET / HTTP/x.y" + HOST + b"\r\n", 400),
    # no more than is read: bytes that are left would cost the answer
    ("a long address", b"GET /" + b"a" * (8192 - 5), 414),
    ("a long header", b"GET / HTTP/1.1" + HOST + b"X: " + b"a" * (8192 - 3), 431),
    ("many headers", b"GET / HTTP/1.1" + HOST + b"X: a\r\n" * 300 + b"\r\n", 431),
    ("no length", b"POST / HTTP/1.1" + HOST + b"Content-Length: x\r\n\r\n", 400),
    ("less than nothing", b"POST / HTTP/1.1" + HOST + b"Content-Length: -5\r\n\r\n", 400),
    (
        "two lengths",
        b"POST / HTTP/1.1" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
    ),
    (
        "two ways to end",
        b"POST / HTTP/1.1" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    ("chunks", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", 411),
    ("tiny chunks", CHUNKED + b"1\r\na\r\n" * 100_000, 411),
    ("a chunk's size of many digits", CHUNKED + b"1" * 500_000, 411),
    ("trailers", CHUNKED + b"0\r\n" + b"a: b\r\n" * 50_000, 411),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server")
    environment = server_environment(folder)
    with running_server(environment) as started:
        yield started


def answer_to(url: str, data: bytes) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as made:
        made.settimeout(30)
        made.sendall(data)
        made.shutdown(socket.SHUT_WR)
        received = b""
        while block := made.recv(1 << 16):
            received += block
    return received


def check(url: str, data: bytes, status: int) -> None:
    head, _, body = answer_to(url, data).partition(b"\r\n\r\n")
    assert int(head.split(b" ", 2)[1]) == status, head
    assert b"application/json" in head
    assert one_shape(json.loads(body))
    assert requests.get(f"{url}healthz", timeout=30).status_code == 200


@pytest.mark.parametrize(("name", "data", "status"), BROKEN)
def test_what_is_no_http(server: RunningServer, name: str, data: bytes, status: int) -> None:
    check(server.url, data, status)


ENDLESS = [
    ("tiny chunks", CHUNKED, b"1\r\na\r\n" * 10_000),
    ("one line", CHUNKED, b"1" * 100_000),
    ("trailers", CHUNKED + b"0\r\n", b"a: b\r\n" * 10_000),
    (
        "a length",
        b"POST /healthz HTTP/1.1" + HOST + b"Content-Length: 9999999999\r\n\r\n",
        bytes(1 << 20),
    ),
]


@pytest.mark.parametrize(("name", "head", "piece"), ENDLESS)
def test_what_never_ends_is_cut_off(
    server: RunningServer, name: str, head: bytes, piece: bytes
) -> None:
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as made:
        made.settimeout(30)
        made.sendall(head)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                made.sendall(piece)
                assert requests.get(f"{server.url}healthz", timeout=30).status_code == 200


def test_a_program_that_streams_reads_why_it_is_refused(server: RunningServer) -> None:
    pieces = iter([bytes(10_000)] * 20)
    answer = requests.post(f"{server.url}api/v1/analyze", data=pieces, timeout=30)
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["error"]["message"]


def test_what_is_no_http_with_threads(tmp_path: Path) -> None:
    environment = server_environment(tmp_path, MIEN_ASYNC_MODE="threading")
    with running_server(environment) as started:
        for name, data, status in BROKEN:
            if status not in (414, 431) or name == "many headers":
                check(started.url, data, status)
