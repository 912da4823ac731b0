"""Open connections end with the login or token that they were made with.

Where a login is required, every Socket.IO connection and every stream is kept here with its
credential, and all of them are looked up in the database every two seconds: a log-out, a new
password, a deleted account or a revoked token ends them in every process, whoever did it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any, Final, cast

import socketio
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from webapp.access import sessions, tokens
from webapp.access.auth import Principal
from webapp.errors import InvalidRequest
from webapp.web.open_database import database_of
from webapp.web.services import services_of

EXTENSION = "mien.connections"
LOOK_EVERY_S: Final = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Open:
    """One connection: ``is_open`` whether it still is, ``close`` ends it, ``recheck`` may take
    away what its principal may not see any more.
    """

    who: Principal
    is_open: Callable[[], bool]
    close: Callable[[], None]
    recheck: Callable[[], None] = lambda: None


class OpenConnections:
    """The connections of one process. A connection is forgotten when it is not open any more,
    never because its client says so.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lifetime = sessions.Lifetime.of(services_of(app).settings)
        self._open: dict[int, Open] = {}
        self._numbers = count()
        self._looking = Lock()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Open) -> None:
        self._open[next(self._numbers)] = connection
        if self._looking.acquire(blocking=False):
            self._app.extensions["socketio"].start_background_task(self._keep_looking)

    def look(self) -> None:
        """End what has no valid credential any more, once."""
        for number, one in list(self._open.items()):
            if not one.is_open():
                del self._open[number]
        now = list(self._open.values())
        living = self.living({one.who for one in now})
        for one in now:
            if one.who not in living:
                _log.info("A connection ends with its login or token.")
                one.close()
            else:
                one.recheck()

    def living(self, everybody: set[Principal]) -> set[Principal]:
        """Those whose session or token is still valid."""
        store = database_of(self._app).open()
        keys = {who.credential for who in everybody if who.kind == "session"}
        numbers = {int(who.credential) for who in everybody if who.kind == "token"}
        alive = {
            "session": sessions.living(store, keys, self._lifetime),
            "token": {str(number) for number in tokens.living(store, numbers)},
        }
        return {who for who in everybody if who.credential in alive[who.kind]}

    def _keep_looking(self) -> None:
        sleep = self._app.extensions["socketio"].sleep
        while True:
            try:
                while self._open:
                    sleep(LOOK_EVERY_S)
                    try:
                        self.look()
                    except (SQLAlchemyError, OSError) as error:
                        # nothing can be revoked in a database that is away
                        _log.warning("Open connections cannot be checked now: %s", error)
                    except Exception:  # noqa: BLE001  (the next look may go well)
                        _log.exception("Open connections could not be checked.")
            finally:
                self._looking.release()
            # one may have come between the last look and the release
            if not self._open or not self._looking.acquire(blocking=False):
                return


def connections_of(app: Flask) -> OpenConnections:
    """The open connections of one application."""
    return cast(OpenConnections, app.extensions[EXTENSION])


def init_connections(app: Flask) -> None:
    app.extensions[EXTENSION] = OpenConnections(app)


class GuardedNamespace(socketio.Namespace):  # type: ignore[misc]
    """A namespace whose clients cannot name events of theirs like the library's own two.

    Those are told apart by what only the library can do: pass the connection's environment, or
    have ended it already.
    """

    def trigger_event(self, event: str, *args: Any) -> Any:
        sid, *rest = args
        if event == "connect":
            forged = not rest or rest[0] is not self.server.get_environ(sid, self.namespace)
        else:
            forged = event == "disconnect" and self.server.manager.is_connected(sid, self.namespace)
        if forged:
            return InvalidRequest(f"{event} is no event of yours.").to_json()
        return super().trigger_event(event, *args)

    def end(self, sid: str) -> None:
        """Disconnect a client, then close its transport too."""
        server = self.server
        transport = server.manager.eio_sid_from_sid(sid, self.namespace)
        self.disconnect(sid)
        if transport is not None:
            # waits for the peer to take what is still queued, which it may never do
            server.start_background_task(server.eio.disconnect, transport)

    def recheck(self, sid: str) -> None:
        """Take away what the client of ``sid`` may not see any more."""
