"""PostgreSQL stopped and started under the store and the web: nothing is a mistake of ours."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from pg8000.exceptions import DatabaseError
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError

from bench.support.services import Missing, PostgresServer, private_postgres
from bench.support.witness import until
from tests.support.live import FakeInference
from webapp.app import create_app
from webapp.database.postgres import sql_state
from webapp.database.store import Store, database_url, make_engine
from webapp.settings import Settings
from webapp.survey.service import resume_surveys, surveys_of
from webapp.web.open_database import database_of

AWAY = (OperationalError, InterfaceError)
# pg8000 lets a socket whose server died go with its last reference
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that the test may end."""
    try:
        with private_postgres() as server:
            yield server
            gc.collect()  # while the warning is allowed
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def store(own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("DATABASE_URL", own_postgres.database())
    made = Store(database_url(None))  # type: ignore[arg-type] - the variable decides
    yield made
    made.close()


def ask(store: Store) -> int:
    with store.session() as session:
        return int(session.execute(text("SELECT 1")).scalar_one())


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_connection_that_a_stopped_server_ended_is_replaced_without_an_error(
    store: Store, own_postgres: PostgresServer, how: str
) -> None:
    assert ask(store) == 1
    own_postgres.stop(how)
    with pytest.raises(AWAY):
        ask(store)
    own_postgres.start()
    assert ask(store) == 1
    own_postgres.stop(how)
    own_postgres.start()  # nobody asked while it was away: its farewell is still to be read
    assert ask(store) == 1


def test_a_server_that_is_ending_refuses_and_is_away(
    store: Store, own_postgres: PostgresServer
) -> None:
    with store.session() as session:
        session.execute(text("SELECT 1"))
        own_postgres.retire()
        with pytest.raises(OperationalError, match="57P03"):
            ask(store)
        session.execute(text("SELECT 1"))  # what is open goes on
    own_postgres.stop()
    own_postgres.start()
    assert ask(store) == 1


def test_a_mistake_of_ours_stays_one(store: Store) -> None:
    with pytest.raises(ProgrammingError), store.session() as session:
        session.execute(text("SELECT nothing_of_that_name"))


def test_what_a_server_says_that_starts_is_told_apart() -> None:
    assert sql_state(DatabaseError({"C": "57P03", "M": "starting up"})) == "57P03"
    assert sql_state(ValueError("C")) == ""
    assert sql_state(ValueError()) == ""


def refused(client: FlaskClient) -> None:
    answer = client.get("/api/v1/surveys")
    assert answer.status_code == 503, answer.text
    assert answer.json["error"]["code"] == "database_unavailable"
    assert client.get("/surveys").status_code == 503


def test_requests_are_answered_with_503_until_it_is_back(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", own_postgres.database())
    app = create_app(Settings(async_mode="threading"), FakeInference())
    client = app.test_client()
    assert client.get("/api/v1/surveys").status_code == 200
    for how in ("fast", "immediate", "smart"):
        store = database_of(app).open()
        with store.engine.connect():  # a server that ends waits for who is connected
            own_postgres.retire() if how == "smart" else own_postgres.stop(how)
            store.engine.dispose()  # so that a request needs a new connection
            refused(client)
        own_postgres.stop()
        own_postgres.start()
        assert client.get("/api/v1/surveys").status_code == 200
    surveys_of(app).close()


def test_a_server_that_started_without_its_database_goes_on_by_itself(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", own_postgres.database())
    own_postgres.stop()
    app = create_app(Settings(async_mode="threading"), FakeInference())
    resume_surveys(app)
    assert surveys_of(app).opened is None
    own_postgres.start()
    until(lambda: surveys_of(app).opened is not None, "the surveys")
    surveys_of(app).close()


def test_a_reset_while_a_connection_is_made_is_a_server_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As seen when the server is killed between its accept and the driver's first message."""
    engine = make_engine("postgresql+pg8000://mien@127.0.0.1:1/mien")

    def reset(*_: object, **__: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(engine.dialect.loaded_dbapi, "connect", reset)
    with pytest.raises(InterfaceError, match="broke off while it was made"):
        engine.connect()
    engine.dispose()
