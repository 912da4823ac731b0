from __future__ import annotations

import io
import zipfile

import pytest
from sqlalchemy import select

from webapp.database.survey_tables import Group, Upload
from webapp.survey.intake.placing import placed


@pytest.mark.parametrize(
    ("paths", "groups", "expected"),
    [
        (["A/1.jpg", "B/2.jpg"], [], ["A", "B"]),
        (["study/A/1.jpg", "study/B/2.jpg"], [], ["A", "B"]),
        (["anna/1.jpg", "anna/2.jpg"], [], ["anna", "anna"]),
        (["x/A/1.jpg", "x/2.jpg", "3.jpg"], ["A"], ["A", "x", "All pictures"]),
        (["1.jpg"], ["A", "B"], ["All pictures"]),
        (["study/A/1.jpg", "study/notes.TXT", "study/B/2.jpg"], [], ["A", "A", "B"]),
        (["order.xlsx", "study/A/1.jpg", "study/B/2.jpg"], [], ["A", "A", "B"]),
        (["A/1.jpg", "B/2.jpg", "B/list.csv", "papers/x.pdf"], [], ["A", "B", "B", "A"]),
        (["notes.txt", "x/more.txt"], [], ["All pictures", "x"]),
        ([], [], []),
    ],
)
def test_folders_are_groups(paths: list[str], groups: list[str], expected: list[str]) -> None:
    assert placed(paths, groups) == expected


JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


def packed(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, JPEG + bytes([number]))
    return target.getvalue()


def groups_of(store, survey) -> dict[str, str]:
    with store.session() as session:
        rows = session.execute(
            select(Upload.path, Group.name)
            .join(Group, Group.id == Upload.group_id)
            .where(Upload.survey_id == survey.id, Upload.kind == "image")
        )
        return {path: name for path, name in rows}


@pytest.mark.parametrize("top", ["", "study/"])
def test_a_zip_without_a_group_brings_its_groups(send, store, survey, uploads, top: str) -> None:
    data = packed(f"{top}A/1.jpg", f"{top}A/2.jpg", f"{top}B/3.jpg", f"{top}B/4.jpg", "Thumbs.db")
    receipt = send("all.zip", data, "")
    assert (receipt.status, receipt.files, receipt.skipped) == ("unpacked", 4, 1)
    assert sorted(groups_of(store, survey).values()) == ["A", "A", "B", "B"]
    file = {"path": "all.zip", "group": "", "size": len(data), "sha256": receipt.sha256}
    assert uploads.known(survey.id, [file]) == [True]
    assert send("all.zip", data, "").status == "unpacked"
    assert len(groups_of(store, survey)) == 4


def test_a_chosen_group_takes_all_of_a_zip(send, store, survey) -> None:
    send("all.zip", packed("A/1.jpg", "B/2.jpg"), "B")
    assert set(groups_of(store, survey).values()) == {"B"}


def test_a_zip_with_more_folders_than_groups_is_one_group(send, store, survey) -> None:
    send("all.zip", packed(*(f"{number}/x.jpg" for number in range(60))), "")
    assert set(groups_of(store, survey).values()) == {"All pictures"}
