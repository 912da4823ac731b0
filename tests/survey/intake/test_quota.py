"""What one owner's surveys may keep together, and one survey that nobody owns."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.survey.doubles import picture
from webapp.database.access_tables import Account
from webapp.database.survey_tables import Survey
from webapp.errors import StorageFull
from webapp.settings import Settings
from webapp.survey.catalog import Catalog, NewSurvey
from webapp.survey.intake.receipts import Receipt
from webapp.survey.intake.uploads import Uploads


@pytest.fixture
def small(catalog: Catalog, settings: Settings) -> Uploads:
    """Uploads that keep 1 MB for each owner, on a disk with room."""
    return Uploads(catalog, Settings(instance_dir=settings.instance_dir, survey_quota_mb=1))


def survey_of(catalog: Catalog, name: str, owner: int | None) -> Survey:
    survey = catalog.create(NewSurvey(name, "product", True, ("A",)))
    with catalog.store.session() as session:
        if owner is not None and session.get(Account, owner) is None:
            session.add(Account(id=owner, name=f"member {owner}"))
            session.flush()
        session.get_one(Survey, survey.id).owner_id = owner
    return survey


def send(uploads: Uploads, survey: Survey, name: str, kilobytes: int) -> Receipt:
    data = picture(name) + bytes(kilobytes * 1000)
    return uploads.receive(survey.id, "A", f"{name}.jpg", io.BytesIO(data))


def test_one_owners_surveys_share_a_quota(catalog: Catalog, small: Uploads) -> None:
    first, second = survey_of(catalog, "first", 1), survey_of(catalog, "second", 1)
    other = survey_of(catalog, "other", 2)
    assert send(small, first, "a", 600).status == "stored"
    with pytest.raises(StorageFull, match="Your surveys may keep 1 MB") as full:
        send(small, second, "b", 600)
    assert full.value.status == 507
    assert not list(catalog.folders.incoming(second.id).iterdir())
    assert send(small, other, "c", 600).status == "stored"
    assert send(small, second, "d", 300).status == "stored"


def test_deleting_makes_room(
    catalog: Catalog, small: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = survey_of(catalog, "first", 1), survey_of(catalog, "second", 1)
    send(small, first, "a", 900)
    catalog.delete_pictures(first.id)
    monkeypatch.setattr("webapp.survey.intake.quota.FRESH_S", 0.0)
    assert send(small, second, "b", 900).status == "stored"


def test_without_owners_each_survey_has_its_own(catalog: Catalog, small: Uploads) -> None:
    first, second = survey_of(catalog, "first", None), survey_of(catalog, "second", None)
    send(small, first, "a", 900)
    assert send(small, second, "b", 900).status == "stored"
    with pytest.raises(StorageFull, match="This survey"):
        send(small, first, "c", 900)


def test_the_members_of_a_zip_count(catalog: Catalog, small: Uploads) -> None:
    survey, packed = survey_of(catalog, "zipped", 1), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.jpg", picture(str(number)) + bytes(400_000))
    packed.seek(0)
    with pytest.raises(StorageFull):
        small.receive(survey.id, "A", "faces.zip", packed)
    assert len(list(catalog.folders.pictures(survey.id).rglob("*"))) >= 2
