"""PostgreSQL: migrations from two nodes at once, and what the tests of surveys hold on SQLite."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bench.support.services import PostgresServer
from webapp.database.postgres import sql_state
from webapp.database.store import Store, database_url

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MIGRATE = """
import sys, threading
from webapp.database.store import Store
stores = [Store(sys.argv[1]) for _ in range(2)]
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=store.migrate) for store in stores]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
[store.close() for store in stores]
"""


@pytest.fixture(params=["postgresql", "sqlite"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mien.db'}"
    return str(request.getfixturevalue("postgres_server").database())


def test_nodes_that_start_at_once_migrate_one_after_the_other(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_url)
    url = database_url(tmp_path)
    nodes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for node in nodes:
        assert node.stdout is not None
        assert node.stdout.readline() == "ready\n"
    said = [node.communicate("go\n", timeout=60) for node in nodes]
    assert [(node.returncode, err) for node, (_, err) in zip(nodes, said, strict=True)] == [
        (0, "")
    ] * 3
    store = Store(url)
    store.migrate()
    store.close()


def test_of_transactions_that_wait_for_each_other_one_may_try_again(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_server.database())
    store = Store(database_url(tmp_path))
    with store.engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)"))
        connection.execute(text("INSERT INTO t VALUES (1, 0), (2, 0)"))
    both_hold_one = threading.Barrier(2)

    def add(*ids: int) -> str:
        step = text("UPDATE t SET n = n + 1 WHERE id = :id")
        try:
            with store.session() as session:
                session.execute(step, {"id": ids[0]})
                both_hold_one.wait()
                session.execute(step, {"id": ids[1]})
        except OperationalError as error:
            return sql_state(error.orig) if error.orig else ""
        return "done"

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(add, 1, 2), pool.submit(add, 2, 1)
        assert sorted([first.result(), second.result()]) == ["40P01", "done"]
    with store.session() as session:
        assert list(session.scalars(text("SELECT n FROM t"))) == [1, 1]
    store.close()
