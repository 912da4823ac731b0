"""A survey, or its pictures, that are deleted while a file arrives: whoever sends it is told so."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from tests.survey.doubles import picture
from webapp.database.survey_tables import Survey, Upload
from webapp.errors import Conflict, MienError, NotFound
from webapp.settings import Settings
from webapp.survey.catalog import Catalog
from webapp.survey.intake.resumable import Parts, read_announcement
from webapp.survey.intake.uploads import Uploads

DATA = picture("a") + bytes(1000)
GONE: dict[str, type[MienError]] = {"delete": NotFound, "delete_pictures": Conflict}


class Until(io.BytesIO):
    """A body at whose end something happens."""

    def __init__(self, data: bytes, happens: Callable[[], None]) -> None:
        super().__init__(data)
        self._happens = happens

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        if not block:
            self._happens()
        return block


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jpg", DATA)
    return packed.getvalue()


def nothing_is_left(catalog: Catalog) -> bool:
    with catalog.store.session() as session:
        rows = session.scalar(select(func.count(Upload.id)))
    return not rows and not [one for one in (catalog.folders.root / "surveys").rglob("*.*")]


@pytest.mark.parametrize("how", sorted(GONE))
@pytest.mark.parametrize("name", ["a.jpg", "a.zip"])
def test_while_a_file_arrives(
    catalog: Catalog, uploads: Uploads, survey: Survey, name: str, how: str
) -> None:
    data = DATA if name == "a.jpg" else zipped()
    body = Until(data, lambda: getattr(catalog, how)(survey.id))
    with pytest.raises(GONE[how]):
        uploads.receive(survey.id, "A", name, body)
    assert nothing_is_left(catalog)


@pytest.mark.parametrize("how", sorted(GONE))
@pytest.mark.parametrize("when", ["a part", "the end"])
def test_while_a_large_file_arrives(
    catalog: Catalog,
    uploads: Uploads,
    settings: Settings,
    survey: Survey,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    how: str,
) -> None:
    def delete(*_: object) -> None:
        getattr(catalog, how)(survey.id)

    parts = Parts(catalog, uploads, settings)
    announced, head = read_announcement(
        {
            "path": "a.jpg",
            "group": "A",
            "size": len(DATA),
            "part_bytes": settings.survey_part_bytes,
            "hashes": [hashlib.sha256(DATA).hexdigest()],
            "head": DATA[:64].hex(),
        },
        settings,
    )
    key = parts.announce(survey.id, announced, head).key
    if when == "the end":
        parts.put(survey.id, key, 0, io.BytesIO(DATA))
        monkeypatch.setattr(uploads, "check_room", delete)
    with pytest.raises(GONE[how]):
        if when == "the end":
            parts.finish(survey.id, key)
        else:
            parts.put(survey.id, key, 0, Until(DATA, delete))
    assert nothing_is_left(catalog)


def test_the_end_of_an_upload_that_was_never_announced(
    catalog: Catalog, uploads: Uploads, settings: Settings, survey: Survey
) -> None:
    parts = Parts(catalog, uploads, settings)
    for key in ("0" * 40, "..", "\x00"):
        with pytest.raises(NotFound):
            parts.finish(survey.id, key)
    assert not parts._finishing, "nothing is kept for each key that somebody makes up"
