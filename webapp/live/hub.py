"""All live connections of one server: their number, their idle time, and what is sent to them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from threading import Lock
from typing import Any, Protocol

import structlog

from webapp.domain import EMOTIONS, FrameResult
from webapp.errors import InferenceUnavailable, InvalidRequest, MienError, TooManySessions
from webapp.live.changes import Changes, Serving
from webapp.live.session import LiveSession
from webapp.monitoring.logs import live_id
from webapp.web.services import Services

_log = structlog.stdlib.get_logger("mien.live")
WATCH_EVERY_S = 0.25


class Observer(Protocol):
    """Another part that follows the live sessions."""

    def on_result(self, sid: str, result: FrameResult) -> None: ...

    def on_disconnect(self, sid: str, clean_close: bool) -> None: ...

    def stop(self) -> None: ...


class LiveHub:
    """Keeps the sessions, answers their frames and watches the model and the workers.

    ``emit(event, payload, session id or None for all)`` and ``disconnect(session id)`` are the
    transport; the hub knows nothing of Socket.IO.
    """

    def __init__(
        self,
        services: Services,
        emit: Callable[[str, dict[str, Any], str | None], None],
        disconnect: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._emit = emit
        self._disconnect = disconnect
        self._clock = clock
        self._sessions: dict[str, LiveSession] = {}
        self._admission = Lock()
        self._admitted = count()
        self._changes = Changes(self._serving())
        self.draining = False
        self.observers: list[Observer] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def connect(self, sid: str, address: str) -> None:
        """Admit a connection and greet it. Raises :class:`TooManySessions`."""
        with self._admission:
            self._admit(sid, address)
        self._services.metrics.sessions.set(len(self._sessions))
        _log.info("live connection opened", live=live_id(sid), connections=len(self))
        self._emit("hello", self._hello(sid), sid)

    def _admit(self, sid: str, address: str) -> None:
        settings = self._services.settings
        if self.draining:
            raise TooManySessions("The server is stopping. Try again in a moment.")
        if len(self._sessions) >= settings.live_max_sessions:
            raise TooManySessions(
                f"All {settings.live_max_sessions} live connections are taken. Try again later.",
                limit=settings.live_max_sessions,
            )
        per_address = Counter(session.address for session in list(self._sessions.values()))
        if per_address[address] >= settings.live_max_sessions_per_address:
            raise TooManySessions(
                f"Your address has {per_address[address]} live connections, the most allowed. "
                "Close another window first.",
                limit=settings.live_max_sessions_per_address,
            )
        self._sessions[sid] = LiveSession(
            self._services, address, self._clock, scan_phase=next(self._admitted)
        )

    def _hello(self, sid: str) -> dict[str, Any]:
        settings = self._services.settings
        return {
            "session": sid,
            "model": self._services.inference.version,
            "workers": self._services.workers(),
            "emotions": list(EMOTIONS),
            "limits": {
                "max_frame_bytes": settings.max_frame_bytes,
                "max_fps": settings.live_max_fps,
                "idle_timeout_s": settings.live_idle_timeout_s,
            },
        }

    def disconnected(self, sid: str, clean_close: bool = False) -> None:
        """Forget a connection and everything remembered of its faces.

        ``clean_close``: its page ended it; it did not just break.
        """
        for observer in self.observers:
            observer.on_disconnect(sid, clean_close)
        if self._sessions.pop(sid, None) is not None:
            _log.info("live connection closed", live=live_id(sid), connections=len(self))
        self._services.metrics.sessions.set(len(self._sessions))

    def frame(self, sid: str, args: tuple[Any, ...]) -> dict[str, Any]:
        """The acknowledgement of one frame: a result or an error, never an exception."""
        started = self._clock()
        try:
            if self.draining:
                raise InferenceUnavailable("The server is stopping.")
            session = self._session(sid)
            result = session.analyze(args)
            for observer in self.observers:
                observer.on_result(sid, result)
        except MienError as error:
            self._services.metrics.failed("live", error.code)
            return error.to_json()
        except Exception:  # noqa: BLE001  (whatever it is, it costs this frame and no more)
            _log.exception("A live frame could not be answered.", live=live_id(sid))
            self._services.metrics.failed("live", MienError.code)
            return MienError("Something went wrong on our side with this frame.").to_json()
        spent_s = self._clock() - started
        self._services.metrics.answered("live", spent_s)
        limit_ms = self._services.settings.slow_frame_ms
        if limit_ms and spent_s * 1000 > limit_ms:
            self._tell_slow(sid, result, spent_s * 1000)
        return {**result.to_json(), "baseline": session.baseline.to_json()}

    @staticmethod
    def _tell_slow(sid: str, result: FrameResult, spent_ms: float) -> None:
        stages = {f"{stage}_ms": round(ms, 1) for stage, ms in result.timings_ms.items()}
        _log.warning(
            "slow frame",
            live=live_id(sid),
            seq=result.seq,
            ms=round(spent_ms, 1),
            faces=len(result.faces),
            size=f"{result.width}x{result.height}",
            **stages,
        )

    def options(self, sid: str, args: tuple[Any, ...]) -> dict[str, Any]:
        """Change a connection's options; answers with all of them as they are now."""
        try:
            session = self._session(sid)
            session.options = session.options.changed(args[0] if len(args) == 1 else None)
        except MienError as error:
            return error.to_json()
        return session.options.to_json()

    def baseline(self, sid: str, args: tuple[Any, ...]) -> dict[str, Any]:
        """Start, cancel or reset a connection's resting face; answers with its state."""
        try:
            session = self._session(sid)
            wanted = args[0] if len(args) == 1 else None
            action = wanted.get("action") if isinstance(wanted, dict) else None
            if action == "start":
                session.baseline.start()
            elif action in ("cancel", "reset"):
                session.baseline.reset()
            else:
                raise InvalidRequest(
                    'baseline: expected {"action": "start"}, or cancel or reset.', field="action"
                )
        except MienError as error:
            return error.to_json()
        return session.baseline.to_json()

    def _session(self, sid: str) -> LiveSession:
        session = self._sessions.get(sid)
        if session is None:
            raise InvalidRequest("This connection is closed. Connect again.")
        return session

    def _serving(self) -> Serving:
        workers = self._services.workers()
        restarts = sum(int(getattr(w, "restarts", 0)) for w in self._services.inference.status())
        return Serving(
            self._services.inference.version, workers["ready"], workers["total"], restarts
        )

    def watch(self) -> None:
        """Tell all connections when the model or the workers changed, and close the idle ones."""
        for status in self._changes.look(self._serving()):
            self._emit("status", status, None)
        limit_s = self._services.settings.live_idle_timeout_s
        for sid, session in list(self._sessions.items()):
            if session.idle_s > limit_s and not session.busy:
                self._close(sid, f"No frame for {limit_s} s.", "idle")

    def _close(self, sid: str, message: str, reason: str) -> None:
        status = {
            "reason": reason,
            "message": message,
            "model": self._services.inference.version,
            "workers": self._services.workers(),
        }
        self._emit("status", status, sid)
        self._disconnect(sid)

    def drain(self, sleep: Callable[[float], None], timeout_s: float) -> None:
        """Refuse new frames, let those in flight be answered, then close every connection."""
        self.draining = True
        deadline = self._clock() + timeout_s
        while self._clock() < deadline and any(s.busy for s in list(self._sessions.values())):
            sleep(0.01)
        sleep(0.2)  # a session is free a moment before its answer is sent by another thread
        for observer in self.observers:
            observer.stop()
        for sid in list(self._sessions):
            self._close(sid, "The server is stopping.", "stopping")
        sleep(0.05)  # lets the transport write the last messages
