"""What PostgreSQL says when it goes away or comes back, as distinct from a mistake of ours.

A server that starts or ends refuses connections with a message, and so does one that has too many.
pg8000 gives such a message the class that a mistake in a statement has; here it becomes what a
server that does not answer at all is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError, OperationalError

# a statement that takes longer has lost its server: a machine that vanished sends no farewell
ANSWER_S = 60.0
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exceptions, too many
# connections, and the server's shutdown, crash and start
_AWAY = ("08", "53300", "57P01", "57P02", "57P03")
# two transactions waited for each other, and this one was given up
_DEADLOCK = "40P01"
# a row that is named is not there, for example; pg8000 knows only of one that is there twice
_INTEGRITY = "23"


def sql_state(error: BaseException) -> str:
    """The five characters of a pg8000 error, or "" where it is none of the server's."""
    fields = error.args[0] if error.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""


def notice_going_away(engine: Engine) -> None:
    """Raise OperationalError for every message of a server that goes or comes, and drop the
    connection that brought it; an InterfaceError where it breaks off while a connection is made.
    OperationalError also for a transaction that was given up for another: trying again helps; and
    IntegrityError for every broken constraint.
    """

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _record: Any, place: Sequence[Any], how: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*place, **how)
        except OSError as error:  # pg8000 makes its own of a refusal, but not of a reset
            broken: type[Exception] = dialect.loaded_dbapi.InterfaceError
            raise broken(f"The connection broke off while it was made: {error}") from error

    @event.listens_for(engine, "handle_error")
    def going_away(context: ExceptionContext) -> None:
        original: Any = context.original_exception
        state = sql_state(original)
        if state == _DEADLOCK:
            raise OperationalError(context.statement, context.parameters, original)
        if state.startswith(_INTEGRITY):
            raise IntegrityError(context.statement, context.parameters, original)
        if not state.startswith(_AWAY):
            return
        context.is_disconnect = True
        raise OperationalError(
            context.statement, context.parameters, original, connection_invalidated=True
        )
