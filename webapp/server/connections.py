"""How many connections there may be, from whom, and which have to go.

A connection that says nothing costs a place until it is dropped. Whoever opens them by the thousand
must not take the places of everybody else, nor every file descriptor of the process: a server that
cannot accept for want of one ends. So there is a limit for each address and each network, requests
have to arrive within a time, and where places run out, those that say nothing are ended first.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from webapp.errors import RequestTooSlow
from webapp.settings import Settings

MOST = 4096
SPARE_FILES = 256  # for the database, the workers, uploads
PAGE_CONNECTIONS = 64  # beside live connections: what browsers open for pages and uploads
SPARE_PLACES = 32  # kept free by ending what says nothing

FIRST_REQUEST_S: Final = 8.0  # from the connection to the end of its first request's headers
NEXT_REQUEST_S: Final = 80.0  # the same for further ones; the server's own keep-alive is shorter
BODY_GRACE_S: Final = 20.0  # a body may keep us waiting so long in all, and longer only if it
BODY_BYTES_PER_S: Final = 2000  # arrives at this rate
PIECE: Final = 1 << 14
UNREAD_BYTES: Final = 64 << 20  # of a body are still taken after its answer, then it is cut off
_log = logging.getLogger(__name__)

WAITING, BODY, WORKING = "waiting", "body", "working"


def places() -> int:
    """Connections that this process can hold at one time, after asking for all it may have."""
    try:
        import resource
    except ImportError:
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (ValueError, OSError) as error:
            _log.warning("The limit on open files stays as it is: %s", error)
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if soft == resource.RLIM_INFINITY else max(64, min(MOST, soft - SPARE_FILES))


def address_key(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that an IPv6 host has to itself.

    >>> address_key("2001:db8::1:2:3"), address_key("::ffff:192.0.2.7"), address_key("192.0.2.7")
    ('2001:db8::/64', '192.0.2.7', '192.0.2.7')
    """
    return _network(address, 32, 64)


def network_key(address: str) -> str:
    """The /24, or the /48 of IPv6, that one customer of a provider may have to themselves.

    >>> network_key("192.0.2.7"), network_key("2001:db8:1:2::3")
    ('192.0.2.0/24', '2001:db8:1::/48')
    """
    return _network(address, 24, 48)


def _network(address: str, ipv4_bits: int, ipv6_bits: int) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    bits = ipv4_bits if found.version == 4 else ipv6_bits
    if bits == found.max_prefixlen:
        return str(found)
    return str(ipaddress.ip_network((found, bits), strict=False))


class Connection:
    """One connection and what it is at: waiting for a request, receiving a body, or working.

    ``end(also_answers)`` ends what we receive from it, and unless ``also_answers`` is False only
    that, so that its request can still be answered.
    """

    def __init__(self, address: str, end: Callable[[bool], None], now: float) -> None:
        self.address, self.network = address_key(address), network_key(address)
        self._end = end
        self.state, self.since = WAITING, now
        self.requests = 0
        self.ended = False
        self.received = 0  # bytes of this request's body
        self.waited_s = 0.0  # for them

    def waits(self, now: float) -> None:
        """For another request."""
        self.state, self.since = WAITING, now
        self.received, self.waited_s = 0, 0.0

    def works(self) -> None:
        """The headers of a request are there."""
        self.state = WORKING
        self.requests += 1

    @contextmanager
    def receiving(self, clock: Callable[[], float]) -> Iterator[None]:
        """The block waits for a piece of the body."""
        self.state, self.since = BODY, clock()
        try:
            yield
        finally:
            self.waited_s += clock() - self.since
            self.state = WORKING

    def overdue(self, now: float) -> bool:
        """Whether it has let us wait for too long."""
        if self.state == WAITING:
            return now - self.since > (NEXT_REQUEST_S if self.requests else FIRST_REQUEST_S)
        if self.state == BODY:
            waited_s = self.waited_s + now - self.since
            return waited_s > BODY_GRACE_S + self.received / BODY_BYTES_PER_S
        return False

    def end(self) -> None:
        """End it: at once, or where a request is under way, when that is answered."""
        self.ended = True
        self._end(self.state == BODY)


class PacedBody:
    """A request's body as it is read from ``stream``, in pieces whose arrival is noticed.

    ``give_way`` is called after each: a body may come as fast as it is read, without any wait in
    which others had their turn.
    """

    def __init__(
        self,
        stream: IO[bytes],
        connection: Connection,
        clock: Callable[[], float],
        give_way: Callable[[], None],
    ) -> None:
        self._stream, self._connection, self._clock = stream, connection, clock
        self._give_way = give_way

    def read(self, size: int) -> bytes:
        """``size`` bytes, or fewer at the end. Raises :class:`RequestTooSlow`, once."""
        pieces = []
        while size > 0:
            wanted = min(size, PIECE)
            piece = self._took(self._stream.read, wanted)
            pieces.append(piece)
            size -= len(piece)
            if len(piece) < wanted:
                break
        return b"".join(pieces)

    def readline(self, size: int = -1) -> bytes:
        return self._took(self._stream.readline, size)

    def readlines(self, size: int = -1) -> list[bytes]:
        return self.read(size).splitlines(keepends=True)

    def _took(self, read: Callable[[int], bytes], size: int) -> bytes:
        if self._connection.ended:
            return b""
        with self._connection.receiving(self._clock):
            piece = read(size)
        self._give_way()
        self._connection.received += len(piece)
        if self._connection.ended:
            raise RequestTooSlow(
                f"The body arrived too slowly: {self._connection.received:,} bytes in "
                f"{self._connection.waited_s:.0f} s. Send it again over a better connection."
            )
        return piece


class ConnectionLimiter:
    """Counts connections by address and network; behind our own proxies everybody has theirs, so
    those limits do not hold there.
    """

    def __init__(
        self,
        settings: Settings,
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        each = settings.max_connections_per_address
        live = settings.live_max_sessions_per_address + PAGE_CONNECTIONS
        self.limit = 0 if settings.trusted_proxies or not each else max(each, live)
        self.most = places() if most is None else most
        self.clock = clock
        self._open: dict[Connection, None] = {}  # oldest first
        self._addresses: Counter[str] = Counter()
        self._networks: Counter[str] = Counter()
        self._ending = 0  # of the open ones

    @contextmanager
    def acquire(
        self, address: str, end: Callable[[bool], None] = lambda _also_answers: None
    ) -> Iterator[Connection | None]:
        """One more connection from there, or None where it may not stay; it counts until the block
        ends.
        """
        connection = Connection(address, end, self.clock())
        self._open[connection] = None
        self._addresses[connection.address] += 1
        self._networks[connection.network] += 1
        try:
            yield connection if self._allowed(connection) else None
        finally:
            del self._open[connection]
            self._ending -= connection.ended
            for counts, key in (
                (self._addresses, connection.address),
                (self._networks, connection.network),
            ):
                counts[key] -= 1
                if not counts[key]:
                    del counts[key]

    def _allowed(self, new: Connection) -> bool:
        if self.limit and self._addresses[new.address] > self.limit:
            return False
        if self.limit and self._networks[new.network] > self.most // 2:
            same = [one for one in self._candidates(new) if one.network == new.network]
            if not same:
                return False
            self._end(same[:1])
        if len(self._open) - self._ending > self.most - SPARE_PLACES:
            self._end(self._candidates(new)[:SPARE_PLACES])
        return True

    def _end(self, connections: list[Connection]) -> None:
        for one in connections:
            self._ending += 1
            one.end()

    def _candidates(self, new: Connection) -> list[Connection]:
        """What may be ended to make a place: who says nothing first, the crowd's oldest first."""
        now = self.clock()
        silent = [
            one
            for one in self._open
            if one is not new
            and not one.ended
            and (one.state == WAITING or (one.state == BODY and now - one.since > 1))
        ]
        return sorted(
            silent,
            key=lambda one: (one.state == BODY, -self._networks[one.network], one.since),
        )

    def end_overdue(self) -> int:
        """End what has let us wait for too long; how many. Asked every second."""
        now = self.clock()
        overdue = [one for one in self._open if not one.ended and one.overdue(now)]
        self._end(overdue)
        return len(overdue)
