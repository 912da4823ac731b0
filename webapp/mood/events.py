"""Socket.IO: the page turns sharing on and off on ``/live``; listeners subscribe on ``/mood``.

On ``/live``, client to server
    ``share({"on": true, "webhooks": bool, "code": str, "key": str})`` -> ``{on, code, key, path,
    webhooks}`` or an error; code and key only to take a share up again after a lost connection
    ``share({"on": false})`` -> ``{"on": false}``
On ``/live``, server to client
    ``sharing`` ``{"mood": Mood or null, "listeners": n}`` when either changed
On ``/mood``, client to server
    ``subscribe({"code": str})`` -> ``{"mood": Mood or null}`` or an error
    ``unsubscribe({})`` -> ``{}``
On ``/mood``, server to client
    ``mood`` Mood, when it changed; ``end`` ``{"reason": str}`` when it is no longer shared
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import socketio
import structlog

from webapp.access.connections import GuardedNamespace
from webapp.access.gate import Admission
from webapp.domain import FrameResult
from webapp.errors import InvalidRequest, MienError, RateLimited
from webapp.mood.board import MoodBoard, Share

NAMESPACE = "/mood"
TICK_S = 0.5
WRONG_CODES = 20  # after so many a connection gets no further answer
_log = structlog.stdlib.get_logger("mien.mood")


class LiveMood:
    """What the mood stream does on ``/live``: the hub tells it of results and lost sessions."""

    def __init__(
        self,
        board: MoodBoard,
        emit: Callable[[str, dict[str, Any], str], None],
        start: Callable[[Callable[[], None]], Any],
        sleep: Callable[[float], None],
        hosts: tuple[str, ...],
    ) -> None:
        self._board = board
        self._emit = emit
        self._start = start
        self._sleep = sleep
        self._hosts = hosts
        self._watching = Lock()
        self._told: dict[str, tuple[int, int]] = {}

    def on_result(self, sid: str, result: FrameResult) -> None:
        """A result of a session."""
        self._board.on_result(sid, result)

    def on_disconnect(self, sid: str, clean_close: bool) -> None:
        """A session's connection ended; ``clean_close`` when its page closed it."""
        self._told.pop(sid, None)
        if clean_close:
            self._board.end(sid, "left")
        else:
            self._board.away(sid)

    def stop(self) -> None:
        """The server stops."""
        self._board.close()

    def request(self, sid: str, args: tuple[Any, ...]) -> dict[str, Any]:
        """Answer ``share``."""
        try:
            return self._share(sid, args[0] if len(args) == 1 else None)
        except MienError as error:
            return error.to_json()

    def _share(self, sid: str, wanted: Any) -> dict[str, Any]:
        if not isinstance(wanted, dict) or not isinstance(wanted.get("on"), bool):
            raise InvalidRequest('share: expected an object such as {"on": true}.', field="on")
        if not wanted["on"]:
            self._board.end(sid)
            return {"on": False}
        webhooks = wanted.get("webhooks", False)
        code, key = wanted.get("code", ""), wanted.get("key", "")
        texts = isinstance(code, str) and isinstance(key, str) and len(code) + len(key) < 200
        if not isinstance(webhooks, bool) or not texts:
            raise InvalidRequest(
                "share: expected webhooks as true or false, code and key as texts.",
                field="webhooks" if not isinstance(webhooks, bool) else "code",
            )
        share = self._board.begin(sid, webhooks=webhooks and bool(self._hosts), code=code, key=key)
        _log.info("mood is shared", stream=share.stream, webhooks=share.webhooks)
        self._told.pop(sid, None)
        if self._watching.acquire(blocking=False):
            self._start(self._watch)
        return {
            "on": True,
            "code": share.code,
            "key": share.key,
            "path": f"/api/v1/mood/{share.code}",
            "webhooks": list(self._hosts) if share.webhooks else [],
        }

    def _watch(self) -> None:
        while True:
            try:
                while len(self._board):
                    self._sleep(TICK_S)
                    try:
                        self._board.tick()
                        self._tell_pages()
                    except Exception:  # noqa: BLE001  (the next look may go well)
                        _log.exception("The shared moods could not be watched.")
            finally:
                self._watching.release()
            # somebody may have begun between the last look and the release
            if not len(self._board) or not self._watching.acquire(blocking=False):
                return

    def _tell_pages(self) -> None:
        for sid, share in self._board.shared():
            now = (share.number, len(share.listeners))
            if self._told.get(sid) != now:
                self._told[sid] = now
                self._emit("sharing", {"mood": share.mood, "listeners": now[1]}, sid)


class _Subscriber:
    """A Socket.IO connection that listens to one share."""

    def __init__(self, namespace: MoodNamespace, sid: str) -> None:
        self._namespace = namespace
        self.sid = sid
        self.share: Share | None = None
        self.wrong = 0

    def changed(self, share: Share) -> None:
        if share.mood is not None:
            self._namespace.emit("mood", share.mood, to=self.sid)

    def ended(self, share: Share, reason: str) -> None:
        self.share = None
        self._namespace.emit("end", {"reason": reason}, to=self.sid)


class MoodNamespace(GuardedNamespace):
    """Without a code nothing is ever said. Who may connect at all, ``admit`` decides."""

    def __init__(self, board: MoodBoard, admit: Admission) -> None:
        super().__init__(NAMESPACE)
        self._board = board
        self._admit = admit
        self._subscribers: dict[str, _Subscriber] = {}

    def on_connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        try:
            self._admit(self, sid, environ, auth)
        except MienError as error:
            refusal = socketio.exceptions.ConnectionRefusedError(error.message, error.to_json())
            raise refusal from error
        self._subscribers[sid] = _Subscriber(self, sid)

    def on_disconnect(self, sid: str, *_: Any) -> None:
        subscriber = self._subscribers.pop(sid, None)
        if subscriber is not None and subscriber.share is not None:
            self._board.leave(subscriber.share, subscriber)

    def on_unsubscribe(self, sid: str, *_: Any) -> dict[str, Any]:
        subscriber = self._subscribers.get(sid)
        if subscriber is not None and subscriber.share is not None:
            self._board.leave(subscriber.share, subscriber)
            subscriber.share = None
        return {}

    def on_subscribe(self, sid: str, request: Any = None, *_: Any) -> dict[str, Any]:
        code = request.get("code") if isinstance(request, dict) else None
        subscriber = self._subscribers.get(sid)
        try:
            if subscriber is None or not isinstance(code, str) or len(code) > 100:
                raise InvalidRequest("subscribe: expected {code: text}.", field="code")
            if subscriber.wrong >= WRONG_CODES:
                raise RateLimited("Too many wrong codes. Connect again.")
            subscriber.wrong += 1  # until it proves right
            share = self._board.find(code)
            if share is not subscriber.share:
                self._board.listen(code, subscriber)
                self.on_unsubscribe(sid)
                subscriber.share = share
            subscriber.wrong = 0
        except MienError as error:
            return error.to_json()
        return {"mood": share.mood}
