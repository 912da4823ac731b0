"""Which live sessions share their mood, and who listens to each.

A share begins when the person at the camera turns it on, has a code that only their page receives,
and ends when they turn it off, leave, or stay away for longer than :data:`GRACE_S`. Whoever has
the code may listen while it lasts. Nothing is kept of a share that has ended.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from webapp.domain import FrameResult
from webapp.errors import NotFound, TooManySessions
from webapp.mood.codes import new_code, plain
from webapp.mood.settle import Leader, Settled, Settler
from webapp.settings import Settings

FORMAT_VERSION = 1
PAUSED_AFTER_S = 3.0  # without a result for so long, the state is "paused"
MAX_SHARES = 1000  # with those whose page is away; more than live connections by far
GRACE_S = 15.0  # a page that lost its connection may take its share up again for so long


class Listener(Protocol):
    """Somebody who listens to one share. Calls come from whatever thread reads the frames."""

    def changed(self, share: Share) -> None: ...

    def ended(self, share: Share, reason: str) -> None: ...


@dataclass(slots=True, eq=False)
class Share:
    """One session's mood while it is shared. ``key`` proves to us that a page is its owner."""

    code: str
    key: str
    sid: str | None
    webhooks: bool
    settler: Settler
    seen_s: float
    leader: Leader = field(default_factory=Leader)
    model: str = ""
    away_since_s: float | None = None
    number: int = 0  # of the latest mood; 0 before the first
    mood: dict[str, Any] | None = None
    ended: str | None = None  # the reason
    listeners: list[Listener] = field(default_factory=list)

    @property
    def stream(self) -> str:
        """A name for logs and webhooks that does not let anybody listen."""
        return hashlib.sha256(self.code.encode()).hexdigest()[:12]


class MoodBoard:
    """All shares of one server. Thread-safe; listeners are called outside the lock."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._window_s: float = settings.mood_window_ms / 1000
        self._per_share: int = settings.mood_max_listeners
        self._clock = clock
        self._epoch = epoch
        self._lock = Lock()
        self._by_code: dict[str, Share] = {}
        self._by_sid: dict[str, Share] = {}
        self.everywhere: list[Listener] = []  # notified of every share, as the webhooks are

    def __len__(self) -> int:
        return len(self._by_code)

    @property
    def listeners(self) -> int:
        """How many listen now, to any share."""
        with self._lock:
            return sum(len(share.listeners) for share in self._by_code.values())

    def shared(self) -> list[tuple[str, Share]]:
        """The sessions that share now, each with its share."""
        with self._lock:
            return list(self._by_sid.items())

    def begin(self, sid: str, *, webhooks: bool = False, code: str = "", key: str = "") -> Share:
        """Share a session's mood; a page that shows ``key`` takes up its share ``code`` again.

        Raises :class:`TooManySessions`.
        """
        with self._lock:
            share = self._by_sid.get(sid) or self._resumed(code, key)
            if share is None:
                if len(self._by_code) >= MAX_SHARES:
                    raise TooManySessions("Too many moods are shared now. Try again in a moment.")
                share = Share(
                    code=new_code(),
                    key=secrets.token_urlsafe(24),
                    sid=sid,
                    webhooks=webhooks,
                    settler=Settler(self._window_s),
                    seen_s=self._clock(),
                )
                self._by_code[plain(share.code)] = share
            if share.sid is not None:
                self._by_sid.pop(share.sid, None)
            share.sid, share.webhooks, share.away_since_s = sid, webhooks, None
            self._by_sid[sid] = share
            return share

    def _resumed(self, code: str, key: str) -> Share | None:
        share = self._by_code.get(plain(code))
        if share is None or not secrets.compare_digest(share.key.encode(), key.encode()):
            return None
        return share

    def end(self, sid: str, reason: str = "stopped") -> None:
        """End the share of a session, if it has one. ``reason`` goes to its listeners."""
        with self._lock:
            share = self._by_sid.get(sid)
        if share is not None:
            self._end(share, reason)

    def away(self, sid: str) -> None:
        """The session's connection broke; its page may come back within :data:`GRACE_S`."""
        with self._lock:
            share = self._by_sid.pop(sid, None)
            if share is not None:
                share.sid, share.away_since_s = None, self._clock()

    def on_result(self, sid: str, result: FrameResult) -> None:
        """Take one result of a session; costs nothing where it is not shared."""
        share = self._by_sid.get(sid)
        if share is None:
            return
        with self._lock:
            share.seen_s = self._clock()
            settled = share.settler.update(share.seen_s, share.leader.read(result))
            another = share.mood is not None and share.model != result.model
            share.model = result.model
            changed = self._publish(share, settled, another)
        if changed:
            self._notify(share)

    def tick(self) -> None:
        """Notice sessions that send nothing, and end those that stayed away."""
        now_s = self._clock()
        with self._lock:
            shares = list(self._by_code.values())
        for share in shares:
            if share.away_since_s is not None and now_s - share.away_since_s > GRACE_S:
                self._end(share, "left")
                continue
            with self._lock:
                silent = now_s - share.seen_s > PAUSED_AFTER_S
                changed = silent and self._publish(share, share.settler.pause(now_s), another=False)
            if changed:
                self._notify(share)

    def close(self, reason: str = "stopping") -> None:
        """End everything, for a server that stops."""
        with self._lock:
            shares = list(self._by_code.values())
        for share in shares:
            self._end(share, reason)

    def find(self, code: str) -> Share:
        """The share of a code. Raises :class:`NotFound`, the same for wrong and ended ones."""
        share = self._by_code.get(plain(code))
        if share is None:
            raise NotFound(
                "No mood is shared under this code. It may have ended, or the code is mistyped."
            )
        return share

    def listen(self, code: str, listener: Listener) -> Share:
        """Add a listener. Raises :class:`NotFound` or :class:`TooManySessions`."""
        with self._lock:
            share = self.find(code)
            if len(share.listeners) >= self._per_share:
                raise TooManySessions(
                    f"{self._per_share} listeners hear this mood already, the most allowed.",
                    limit=self._per_share,
                )
            share.listeners.append(listener)
            return share

    def leave(self, share: Share, listener: Listener) -> None:
        """Remove a listener; once more does no harm."""
        with self._lock:
            share.listeners = [other for other in share.listeners if other is not listener]

    def _publish(self, share: Share, settled: Settled | None, another: bool) -> bool:
        """Make the next mood of what has settled; ``another`` model republishes the last one."""
        if settled is None:
            if not another or share.mood is None:
                return False
            share.mood = share.mood | {"model": share.model}
        else:
            held_s = self._clock() - settled.since_s
            share.mood = {
                "state": settled.state,
                "since_ms": round((self._epoch() - held_s) * 1000),
                "confidence": _rounded(settled.confidence),
                "valence": _rounded(settled.valence),
                "faces": settled.faces,
                "model": share.model,
                "version": FORMAT_VERSION,
            }
        share.number += 1
        return True

    def _notify(self, share: Share) -> None:
        for listener in (*share.listeners, *self.everywhere):
            listener.changed(share)

    def _end(self, share: Share, reason: str) -> None:
        with self._lock:
            if share.ended is not None:
                return
            share.ended = reason
            share.mood = None
            self._by_code.pop(plain(share.code), None)
            if share.sid is not None and self._by_sid.get(share.sid) is share:
                del self._by_sid[share.sid]
            listeners = (*share.listeners, *self.everywhere)
        for listener in listeners:
            listener.ended(share, reason)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
