"""One address cannot take every place, nor every file descriptor."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, cast
from urllib.parse import urlsplit

import pytest
import requests

from bench.support.server import RunningServer, running_server
from tests.support.models import server_environment
from webapp.errors import RequestTooSlow
from webapp.server import connections
from webapp.server.connections import (
    BODY_GRACE_S,
    FIRST_REQUEST_S,
    NEXT_REQUEST_S,
    SPARE_PLACES,
    Connection,
    ConnectionLimiter,
    PacedBody,
    address_key,
)
from webapp.settings import Settings


def test_each_address_is_counted_by_itself_and_forgotten() -> None:
    door = ConnectionLimiter(
        Settings(max_connections_per_address=81, live_max_sessions_per_address=16)
    )
    assert door.limit == 81
    with ExitStack() as stack:
        first = [stack.enter_context(door.acquire("a")) is not None for _ in range(82)]
        assert first == [True] * 81 + [False]
        assert stack.enter_context(door.acquire("b"))
    with door.acquire("a") as place:
        assert place is not None


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 256),
        ({"trusted_proxies": 1}, 0),
        ({"max_connections_per_address": 0}, 0),
        # whoever allows more live connections has to let them in
        ({"live_max_sessions_per_address": 1000}, 1064),
    ],
)
def test_the_limit_follows_the_settings(settings: dict[str, int], limit: int) -> None:
    assert ConnectionLimiter(Settings(**settings)).limit == limit


def test_places_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, 2048))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, value: asked.append(value))
    assert connections.places() == 2048 - connections.SPARE_FILES
    assert asked == [(2048, 2048)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def limiter(most: int, clock: Clock, **settings: int) -> ConnectionLimiter:
    return ConnectionLimiter(Settings(**settings), most, clock)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::3", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::3", "2001:db8:1:3::3", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unix", "unix", True),
    ],
)
def test_an_ipv6_host_is_its_64(one: str, other: str, same: bool) -> None:
    assert (address_key(one) == address_key(other)) is same


def test_a_network_cannot_take_more_than_half_of_all_places() -> None:
    clock = Clock()
    door = limiter(200, clock)
    with ExitStack() as stack:
        for number in range(100):
            place = stack.enter_context(door.acquire(f"192.0.2.{number}"))
            assert place is not None
            place.works()
        assert stack.enter_context(door.acquire("192.0.2.200")) is None
        assert stack.enter_context(door.acquire("192.0.3.1")) is not None


def test_silent_ones_make_room_for_the_next_and_the_crowd_goes_first() -> None:
    clock, ended = Clock(), list[str]()
    door = limiter(100, clock, max_connections_per_address=0)
    with ExitStack() as stack:

        def connect(address: str) -> Connection:
            found = stack.enter_context(door.acquire(address, lambda _: ended.append(address)))
            assert found is not None
            return found

        connect("198.51.100.1").works()
        connect("198.51.100.2")
        for number in range(100 - SPARE_PLACES - 2):
            connect(f"192.0.2.{number}")
        assert ended == []
        connect("203.0.113.1")
        assert len(ended) == SPARE_PLACES
        assert ended == [f"192.0.2.{number}" for number in range(SPARE_PLACES)]


def test_who_says_nothing_for_seconds_is_ended_and_who_works_is_not() -> None:
    clock, ended = Clock(), list[str]()
    door = limiter(100, clock)
    with ExitStack() as stack:

        def connect(name: str) -> Connection:
            found = stack.enter_context(door.acquire(name, lambda _: ended.append(name)))
            assert found is not None
            return found

        connect("silent")
        connect("works").works()
        again = connect("again")
        again.works()
        clock.now = 1
        again.waits(clock.now)
        clock.now = FIRST_REQUEST_S + 1
        assert door.end_overdue() == 1
        assert ended == ["silent"]
        clock.now += NEXT_REQUEST_S
        assert door.end_overdue() == 1
        assert ended == ["silent", "again"]
        assert door.end_overdue() == 0


class Trickle:
    """A body that arrives at so many bytes a second; what looks at connections does so, too."""

    def __init__(self, clock: Clock, door: ConnectionLimiter, rate: float) -> None:
        self.clock, self.door, self.rate = clock, door, rate

    def read(self, size: int) -> bytes:
        for arrived in range(size):
            self.clock.now += 1 / self.rate
            if self.door.end_overdue():
                return bytes(arrived)
        return bytes(size)


@pytest.mark.parametrize(("rate", "kept"), [(1.0, False), (1000.0, False), (20_000.0, True)])
def test_a_body_that_trickles_is_ended_and_a_slow_one_is_not(rate: float, kept: bool) -> None:
    clock, answers = Clock(), list[bool]()
    door = limiter(100, clock)
    size = 200_000
    with door.acquire("192.0.2.1", answers.append) as place:
        assert place is not None
        place.works()
        body = PacedBody(cast(IO[bytes], Trickle(clock, door, rate)), place, clock, lambda: None)
        if kept:
            assert len(body.read(size)) == size
            assert answers == []
        else:
            with pytest.raises(RequestTooSlow) as slow:
                body.read(size)
            assert slow.value.status == 408
            assert answers == [True]  # it is answered
            assert clock.now < 3 * BODY_GRACE_S
            assert body.read(10) == b""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server")
    environment = server_environment(folder, MIEN_MAX_CONNECTIONS_PER_ADDRESS="80")
    with running_server(environment) as started:
        yield started


def connected(stack: ExitStack, server: RunningServer, address: str) -> socket.socket:
    parts = urlsplit(server.url)
    target = (parts.hostname or "", parts.port or 0)
    made = stack.enter_context(socket.create_connection(target, source_address=(address, 0)))
    made.settimeout(60)
    return made


def test_others_are_served_beside_300_silent_connections_which_end(server: RunningServer) -> None:
    with ExitStack() as stack:
        silent = [connected(stack, server, f"127.0.0.{2 + number % 20}") for number in range(300)]
        half = connected(stack, server, "127.0.0.30")
        half.sendall(b"DELETE /api/v1/surveys/x HTTP/1.1\r\nHost: localhost\r\n")
        assert requests.get(f"{server.url}healthz", timeout=30).status_code == 200
        assert all(one.recv(1) == b"" for one in (*silent, half))


def test_silent_connections_beyond_the_limit_are_closed_and_others_are_served(
    server: RunningServer,
) -> None:
    with ExitStack() as stack:
        silent = [connected(stack, server, "127.0.0.40") for _ in range(100)]
        assert all(one.recv(1) == b"" for one in silent[80:])
        assert requests.get(server.url, timeout=30).status_code == 200


@pytest.mark.slow
def test_a_trickling_body_is_answered_and_a_stalled_one_too(server: RunningServer) -> None:
    with ExitStack() as stack:
        stalled = connected(stack, server, "127.0.0.50")
        stalled.sendall(
            b"POST /api/v1/surveys HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
        )
        answer = stalled.recv(4000)
        assert answer.split(b" ", 2)[1] == b"408", answer
        assert b"request_too_slow" in answer
