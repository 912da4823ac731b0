"""Each acknowledged batch is written exactly once; also over PostgreSQL (tests/cluster)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.studies.people import FIELDS, sample
from webapp.database.store import Store
from webapp.database.study_tables import Study, StudyBatch, StudyParticipant, StudyStimulus
from webapp.errors import Conflict, InvalidRequest, MienError, NotFound, Unauthorized
from webapp.files.storage import LocalFiles
from webapp.settings import Settings
from webapp.studies.catalog import Catalog
from webapp.studies.ingest import Ingest
from webapp.studies.participants import Begin, Begun, Participants
from webapp.studies.report.exports import people_csv, scores_csv
from webapp.studies.report.records import read_records


@pytest.fixture
def participants(store: Store, settings: Settings) -> Participants:
    return Participants(store, settings)


@pytest.fixture
def ingest(store: Store, participants: Participants, settings: Settings) -> Ingest:
    return Ingest(store, participants, settings)


@pytest.fixture
def make_study(store: Store, settings: Settings) -> Callable[..., Study]:
    """Makes open studies without files: nothing here reads them."""
    catalog = Catalog(store, settings.instance_path, LocalFiles())

    def make(**fields: Any) -> Study:
        study = catalog.create(FIELDS | fields, None, 100)
        with store.session() as session:
            for place in range(2):
                session.add(
                    StudyStimulus(
                        id=secrets.token_hex(16), study_id=study.id, position=place, name="x",
                        kind="picture", media_type="image/png", sha256="0" * 64, bytes=1, width=1,
                        height=1, show_ms=5000,
                    )
                )  # fmt: skip
        return catalog.open(study.id)

    return make


@pytest.fixture
def begin(make_study: Callable[..., Study], participants: Participants) -> Callable[..., Begun]:
    study = make_study()

    def one(**more: Any) -> Begun:
        return participants.begin(str(study.link), Begin(study.notice_version, True, **more))

    return one


def body(begun: Begun, seq: Any, *times: int) -> dict[str, Any]:
    samples = [sample(t) for t in times or (0, 300)]
    return {"seq": seq, "stimulus": begun.participant.order[0], "samples": samples}


def written(store: Store, begun: Begun) -> list[tuple[int, int]]:
    """``(number, samples)`` of every batch of a person."""
    with store.session() as session:
        query = select(StudyBatch).where(StudyBatch.participant_id == begun.participant.id)
        return [(one.seq, len(one.samples)) for one in session.scalars(query.order_by("seq"))]


def test_batches_are_written_in_turn_and_once(
    store: Store, ingest: Ingest, begin: Callable[..., Begun]
) -> None:
    begun = begin()
    assert ingest.write(begun.code, body(begun, 1)) == 1
    assert ingest.write(begun.code, body(begun, 1, 1, 2, 3)) == 1  # its answer was lost
    with pytest.raises(Conflict) as caught:
        ingest.write(begun.code, body(begun, 3))
    assert caught.value.detail == {"expected": 2}
    assert ingest.write(begun.code, body(begun, 2, 5)) == 2
    assert written(store, begun) == [(1, 2), (2, 1)]
    with store.session() as session:
        row = session.get_one(StudyParticipant, begun.participant.id)
        assert (row.last_seq, row.samples) == (2, 3)


def test_the_same_batch_from_many_requests_at_once_is_written_once(
    store: Store, ingest: Ingest, begin: Callable[..., Begun]
) -> None:
    people = [begin() for _ in range(3)]
    said: list[Any] = []
    ready = threading.Barrier(9)

    def send(begun: Begun) -> None:
        ready.wait()
        try:
            said.append(ingest.write(begun.code, body(begun, 1)))
        except MienError as error:
            said.append(error)

    threads = [threading.Thread(target=send, args=(one,)) for one in people * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [1] * 9
    assert [written(store, one) for one in people] == [[(1, 2)]] * 3


def test_batches_that_are_refused_leave_nothing(
    store: Store, ingest: Ingest, begin: Callable[..., Begun], make_study: Callable[..., Study],
    participants: Participants,
) -> None:  # fmt: skip
    begun = begin()
    other = make_study()
    stranger = participants.begin(str(other.link), Begin(other.notice_version, True))
    for wrong, error in (
        ({"seq": 0}, InvalidRequest),
        ({"seq": "1"}, InvalidRequest),
        ({"seq": True}, InvalidRequest),
        ({"samples": []}, InvalidRequest),
        ({"stimulus": None}, InvalidRequest),
        ({"stimulus": stranger.participant.order[0]}, NotFound),
        ({"model": 5}, InvalidRequest),
    ):
        with pytest.raises(error):
            ingest.write(begun.code, body(begun, 1) | wrong)
    with pytest.raises(Unauthorized):
        ingest.write(begun.withdrawal_code, body(begun, 1))
    assert written(store, begun) == []
    assert ingest.write(begun.code, body(begun, 1)) == 1


def test_places_are_counted_under_one_lock(
    store: Store, make_study: Callable[..., Study], participants: Participants
) -> None:
    study = make_study(target=3, presentation="latin")
    ready, said = threading.Barrier(8), []

    def start() -> None:
        ready.wait()
        try:
            begun = participants.begin(str(study.link), Begin(study.notice_version, True))
            said.append(begun.participant.number)
        except MienError as error:
            said.append(error.code)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said, key=str) == [1, 2, 3, *["gone"] * 5]


def test_a_report_reads_back_what_was_written(
    store: Store, ingest: Ingest, begin: Callable[..., Begun]
) -> None:
    people = [begin(columns={"market": "DE"}) for _ in range(2)]
    for one in people:
        ingest.write(one.code, body(one, 1, 900, 300))
        ingest.write(one.code, body(one, 2, 600))
    with store.session() as session:
        records = read_records(session, people[0].study.id)
    assert [one.number for one in records.people] == [1, 2]
    assert records.people[0].columns == {"market": "DE", "device": "desktop"}
    trace = records.people[1].traces[people[1].participant.order[0]]
    assert trace.t_ms.tolist() == [300, 600, 900]
    assert trace.good.all()
    assert trace.scores.sum(axis=1) == pytest.approx([1, 1, 1])
    lines = "".join(scores_csv(store, people[0].study.id)).splitlines()
    assert len(lines) == 1 + 6
    assert "market" in "".join(people_csv(store, people[0].study.id))


def test_a_withdrawal_and_a_deletion_take_everything_along(
    store: Store, ingest: Ingest, begin: Callable[..., Begun], participants: Participants,
    settings: Settings,
) -> None:  # fmt: skip
    first, second = begin(), begin()
    for one in (first, second):
        ingest.write(one.code, body(one, 1))
    participants.withdraw(first.withdrawal_code)
    assert (written(store, first), written(store, second)) == ([], [(1, 2)])
    Catalog(store, settings.instance_path, LocalFiles()).delete(first.study.id)
    with store.session() as session:
        for table in (StudyBatch, StudyParticipant, StudyStimulus, Study):
            assert session.scalar(select(func.count()).select_from(table)) == 0
