"""Each acknowledged batch is written exactly once; also over PostgreSQL (tests/cluster)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.studies.people import FIELDS, sample
from webapp.database.base import utcnow
from webapp.database.store import Store
from webapp.database.study_tables import Study, StudyBatch, StudyParticipant, StudyStimulus
from webapp.errors import Conflict, Gone, InvalidRequest, MienError, NotFound, Unauthorized
from webapp.files.storage import LocalFiles
from webapp.settings import Settings
from webapp.studies.catalog import Catalog
from webapp.studies.group_commit import GroupCommit
from webapp.studies.ingest import Batch, Ingest, checked
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


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the calls gave, or the error that each raised, all begun at one moment."""
    ready = threading.Barrier(len(calls))

    def call(one: Callable[[], Any]) -> Any:
        ready.wait()
        try:
            return one()
        except MienError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(call, one) for one in calls]]


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
    calls = [partial(ingest.write, one.code, body(one, 1)) for one in people * 3]
    assert at_once(calls) == [1] * 9
    assert [written(store, one) for one in people] == [[(1, 2)]] * 3


def batch(store: Store, ingest: Ingest, begun: Begun, seq: int, *times: int) -> Batch:
    """A batch of somebody as their connection checks it."""
    with store.session() as session:
        programme = ingest.programme(session, begun.participant)
    return checked(programme, body(begun, seq, *times))


def together(commit: GroupCommit, batches: list[Batch]) -> list[Any]:
    """What each sender of one batch is told when all send at once."""
    said: list[Any] = [None] * len(batches)
    ready = threading.Barrier(len(batches))

    def send(place: int) -> None:
        ready.wait()
        try:
            said[place] = commit.write(batches[place])
        except (MienError, OSError) as error:
            said[place] = error

    threads = [threading.Thread(target=send, args=(place,)) for place in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def test_batches_of_many_people_share_a_transaction_and_each_has_its_own_answer(
    store: Store, ingest: Ingest, begin: Callable[..., Begun], participants: Participants
) -> None:
    new, again, early, left, gone = (begin() for _ in range(5))
    ingest.write(again.code, body(again, 1))
    participants.leave(left.code)
    sizes: list[int] = []

    def write_all(batches: Any) -> list[int | MienError]:
        sizes.append(len(batches))
        return ingest.write_all(batches)

    batches = [
        batch(store, ingest, one, seq)
        for one, seq in ((new, 1), (again, 1), (early, 2), (left, 1), (gone, 1))
    ]
    participants.withdraw(gone.withdrawal_code)
    said = together(GroupCommit(write_all, gather_s=0.5), batches)
    assert said[:2] == [1, 1]
    assert [type(one) for one in said[2:]] == [Conflict, Conflict, Unauthorized]
    assert said[2].detail == {"expected": 1}
    assert said[3].detail == {"state": "left"}
    assert sum(sizes) == len(batches) > len(sizes)
    assert [written(store, one) for one in (new, again, early, left, gone)] == [
        [(1, 2)], [(1, 2)], [], [], []
    ]  # fmt: skip


def test_a_transaction_that_fails_is_told_to_everybody_in_it_and_the_next_one_goes_on(
    store: Store, ingest: Ingest, begin: Callable[..., Begun]
) -> None:
    people = [begin() for _ in range(3)]
    batches = [batch(store, ingest, one, 1) for one in people]
    away = [True]

    def write_all(some: Any) -> list[int | MienError]:
        if away:
            raise OSError("The disk is away.")
        return ingest.write_all(some)

    commit = GroupCommit(write_all, gather_s=0.2)
    assert [type(one) for one in together(commit, batches)] == [OSError] * 3
    away.clear()
    assert together(commit, batches) == [1, 1, 1]
    assert [written(store, one) for one in people] == [[(1, 2)]] * 3


def test_nobody_stores_more_than_watching_everything_gives(
    store: Store, ingest: Ingest, begin: Callable[..., Begun], settings: Settings
) -> None:
    begun = begin()
    most = 1000 + 2 * (5 + 10) * settings.study_max_fps
    with store.session() as session:
        session.get_one(StudyParticipant, begun.participant.id).samples = most - 2
    assert ingest.write(begun.code, body(begun, 1)) == 1
    with pytest.raises(Conflict) as caught:
        ingest.write(begun.code, body(begun, 2))
    assert caught.value.detail == {"limit": most}


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
    given = Begin(study.notice_version, True)
    said = at_once([partial(participants.begin, str(study.link), given)] * 8)
    begun = [one for one in said if isinstance(one, Begun)]
    assert sorted(one.participant.number for one in begun) == [1, 2, 3]
    assert sum(isinstance(one, Gone) for one in said) == 5


def test_what_two_windows_say_at_once_is_all_kept(
    store: Store, begin: Callable[..., Begun], participants: Participants
) -> None:
    begun = begin()
    answers = {"age": "old", "liking": 3, "why": "so"}
    said = at_once(
        [partial(participants.answer, begun.code, {name: value}) for name, value in answers.items()]
        + [partial(participants.shown, begun.code, one, "ended") for one in begun.participant.order]
        + [partial(participants.check, begun.code, {"light": "ok"})]
    )
    assert said == [None] * 6
    with store.session() as session:
        row = session.get_one(StudyParticipant, begun.participant.id)
        assert row.answers == answers
        assert row.shown == dict.fromkeys(begun.participant.order, "ended")
    ends = at_once([partial(participants.finish, begun.code)] * 4)
    assert ends == [ends[0]] * 4
    assert isinstance(ends[0], tuple)


@pytest.mark.parametrize("how", ["withdrawn", "swept", "deleted"])
def test_who_is_deleted_while_everything_arrives_is_nowhere(
    store: Store, ingest: Ingest, begin: Callable[..., Begun], participants: Participants,
    settings: Settings, how: str,
) -> None:  # fmt: skip
    people, stays = [begin() for _ in range(4)], begin()
    study = people[0].study.id
    catalog = Catalog(store, settings.instance_path, LocalFiles())
    with store.session() as session:
        for one in people:
            row = session.get_one(StudyParticipant, one.participant.id)
            row.created_at = utcnow() - timedelta(days=400)
    ends: dict[str, list[Callable[[], Any]]] = {
        "withdrawn": [partial(participants.withdraw, one.withdrawal_code) for one in people] * 2,
        "swept": [partial(participants.sweep, utcnow())] * 2,  # two nodes look at once
        "deleted": [partial(catalog.delete, study), partial(participants.sweep, utcnow())],
    }
    actions = [
        call
        for one in people
        for call in (
            partial(ingest.write, one.code, body(one, 1)),
            partial(participants.answer, one.code, {"age": "old"}),
            partial(participants.shown, one.code, one.participant.order[0], "ended"),
        )
    ]
    checked_batches = [batch(store, ingest, one, 1) for one in [*people, stays]]
    actions += [partial(ingest.write_all, checked_batches[turn:]) for turn in range(3)]
    said = at_once(actions + ends[how])
    # done, or refused because nobody of that name is there any more
    refused = [one for one in said if isinstance(one, MienError)]
    assert {one.status for one in refused} <= {401, 404}
    for one in people:
        assert written(store, one) == []
        with pytest.raises(Unauthorized):
            participants.answer(one.code, {"age": "old"})
    with store.session() as session:
        left = list(session.scalars(select(StudyParticipant.id)))
    assert left == ([] if how == "deleted" else [stays.participant.id])
    if how == "withdrawn":
        assert catalog.progress([study])[study].withdrawn == 4  # each once


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
