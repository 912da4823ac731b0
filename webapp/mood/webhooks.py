"""Tells other programs of a shared mood: signed, in the background, with retries that end.

The addresses come from the settings alone; nothing that a visitor sends becomes one. A delivery
that cannot be made holds up nobody: each address has a short queue of its own, and what is too old
to matter is dropped. Signatures follow Standard Webhooks (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import SplitResult, urlsplit

import structlog

from webapp import __version__
from webapp.errors import SettingsError
from webapp.mood.board import Share
from webapp.settings import Settings

ATTEMPTS = 6
FIRST_DELAY_S = 1.0  # doubled after each failure: 1, 2, 4, 8, 16 s
TIMEOUT_S = 5.0
QUEUE = 50  # messages that wait for one address; then the oldest goes
MAX_AGE_S = 120.0  # a mood is news for so long
_ANSWER_BYTES = 1024  # of the receiver's answer; more is not read
_TRY_LATER = {408, 425, 429}
_log = structlog.stdlib.get_logger("mien.mood")


class DeliveryError(Exception):
    """A delivery failed; ``final`` when trying again cannot help."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def parse_urls(text: str) -> tuple[SplitResult, ...]:
    """The addresses of the setting. Raises :class:`SettingsError`."""
    urls = []
    for word in text.replace(",", " ").split():
        try:
            url = urlsplit(word)
            usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
        except ValueError:
            usable = False
        if not usable or url.username is not None or url.password is not None or url.fragment:
            raise SettingsError(
                "MIEN_MOOD_WEBHOOKS: expected http or https addresses without a user name, "
                f"separated by commas. Received {word!r}.",
                variable="MIEN_MOOD_WEBHOOKS",
            )
        urls.append(url)
    return tuple(urls)


def secret_bytes(secret: str) -> bytes:
    """The signing key: base64 behind ``whsec_``, otherwise the text itself."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise SettingsError(
            "MIEN_MOOD_WEBHOOK_SECRET: expected base64 behind whsec_.",
            variable="MIEN_MOOD_WEBHOOK_SECRET",
        ) from error


def signature(key: bytes, identity: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body`` (Standard Webhooks 1.0)."""
    signed = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def check_address(host: str, port: int) -> str:
    """The address that ``host`` resolves to, if it may be called. Raises :class:`DeliveryError`.

    Private addresses are allowed, since an administrator chose the host and home automation is at
    one. Link-local ones are not: machines in clouds find their credentials there, and a name that
    somebody else controls may come to point at them.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryError(f"The host's name cannot be resolved: {error}.") from error
    address = str(found[0][4][0])
    parsed = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified:
        raise DeliveryError(f"The host resolves to {address}, which is not called.", final=True)
    return address


class _Pinned(http.client.HTTPConnection):
    """Connects to the address that was checked, whatever the name resolves to a moment later."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def post(url: SplitResult, body: bytes, headers: dict[str, str]) -> int:
    """Send one request and return the status; redirects are answers like any other.

    Raises :class:`DeliveryError` where no answer came.
    """
    host, port = str(url.hostname), url.port or (443 if url.scheme == "https" else 80)
    tls = ssl.create_default_context() if url.scheme == "https" else None
    connection = _Pinned(host, port, check_address(host, port), tls)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read(_ANSWER_BYTES)
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryError(f"No answer came: {error!r}.") from error
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address; ``share`` is None where it concerns nobody's mood."""

    identity: str
    body: bytes
    made_s: float
    share: Share | None
    farewell: bool = False

    @property
    def withdrawn(self) -> bool:
        """Whether the person turned sharing off; then only the end itself is sent."""
        share = self.share
        return (
            share is not None
            and not self.farewell
            and (share.ended is not None or not share.webhooks)
        )


class Outbox:
    """The queue of one address, with a background task while there is something to send."""

    def __init__(self, url: SplitResult, key: bytes, owner: Webhooks) -> None:
        self._url = url
        self._key = key
        self._owner = owner
        self._queue: deque[Message] = deque()
        self._lock = threading.Lock()
        self._running = False

    @property
    def address(self) -> str:
        """The address without its query, which may hold a secret."""
        return f"{self._url.scheme}://{self._url.netloc}{self._url.path}"

    def put(self, message: Message) -> None:
        with self._lock:
            if len(self._queue) >= QUEUE:
                self._queue.popleft()
                self._owner.count("dropped")
            self._queue.append(message)
            start, self._running = not self._running, True
        if start:
            self._owner.start(self._drain)

    def _next(self) -> Message | None:
        with self._lock:
            if not self._queue:
                self._running = False
                return None
            return self._queue.popleft()

    def _drain(self) -> None:
        while (message := self._next()) is not None:
            try:
                self._owner.count(self._deliver(message))
            except Exception:  # noqa: BLE001  (one message must not end the task)
                _log.exception("A webhook message could not be sent.", host=self._url.hostname)
                self._owner.count("failed")

    def _deliver(self, message: Message) -> str:
        """Try until it is delivered, refused, too old or withdrawn; the outcome's name."""
        for attempt in range(ATTEMPTS):
            if message.withdrawn:
                return "withdrawn"
            if self._owner.clock() - message.made_s > MAX_AGE_S:
                return "dropped"
            try:
                self.send(message)
            except DeliveryError as error:
                _log.warning(
                    "webhook failed", host=self._url.hostname, attempt=attempt + 1, why=str(error)
                )
                if error.final or attempt + 1 == ATTEMPTS:
                    return "failed"
                jitter = 1 + secrets.randbelow(250) / 1000
                self._owner.sleep(FIRST_DELAY_S * 2**attempt * jitter)
            else:
                return "delivered"
        return "failed"

    def send(self, message: Message) -> None:
        """One attempt. Raises :class:`DeliveryError`."""
        timestamp = int(self._owner.epoch())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Mien/{__version__}",
            "Connection": "close",
            "webhook-id": message.identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._key, message.identity, timestamp, message.body),
        }
        status = post(self._url, message.body, headers)
        if not 200 <= status < 300:
            final = 300 <= status < 500 and status not in _TRY_LATER
            raise DeliveryError(f"The receiver answered {status}.", final=final)


class Webhooks:
    """Sends every shared mood whose person agreed to it to the addresses of the settings."""

    def __init__(
        self,
        settings: Settings,
        start: Callable[[Callable[[], None]], Any],
        sleep: Callable[[float], Any] = time.sleep,
        count: Callable[[str], None] = lambda outcome: None,
        clock: Callable[[], float] = time.monotonic,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        """``start(call)`` runs a call in the background; ``count(outcome)`` counts deliveries."""
        self._urls = parse_urls(settings.mood_webhooks)
        if self._urls and not settings.mood_webhook_secret:
            raise SettingsError(
                "MIEN_MOOD_WEBHOOKS needs MIEN_MOOD_WEBHOOK_SECRET, which signs the messages.",
                variable="MIEN_MOOD_WEBHOOK_SECRET",
            )
        key = secret_bytes(settings.mood_webhook_secret)
        self.start = start
        self.sleep = sleep
        self.count = count
        self.clock = clock
        self.epoch = epoch
        self.outboxes = [Outbox(url, key, self) for url in self._urls]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are notified, for the person at the camera to read before agreeing."""
        return tuple(dict.fromkeys(str(url.hostname) for url in self._urls))

    def changed(self, share: Share) -> None:
        if share.webhooks and share.mood is not None:
            self._put("mood", {"stream": share.stream, **share.mood}, share)

    def ended(self, share: Share, reason: str) -> None:
        if share.webhooks and share.number:
            data = {"stream": share.stream, "reason": reason}
            self._put("mood.end", data, share, farewell=True)

    def message(
        self, kind: str, data: dict[str, Any], share: Share | None = None, *, farewell: bool = False
    ) -> Message:
        """A message of one kind, ready for any address."""
        when = datetime.fromtimestamp(self.epoch(), timezone.utc).isoformat(timespec="milliseconds")
        body = json.dumps({"type": kind, "timestamp": when, "data": data}).encode()
        return Message(f"msg_{secrets.token_hex(12)}", body, self.clock(), share, farewell)

    def _put(
        self, kind: str, data: dict[str, Any], share: Share, *, farewell: bool = False
    ) -> None:
        if self.outboxes:
            message = self.message(kind, data, share, farewell=farewell)
            for outbox in self.outboxes:
                outbox.put(message)
