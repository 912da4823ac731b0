from __future__ import annotations

import hashlib
import io
import threading
import warnings
import zipfile
from typing import Any

import pytest
from sqlalchemy import select

from tests.survey.doubles import picture
from webapp.database.store import Store
from webapp.database.survey_tables import Survey, Upload
from webapp.errors import Conflict, InvalidRequest, NotFound
from webapp.settings import Settings
from webapp.survey.intake.receipts import clean_path
from webapp.survey.intake.uploads import Uploads
from webapp.survey.ledger import ledger_of


def rows(store):
    with store.session() as session:
        return session.query(Upload).order_by(Upload.id).all()


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def test_the_same_file_sent_again_is_known_and_stored_once(store, send):
    assert send("a.jpg", picture("happy")).status == "stored"
    assert send("a.jpg", picture("happy")).status == "known"
    assert len(rows(store)) == 1


def test_the_same_content_under_another_name_is_a_duplicate(store, send, survey):
    send("a.jpg", picture("happy"))
    assert send("b.jpg", picture("happy"), "B").status == "duplicate"
    with store.session() as session:
        ledger = ledger_of(session, survey.id, None)
    assert ledger.adds_up
    assert ledger.counts["duplicate"] == 1
    assert ledger.counts["pending"] == 1


def test_parallel_sends_of_one_content_leave_one_original(store, uploads, survey):
    start = threading.Barrier(8)

    def one(number: int) -> None:
        start.wait()
        uploads.receive(survey.id, "A", f"{number}.jpg", io.BytesIO(picture("sad")))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(store)
    assert len(found) == 8
    assert sum(row.content_key is not None for row in found) == 1


def test_known_tells_what_need_not_be_sent(uploads, send, survey):
    data = picture("happy")
    send("f/a.jpg", data)
    sha = hashlib.sha256(data).hexdigest()
    asked = [
        {"path": "f/a.jpg", "group": "A", "size": len(data), "sha256": sha},
        {"path": "f/a.jpg", "group": "A", "size": len(data), "sha256": "0" * 64},
        {"path": "f/a.jpg", "group": "B", "size": len(data), "sha256": sha},
        {"path": "f/a.jpg", "group": "A", "size": len(data)},
        {"path": "f/a.jpg", "group": "A", "size": len(data) + 1},
    ]
    assert uploads.known(survey.id, asked) == [True, False, False, True, False]


def test_files_that_are_no_pictures_are_refused_rows(store, send, catalog, survey):
    assert send("notes.txt", b"hello").status == "refused"
    assert send("empty.jpg", b"").reason == "the file is empty"
    assert not list(catalog.folders.survey(survey.id).rglob("files/*/*"))
    with store.session() as session:
        assert ledger_of(session, survey.id, None).counts["unreadable"] == 2


def test_a_picture_beyond_the_limit_is_in_the_ledger(catalog, survey, store, tmp_path):
    small = Uploads(catalog, Settings(instance_dir=str(tmp_path), max_image_bytes=100))
    receipt = small.receive(survey.id, "A", "big.jpg", io.BytesIO(picture("happy" * 100)))
    assert receipt.status == "refused"
    assert "100 bytes" in (receipt.reason or "")
    assert not list(catalog.folders.incoming(survey.id).iterdir())


def test_a_zip_is_unpacked_safely(store, send, survey, catalog):
    data = zip_of(
        {
            "A/one.jpg": picture("happy"),
            "A/two.jpg": picture("sad"),
            "__MACOSX/._one.jpg": b"resource fork",
            "../../escape.jpg": picture("fear"),
            "inner.zip": zip_of({"x.jpg": picture("angry")}),
            "hidden.jpg": zip_of({"y.jpg": picture("angry")}),
            "bomb.jpg": b"\xff\xd8\xff" + b"\0" * 5_000_000,
        }
    )
    receipt = send("set.zip", data)
    assert (receipt.status, receipt.files) == ("unpacked", 6)
    found = {row.path: row.refused for row in rows(store) if row.kind != "archive"}
    assert found["set.zip/A/one.jpg"] is None
    assert "outside" in found["set.zip/escape.jpg"]
    assert "ZIP" in found["set.zip/inner.zip"]
    assert "ZIP" in found["set.zip/hidden.jpg"]
    assert "bomb" in found["set.zip/bomb.jpg"]
    root = catalog.folders.root
    assert not [path for path in root.rglob("*escape*")]
    assert send("set.zip", data).status == "unpacked"
    assert len(rows(store)) == 7  # six members and the ZIP itself, as before


def test_refused_members_of_a_zip_make_no_groups(uploads, catalog, survey, store):
    data = zip_of(
        {
            "/etc/hosts": b"x",
            "C:\\pictures\\three.jpg": picture("fear"),
            "study/C/one.jpg": picture("happy"),
            "study/D/two.jpg": picture("sad"),
        }
    )
    before = {group.name for group in catalog.groups(survey.id)}
    receipt = uploads.receive(survey.id, "", "set.zip", io.BytesIO(data))
    assert (receipt.status, receipt.files) == ("unpacked", 4)
    assert {group.name for group in catalog.groups(survey.id)} - before == {"C", "D"}
    assert sum(row.refused is not None for row in rows(store)) == 2


def test_an_encrypted_member_is_refused(store, send):
    data = bytearray(zip_of({"a.jpg": picture("happy")}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    send("locked.zip", bytes(data))
    assert "encrypted" in rows(store)[0].refused


def test_a_member_whose_header_lies_is_refused(store, send):
    data = bytearray(zip_of({"a.jpg": picture("happy") * 50}))
    position = data.index(b"PK\x01\x02") + 16  # the CRC of the central directory
    data[position] ^= 0xFF
    send("torn.zip", bytes(data))
    assert "damaged" in rows(store)[0].refused


def test_a_broken_zip_is_one_unreadable_file(store, send):
    assert send("x.zip", b"PK\x03\x04 and then nothing").status == "refused"
    assert len(rows(store)) == 1


def test_the_limit_of_unpacked_bytes_holds(catalog, survey, tmp_path):
    tight = Uploads(catalog, Settings(instance_dir=str(tmp_path), survey_max_unpacked_bytes=300))
    data = zip_of({f"{n}.jpg": picture(f"happy:{n}") * 3 for n in range(5)}, zipfile.ZIP_STORED)
    receipt = tight.receive(survey.id, "A", "s.zip", io.BytesIO(data))
    assert receipt.status == "refused"
    assert "300 bytes" in (receipt.reason or "")


def test_uploads_are_refused_after_the_pictures_went(catalog, survey, send):
    catalog.delete_pictures(survey.id)
    with pytest.raises(Conflict):
        send("a.jpg", picture("happy"))


def test_uploads_to_no_survey(uploads):
    with pytest.raises(NotFound):
        uploads.receive("nothing", "A", "a.jpg", io.BytesIO(b"x"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a\\b.jpg", "a/b.jpg"), ("/etc/../x.jpg", "etc/x.jpg"), ("./a//b", "a/b")],
)
def test_paths_are_cleaned(given, expected):
    assert clean_path(given) == expected


def test_an_empty_path_is_refused():
    with pytest.raises(InvalidRequest):
        clean_path("../..")


def test_thousands_of_refused_members_take_few_transactions(
    store: Store, survey: Survey, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(1000):
            archive.writestr(f"{number}.txt", b"text")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name that is there twice
            archive.writestr("0.txt", b"text")
        archive.writestr("smile.jpg", picture("happy:1"))
    transactions = 0
    plain = Store.session

    def counted(self: Store) -> Any:
        nonlocal transactions
        transactions += 1
        return plain(self)

    monkeypatch.setattr(Store, "session", counted)
    packed.seek(0)
    receipt = uploads.receive(survey.id, "A", "all.zip", packed)
    assert (receipt.status, receipt.files) == ("unpacked", 1002)
    assert transactions < 200  # a slow machine asks for the sums again every ten seconds
    with store.session() as session:
        refused = session.scalars(select(Upload.path).where(Upload.refused.is_not(None))).all()
    assert len(set(refused)) == len(refused) == 1000
    packed.seek(0)
    assert uploads.receive(survey.id, "A", "all.zip", packed).status in ("known", "unpacked")
