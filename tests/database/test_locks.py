"""Limits hold where two requests come at once, on SQLite and PostgreSQL."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select

from tests.studies.people import FIELDS
from tests.studies.people import picture as small_picture
from tests.survey.doubles import picture
from webapp.access import accounts, tokens
from webapp.database.access_tables import ADMIN, Account
from webapp.database.store import Store, database_url
from webapp.database.study_tables import Study, StudyStimulus
from webapp.database.survey_tables import Survey, Upload
from webapp.errors import MienError, NotFound, PayloadTooLarge
from webapp.files.kinds import ARCHIVE
from webapp.files.storage import LocalFiles
from webapp.settings import Settings
from webapp.studies import catalog as studies
from webapp.studies import media, stimuli
from webapp.studies.participants import Begin, Participants
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.intake.uploads import Uploads

OWNER = 7


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres_server").database())
    opened = Store(database_url(tmp_path))
    opened.migrate()
    with opened.session() as session:
        session.add(Account(id=OWNER, name="member"))
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        instance_dir=str(tmp_path),
        survey_quota_mb=1,
        survey_max_files=2,
        study_quota_mb=1,
        study_max_stimuli=1,
    )


@pytest.fixture
def small_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stimuli, "look_in_process", media.look)


def both(store: Store, summed: str, *requests: Callable[[], Any]) -> list[Any]:
    """The outcomes of two requests, each of which has read ``summed`` before the other writes,
    where nothing makes it wait.
    """
    reading = threading.Barrier(2)

    @event.listens_for(store.engine, "after_cursor_execute")
    def read(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if summed in statement:
            with suppress(threading.BrokenBarrierError):
                reading.wait(1.0)

    def outcome(request: Callable[[], Any]) -> Any:
        try:
            return request()
        except MienError as error:
            return error.status

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(outcome, requests))


def test_surveys_of_one_owner(store: Store, tmp_path: Path) -> None:
    catalog = Catalog(store, tmp_path)
    new = NewSurvey("Packages", "product", True)
    for owner in (OWNER, None):
        made = both(store, "count(", *[partial(catalog.create, new, owner, 1)] * 2)
        assert sorted(one if isinstance(one, int) else 201 for one in made) == [201, 409]
    with store.session() as session:
        assert session.scalar(select(func.count(Survey.id))) == 2


def test_studies_of_one_owner(store: Store, tmp_path: Path) -> None:
    catalog = studies.Catalog(store, tmp_path, LocalFiles())
    for owner in (OWNER, None):
        made = both(store, "count(", *[partial(catalog.create, FIELDS, owner, 1)] * 2)
        assert sorted(one if isinstance(one, int) else 201 for one in made) == [201, 409]
    with store.session() as session:
        assert session.scalar(select(func.count(Study.id))) == 2


def test_pictures_of_one_owners_surveys(store: Store, settings: Settings, tmp_path: Path) -> None:
    catalog = Catalog(store, tmp_path)
    uploads = Uploads(catalog, settings)
    ids = [catalog.create(NewSurvey(name, "product", True), OWNER).id for name in "ab"]

    def send(survey: str) -> str:
        data = picture(survey) + bytes(600_000)
        return uploads.receive(survey, "A", "face.jpg", io.BytesIO(data)).status

    outcomes = both(store, "sum(", *[lambda one=one: send(one) for one in ids])
    assert sorted(map(str, outcomes)) == ["507", "stored"]
    with store.session() as session:
        assert session.scalar(select(func.count(Upload.id))) == 1
    kept = [path for path in (tmp_path / "surveys").rglob("*") if path.is_file()]
    assert len(kept) == 1, "what was refused is not left on the disk"


def test_one_picture_sent_twice_near_the_limit_keeps_its_file(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    catalog = Catalog(store, tmp_path)
    uploads = Uploads(catalog, settings)
    survey = catalog.create(NewSurvey("Packages", "product", True), OWNER).id
    data = picture("a") + bytes(600_000)
    requests = [
        lambda name=name: uploads.receive(survey, "A", name, io.BytesIO(data)).status
        for name in ("a.jpg", "b.jpg")
    ]
    assert "stored" in both(store, "sum(", *requests)
    kept = [path for path in (tmp_path / "surveys").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [data]


def test_what_one_owners_studies_show(
    store: Store, settings: Settings, tmp_path: Path, small_looks: None
) -> None:
    catalog = studies.Catalog(store, tmp_path, LocalFiles())
    shown = stimuli.Stimuli(catalog, settings)
    ids = [catalog.create(FIELDS, OWNER, 10).id for _ in range(2)]

    def add(study: str) -> int:
        data = small_picture().getvalue() + bytes(600_000)
        return len(shown.add(study, io.BytesIO(data), "red", 500).id)

    outcomes = both(store, "sum(", *[lambda one=one: add(one) for one in ids])
    assert sorted(outcomes) == [32, 507]
    with store.session() as session:
        assert session.scalar(select(func.count(StudyStimulus.id))) == 1


def test_the_stimuli_of_one_study(
    store: Store, settings: Settings, tmp_path: Path, small_looks: None
) -> None:
    catalog = studies.Catalog(store, tmp_path, LocalFiles())
    shown = stimuli.Stimuli(catalog, settings)
    study = catalog.create(FIELDS, OWNER, 10).id
    looked = threading.Barrier(2)

    class Together(io.BytesIO):
        """Is read once both requests have found room for it."""

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 0:
                looked.wait(10)
            return super().read(size)

    def add() -> int:
        return len(shown.add(study, Together(small_picture().getvalue()), "red", 500).id)

    assert sorted(both(store, "never", add, add)) == [32, 409]


def test_the_files_of_one_survey(store: Store, settings: Settings, tmp_path: Path) -> None:
    catalog = Catalog(store, tmp_path)
    uploads = Uploads(catalog, settings)
    survey = catalog.create(NewSurvey("Packages", "product", True), OWNER).id

    def send(name: str, data: bytes) -> str:
        return uploads.receive(survey, "A", f"{name}.jpg", io.BytesIO(data)).status

    send("first", picture("first"))
    # counted by each before the other records its file, where nothing makes it wait
    good, bad = partial(send, "a", picture("a")), partial(send, "b", b"no picture")
    outcomes = both(store, "count(", good, bad)
    assert sorted(str(one) for one in outcomes if one != 413) in (["refused"], ["stored"])
    with store.session() as session:
        assert session.scalar(select(func.count(Upload.id))) == 2
    kept = [path for path in (tmp_path / "surveys").rglob("*") if path.is_file()]
    assert len(kept) == 1 + outcomes.count("stored"), "what was refused is not left on the disk"


def zipped(*members: tuple[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    packed.seek(0)
    return packed


def test_the_members_of_several_zips(store: Store, settings: Settings, tmp_path: Path) -> None:
    catalog = Catalog(store, tmp_path)
    uploads = Uploads(catalog, settings)
    survey = catalog.create(NewSurvey("Packages", "product", True), OWNER).id

    def files() -> int:
        query = select(func.count(Upload.id)).where(Upload.kind != ARCHIVE)
        with store.session() as session:
            return session.scalar(query) or 0

    first = zipped(("a.jpg", picture("a")))
    assert uploads.receive(survey, "A", "1.zip", first).status == "unpacked"
    second = zipped(("b.txt", b"no picture"))
    assert uploads.receive(survey, "A", "2.zip", second).status == "unpacked"
    assert files() == 2, "the ZIPs themselves are no files of the survey"
    with pytest.raises(PayloadTooLarge, match="at most 2 files"):
        uploads.receive(survey, "A", "3.zip", zipped(("c.jpg", picture("c"))))
    another = catalog.create(NewSurvey("Packages", "product", True), OWNER).id
    for name, members in (("good", [("a.jpg", picture("a"))]), ("bad", [("d.txt", b"d")])):
        several = zipped(*members, ("e.jpg", picture(name)), ("f.txt", name.encode()))
        with suppress(PayloadTooLarge):
            uploads.receive(another, "A", f"{name}.zip", several)
    assert files() == 4


def test_the_groups_of_one_survey(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.survey.catalog.MAX_GROUPS", 1)
    catalog = Catalog(store, tmp_path)
    survey = catalog.create(NewSurvey("Packages", "product", True), OWNER).id
    made = both(store, "count(", *[partial(catalog.ensure_group, survey, one) for one in "ab"])
    assert 400 in made
    assert len(catalog.groups(survey)) == 1
    (only,) = catalog.groups(survey)
    assert catalog.ensure_group(survey, only.name) == only.id
    catalog.delete(survey)
    with pytest.raises(NotFound):
        catalog.ensure_group(survey, "c")


def test_the_tokens_of_one_account(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_OWN", 1)
    make = partial(tokens.create, store, OWNER, "script", ["surveys:read"], None)
    assert 409 in both(store, "count(", make, make)
    assert len(tokens.listing(store, OWNER)) == 1


def test_the_last_administrator_stays(store: Store) -> None:
    ids = []
    with store.session() as session:
        for name in ("one", "two"):
            session.add(Account(name=name, role=ADMIN, password_hash="x"))
        session.flush()
        ids = list(session.scalars(select(Account.id).where(Account.role == ADMIN)))
        session.execute(delete(Account).where(Account.id == OWNER))
    assert 409 in both(store, "count(", *[partial(accounts.remove, store, one) for one in ids])
    assert accounts.somebody_can_log_in(store)


def test_the_places_of_one_study(
    store: Store, settings: Settings, tmp_path: Path, small_looks: None
) -> None:
    catalog = studies.Catalog(store, tmp_path, LocalFiles())
    study = catalog.create(FIELDS | {"target": 1}, OWNER, 10)
    stimuli.Stimuli(catalog, settings).add(study.id, small_picture(), "red", 500)
    study = catalog.open(study.id)
    people = Participants(store, settings)
    begin = partial(people.begin, str(study.link), Begin(study.notice_version, True))
    assert 410 in both(store, "count(", begin, begin)
    assert catalog.progress([study.id])[study.id].started == 1
