"""Large files in parts: resumed, checked, cleaned up, and accounted for once."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.survey.doubles import picture
from webapp.database.base import utcnow
from webapp.settings import Settings
from webapp.survey.intake import resumable as parts_module
from webapp.survey.service import surveys_of

API = "/api/v1/surveys"
PART = 65_536


def archive(members: int = 3) -> bytes:
    """A ZIP of some 200 kB, so of four parts, with ``members`` pictures."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:
        for number in range(members):
            made.writestr(f"{number}.jpg", picture("0" * 70_000 + f"|happy:{number}"))
    return target.getvalue()


def announcement(data: bytes, **change: Any) -> dict[str, Any]:
    pieces = [data[at : at + PART] for at in range(0, len(data), PART)]
    return {
        "path": "set.zip",
        "group": "A",
        "size": len(data),
        "part_bytes": PART,
        "head": data[:32].hex(),
        "hashes": [hashlib.sha256(piece).hexdigest() for piece in pieces],
    } | change


def part(data: bytes, number: int) -> bytes:
    return data[number * PART : (number + 1) * PART]


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    return replace(app_settings, survey_part_bytes=PART)


@pytest.fixture
def survey(client) -> str:
    made = client.post(API, json={"name": "Large", "purpose": "product", "consent": True})
    return str(made.json["id"])


@pytest.fixture
def large(survey) -> str:
    return f"{API}/{survey}/large"


def files(client, survey) -> int:
    return int(client.get(f"{API}/{survey}").json["files"])


def test_an_upload_goes_on_after_an_interruption(client, survey, large):
    data = archive()
    opened = client.post(large, json=announcement(data)).json
    assert opened["have"] == []
    url = f"{large}/{opened['upload']}"
    for number in (0, 2):
        assert client.put(f"{url}/{number}", data=part(data, number)).status_code == 200
    assert client.post(f"{url}/finish").status_code == 409
    assert client.post(f"{url}/finish").json["error"]["detail"]["have"] == [0, 2]
    # the page was loaded again: the same file finds its upload
    again = client.post(large, json=announcement(data)).json
    assert (again["upload"], again["have"]) == (opened["upload"], [0, 2])
    for number in (1, 3):
        client.put(f"{url}/{number}", data=part(data, number))
    receipt = client.post(f"{url}/finish").json
    assert (receipt["status"], receipt["files"]) == ("unpacked", 3)
    assert receipt["sha256"] == hashlib.sha256(data).hexdigest()
    assert files(client, survey) == 3
    # asked again, also from a new page, nothing is sent and nothing is counted twice
    assert client.post(f"{url}/finish").json == receipt
    assert client.post(large, json=announcement(data)).json["receipt"] == receipt
    assert files(client, survey) == 3


def test_the_parts_are_gone_when_the_file_is_there(app, client, survey, large):
    data = archive()
    key = client.post(large, json=announcement(data)).json["upload"]
    for number in range(4):
        client.put(f"{large}/{key}/{number}", data=part(data, number))
    client.post(f"{large}/{key}/finish")
    incoming = surveys_of(app).open().catalog.folders.incoming(survey)
    left = [path.name for path in incoming.rglob("*") if path.is_file()]
    assert sorted(left) == ["meta.json", "receipt.json"]


@pytest.mark.parametrize("sent", [b"", b"x" * PART, archive()[: PART - 1]])
def test_a_part_that_is_not_what_was_announced_is_not_kept(client, large, sent):
    data = archive()
    key = client.post(large, json=announcement(data)).json["upload"]
    answer = client.put(f"{large}/{key}/0", data=sent)
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "part_damaged")
    assert client.post(large, json=announcement(data)).json["have"] == []


def test_without_hashes_lengths_are_checked_and_the_time_names_the_file(client, large):
    data = archive()
    said = announcement(data, hashes=None, modified="1700000000000")
    key = client.post(large, json=said).json["upload"]
    assert client.put(f"{large}/{key}/0", data=b"short").status_code == 422
    assert client.put(f"{large}/{key}/0", data=part(data, 0)).status_code == 200
    assert client.post(large, json=said).json["have"] == [0]
    other = client.post(large, json=said | {"modified": "1700000000001"}).json
    assert other["have"] == []


def test_another_content_is_another_upload(client, large):
    data = archive()
    first = client.post(large, json=announcement(data)).json["upload"]
    changed = data[:-1] + b"!"
    assert client.post(large, json=announcement(changed)).json["upload"] != first


def test_what_can_never_be_used_is_refused_before_it_is_sent(client, survey, large):
    unknown = client.post(large, json=announcement(b"%PDF-1.7 " + b"x" * 200_000)).json
    assert unknown["receipt"]["status"] == "refused"
    huge = client.post(
        large,
        json=announcement(picture("happy"), size=30_000_000, hashes=None, path="huge.jpg"),
    ).json
    assert "larger than 20000000 bytes" in huge["receipt"]["reason"]
    ledger = client.get(f"{API}/{survey}").json["ledger"]
    assert (ledger["uploaded"], ledger["counts"]["unreadable"]) == (2, 2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"part_bytes": 5}, "part_bytes"),
        ({"size": 0}, "size"),
        ({"size": True}, "size"),
        ({"size": "9"}, "size"),
        ({"hashes": ["0" * 64]}, "hashes"),
        ({"hashes": "abc"}, "hashes"),
        ({"hashes": ["z" * 64] * 4}, "hashes"),
        ({"head": "no"}, "head"),
        ({"path": ".."}, "path"),
    ],
)
def test_a_wrong_announcement_names_the_field(client, large, change, field):
    answer = client.post(large, json=announcement(archive(), **change))
    assert answer.status_code == 400
    assert answer.json["error"]["detail"]["field"] == field


def test_parts_of_nothing(client, large):
    data = archive()
    key = client.post(large, json=announcement(data)).json["upload"]
    assert client.put(f"{large}/{key}/4", data=b"x").status_code == 400
    assert client.put(f"{large}/{'0' * 40}/0", data=b"x").status_code == 404
    assert client.put(f"{large}/..%2f..%2fetc/0", data=b"x").status_code == 404
    assert client.put(f"{large}/{key}/0", data=b"x" * (PART + 1)).status_code == 413
    assert client.delete(f"{large}/{key}").status_code == 204
    assert client.delete(f"{large}/{key}").status_code == 404
    elsewhere = client.post(f"{API}/{'0' * 32}/large", json=announcement(data))
    assert elsewhere.status_code == 404


def test_room_is_made_sure_of_before_anything_is_sent(client, large, monkeypatch):
    data = archive()
    monkeypatch.setattr(parts_module, "MAX_OPEN", 1)
    assert client.post(large, json=announcement(data)).status_code == 200
    assert client.post(large, json=announcement(data, path="b.zip")).status_code == 409
    monkeypatch.setattr(parts_module, "MAX_OPEN", 9)
    monkeypatch.setattr("webapp.files.reserve.DiskReserve._disk", lambda self: (1, 1 << 40))
    full = client.post(large, json=announcement(data, path="c.zip"))
    assert (full.status_code, full.json["error"]["code"]) == (507, "storage_full")
    assert "no room" in full.json["error"]["message"]


def test_abandoned_parts_are_cleaned_up_and_receipts_stay(app, client, survey, large):
    data = archive()
    key = client.post(large, json=announcement(data)).json["upload"]
    client.put(f"{large}/{key}/0", data=part(data, 0))
    done = announcement(data, path="done.zip")
    finished = client.post(large, json=done).json["upload"]
    for number in range(4):
        client.put(f"{large}/{finished}/{number}", data=part(data, number))
    client.post(f"{large}/{finished}/finish")
    catalog = surveys_of(app).open().catalog
    torn = catalog.folders.incoming(survey) / "0123456789abcdef"
    torn.write_bytes(b"half a picture")
    half_report = catalog.folders.survey(survey) / "jobs" / "1.abcd"
    half_report.mkdir(parents=True)
    catalog.sweep(utcnow() + timedelta(hours=47), 7, 48)
    assert client.post(large, json=announcement(data)).json["have"] == [0]
    catalog.sweep(utcnow() + timedelta(hours=49), 7, 48)
    assert not torn.exists()
    assert not half_report.exists()
    assert client.post(large, json=announcement(data)).json["have"] == []
    assert client.post(large, json=done).json["receipt"]["status"] == "unpacked"


def test_a_killed_server_leaves_only_whole_parts(app, client, survey, large):
    """What a crash leaves under a part's temporary name is never taken for the part."""
    data = archive()
    key = client.post(large, json=announcement(data)).json["upload"]
    folder = surveys_of(app).open().catalog.folders.incoming(survey) / "parts" / key
    (folder / "00001.1234abcd").write_bytes(part(data, 1)[:100])
    os.utime(folder / "00001.1234abcd")
    assert client.post(large, json=announcement(data)).json["have"] == []


def test_deleting_the_pictures_deletes_the_parts(app, client, survey, large):
    data = archive()
    client.post(large, json=announcement(data))
    catalog = surveys_of(app).open().catalog
    catalog.delete_pictures(survey)
    assert not catalog.folders.incoming(survey).exists()
    assert client.post(large, json=announcement(data)).status_code == 409
