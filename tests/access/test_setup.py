"""Set-up links, and passwords set on the command line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import select, update

from tests.access.test_login import actions
from tests.support.admin import PASSWORD, Browser
from webapp.access import accounts, passwords
from webapp.access.setup import print_first_run_link
from webapp.cli import cli
from webapp.database.access_tables import Account, SetupLink
from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.errors import NotFound


def test_the_first_start_prints_a_link_that_works_once(
    app: Flask, store: Store, quick_hashes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    print_first_run_link(app, "http://127.0.0.1:5000/")
    first = capsys.readouterr().out.strip().rpartition("#")[2]
    print_first_run_link(app, "http://127.0.0.1:5000/")
    line = capsys.readouterr().out.strip()
    token = line.rpartition("#")[2]
    assert "http://127.0.0.1:5000/admin/setup#" in line
    with store.session() as session:
        stored = session.scalars(select(SetupLink.token_hash)).all()
    assert stored == [accounts.hash_of(token)]
    assert token not in stored

    def use(text: str, password: str = PASSWORD, again: str = PASSWORD) -> int:
        browser = Browser(app)
        form = {"csrf_token": browser.token("/admin/setup"), "token": text}
        sent = {"password": password, "again": again}
        return browser.client.post("/admin/setup", data=form | sent).status_code

    assert use(first) == 404  # the second start replaced it
    assert use("") == 404
    assert use(token, again="something else") == 400
    assert use(token, password="short", again="short") == 400
    assert use(token) == 302
    assert use(token) == 404
    print_first_run_link(app, "http://127.0.0.1:5000/")
    assert capsys.readouterr().out == ""
    assert Browser(app).log_in().status_code == 302


def test_two_who_use_a_link_at_once_do_not_both_succeed(
    store: Store, people: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = accounts.make_link(store, people["mira"])
    hashing = passwords.hash_password

    def somebody_is_faster(password: str) -> str:
        monkeypatch.setattr(passwords, "hash_password", hashing)
        accounts.use_link(store, token, "the faster one's password")
        return hashing(password)

    monkeypatch.setattr(passwords, "hash_password", somebody_is_faster)
    with pytest.raises(NotFound):
        accounts.use_link(store, token, "the slower one's password")
    assert accounts.log_in(store, "mira", "the faster one's password")


def test_a_link_ends(store: Store, people: dict[str, int]) -> None:
    token = accounts.make_link(store, people["mira"])
    assert accounts.link_account(store, token)
    with store.session() as session:
        session.execute(update(SetupLink).values(expires_at=utcnow() - timedelta(seconds=1)))
    assert accounts.link_account(store, token) is None
    with pytest.raises(NotFound, match="expired"):
        accounts.use_link(store, token, PASSWORD)


def test_set_password_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_hashes: None
) -> None:
    monkeypatch.setenv("MIEN_INSTANCE_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    run = CliRunner().invoke
    short = run(cli, ["admin", "set-password"], input="short\nshort\n")
    assert short.exit_code == 1
    assert "at least 10" in short.output
    done = run(cli, ["admin", "set-password"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    link = run(cli, ["admin", "setup-link", "--name", "mira", "--role", "member"])
    assert link.output.startswith("http://127.0.0.1:5000/admin/setup#")
    assert run(cli, ["admin", "list"]).output.splitlines() == [
        "admin  admin",
        "mira  member  (no password yet)",
    ]
    opened = Store(f"sqlite:///{tmp_path / 'mien.db'}")
    try:
        assert accounts.log_in(opened, "admin", PASSWORD)
        assert [entry[1] for entry in actions(opened)] == ["account.password", "account.link"]
        with opened.session() as session:
            hashes = session.scalars(select(Account.password_hash)).all()
        assert [text is None or text.startswith("$argon2id$") for text in hashes] == [True, True]
    finally:
        opened.close()
