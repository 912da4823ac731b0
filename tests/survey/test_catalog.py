from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from tests.survey.doubles import keep_pictures, picture
from webapp.database.access_tables import Account
from webapp.database.base import Base, utcnow
from webapp.database.survey_tables import Group, Survey, SurveyShare, Upload
from webapp.errors import Forbidden, InvalidRequest, NotFound
from webapp.survey.catalog import NewSurvey
from webapp.survey.purposes import PURPOSES


def test_the_migrations_make_exactly_the_models(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        different = compare_metadata(context, Base.metadata)
        if connection.dialect.name == "sqlite":
            # SQLAlchemy reads no ON DELETE of a foreign key that was added with its column
            keys = connection.exec_driver_sql("PRAGMA foreign_key_list(surveys)").all()
            assert [(k.table, k[3], k.on_delete) for k in keys] == [
                ("accounts", "owner_id", "SET NULL")
            ]
            different = [(kind, key) for kind, key in different if key.column_keys != ["owner_id"]]
        assert different == []


def test_surveys_outlive_their_owner_and_belong_to_nobody_then(catalog, store):
    survey = catalog.create(NewSurvey("Packages", "product", True))
    with store.session() as session:
        account = Account(name="ada", role="member")
        session.add(account)
        session.flush()
        session.get(Survey, survey.id).owner_id = account.id
        session.add(SurveyShare(survey_id=survey.id, account_id=account.id))
    with store.session() as session:
        session.delete(session.get(Account, account.id))
    assert catalog.get(survey.id).owner_id is None
    with store.session() as session:
        assert session.scalar(select(func.count()).select_from(SurveyShare)) == 0


def test_migrating_twice_changes_nothing(catalog, store):
    survey = catalog.create(NewSurvey("Kept", "product", True))
    store.migrate()
    assert catalog.get(survey.id).name == "Kept"


@pytest.mark.parametrize("key", ["work", "education"])
def test_judging_people_is_refused_with_the_reason(catalog, key):
    with pytest.raises(Forbidden, match=r"Article 5\(1\)\(f\)"):
        catalog.create(NewSurvey("Staff", key, True))
    assert catalog.rows() == []
    assert next(p for p in PURPOSES if p.key == key).refusal


@pytest.mark.parametrize(
    "change",
    [
        {"name": "  "},
        {"purpose": "unknown"},
        {"purpose": "other"},
        {"consent": False},
        {"groups": ["x" * 201]},
        {"keep_until": utcnow() - timedelta(days=1)},
        {"several_faces": "all"},
        {"respondent_rule": "guess"},
        {"respondent_rule": "pattern", "respondent_pattern": "*.jpg"},
        {"video_fps": 0},
    ],
)
def test_what_cannot_be_used_is_refused(catalog, change):
    good = {"name": "S", "purpose": "product", "consent": True}
    with pytest.raises(InvalidRequest):
        catalog.create(NewSurvey(**(good | change)))


def test_groups_are_made_once_and_in_order(catalog, survey):
    assert catalog.ensure_group(survey.id, "B") == catalog.ensure_group(survey.id, "B")
    for late in ("Z", "D", "C"):
        catalog.ensure_group(survey.id, late)
    assert [group.name for group in catalog.groups(survey.id)] == ["A", "B", "C", "D", "Z"]


def test_delete_removes_rows_and_files(catalog, store, survey, send):
    send("a.jpg", picture("happy"))
    catalog.delete(survey.id)
    assert not catalog.folders.survey(survey.id).exists()
    with store.session() as session:
        for table in (Survey, Group, Upload):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    with pytest.raises(NotFound):
        catalog.delete(survey.id)


def test_the_sweep_keeps_until_the_date_and_then_deletes(catalog, store, send, survey):
    until = utcnow() + timedelta(days=3)
    keep_pictures(catalog, survey.id, until)
    send("a.jpg", picture("happy"))
    assert catalog.sweep(until - timedelta(hours=1), 7) == []
    assert catalog.folders.pictures(survey.id).exists()
    assert catalog.sweep(until, 7) == [survey.id]
    assert not catalog.folders.pictures(survey.id).exists()
    assert catalog.get(survey.id).pictures_deleted_at is not None
    assert catalog.sweep(until, 7) == []


def test_the_sweep_deletes_forgotten_pictures_and_orphans(catalog, survey, send):
    send("a.jpg", picture("happy"))
    orphan = catalog.folders.survey("f" * 32)
    orphan.mkdir(parents=True)
    assert catalog.sweep(utcnow() + timedelta(days=8), 7) == [survey.id]
    assert not orphan.exists()


def test_a_large_survey_is_deleted_in_steps(catalog, store, survey, send, monkeypatch):
    monkeypatch.setattr("webapp.survey.removal.ROWS_AT_ONCE", 2)
    for number in range(5):
        send(f"{number}.jpg", picture(f"happy:{number}"))
    catalog.delete(survey.id)
    with store.session() as session:
        assert session.scalar(select(func.count()).select_from(Upload)) == 0


def test_an_interrupted_deletion_is_finished_by_the_sweep(
    catalog, store, survey, send, monkeypatch
):
    send("a.jpg", picture("happy"))

    def cut_off(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("webapp.survey.catalog.delete_rows", cut_off)
        with pytest.raises(KeyboardInterrupt):
            catalog.delete(survey.id)
    assert catalog.get(survey.id).id == survey.id
    assert catalog.sweep(utcnow(), 7) == []
    with pytest.raises(NotFound):
        catalog.get(survey.id)
    assert not catalog.folders.survey(survey.id).exists()
