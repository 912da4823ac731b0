"""A study over two nodes that share PostgreSQL, Redis and the stimuli, with one that is killed."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import socketio
from sqlalchemy import select
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from bench.support.cluster_rig import Rig, ask, await_true, rig
from bench.support.scenes import camera_jpegs
from bench.support.server import RunningServer
from bench.support.services import PostgresServer, RedisServer, await_port, free_port
from bench.support.study_people import SHOW_MS, Diary
from bench.support.study_people import Person as Watching
from tests.studies.people import API, TAKE_PART, Person, Researcher, sample
from tests.studies.test_events import Viewer
from tests.support.pictures import face_frames
from webapp.database.base import Base
from webapp.database.store import Store, database_url
from webapp.database.study_tables import StudyBatch, StudyParticipant
from webapp.studies.demo import FOLDER

pytestmark = pytest.mark.slow

TIMEOUT_S = 120.0
SWEEP_S = 1


class Nodes:
    """Looks like a test client; each request goes to the next node in turn."""

    def __init__(self, *nodes: RunningServer) -> None:
        self._nodes = itertools.cycle([urlsplit(node.url).netloc for node in nodes])

    def open(self, path: str, method: str = "GET", **more: Any) -> Any:
        environ = EnvironBuilder(path, method=method, **more).get_environ()
        headers = {
            name.removeprefix("HTTP_").replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith(("HTTP_", "CONTENT_")) and name != "HTTP_HOST" and value
        }
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        connection = http.client.HTTPConnection(next(self._nodes), timeout=60)
        try:
            body = environ["wsgi.input"].read()
            connection.request(method, environ["PATH_INFO"] + query, body, headers)
            answer = connection.getresponse()
            return Response(answer.read(), answer.status, answer.getheaders())
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Any:
        return self.open(path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.open(path, "POST", **more)

    def delete(self, path: str) -> Any:
        return self.open(path, "DELETE")


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    redis: RedisServer,
    postgres_server: PostgresServer,
    models: Path,
) -> Iterator[Rig]:
    own = {"MIEN_SURVEY_SWEEP_S": str(SWEEP_S), "MIEN_STUDY_BEGINS_PER_HOUR": "10000"}
    scratch = tmp_path_factory.mktemp("studies")
    with rig(scratch, redis, postgres_server, models, **own) as opened:
        yield opened


@pytest.fixture(scope="module")
def two(made: Rig) -> tuple[RunningServer, RunningServer]:
    return made.node("a"), made.node("b")


@pytest.fixture
def database(made: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("DATABASE_URL", made.database)
    store = Store(database_url(made.scratch))
    yield store
    store.close()


def everything(store: Store) -> str:
    """Every row of every table."""
    with store.session() as session:
        return repr([session.execute(select(one)).all() for one in Base.metadata.sorted_tables])


def with_a_film(both: Researcher, **fields: Any) -> dict[str, Any]:
    """An open study of a film and a picture."""
    study = both.draft(**fields)
    with (FOLDER / "box.mp4").open("rb") as film:
        form = {"file": (film, "box.mp4")}
        answer = both.client.post(f"{API}/{study['id']}/stimuli", data=form)
    assert answer.status_code == 201, answer.json
    assert both.add(study["id"]).status_code == 201
    answer = both.client.post(f"{API}/{study['id']}/open")
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


def test_a_study_is_one_on_both_nodes(
    two: tuple[RunningServer, RunningServer], made: Rig, database: Store
) -> None:
    both, only_a, only_b = Nodes(*two), Nodes(two[0]), Nodes(two[1])
    study = with_a_film(Researcher(both), target=8)
    base = f"{API}/{study['id']}"
    people = [Person(both, study, pid=f"P-{number}") for number in range(8)]
    assert sorted(int(one.answer.status_code) for one in people) == [201] * 8
    refused = Person(both, study).answer
    assert refused.json["error"]["detail"] == {"reason": "full"}
    # what is shown comes from either node, whole and in parts
    whole = (FOLDER / "box.mp4").read_bytes()
    for node in (only_a, only_b):
        address = people[0].begun["order"][0]["url"]
        assert node.get(address).data == whole
        assert node.get(address, headers={"Range": "bytes=100-199"}).data == whole[100:200]
    # batches in turn, though every request goes to the other node
    for person in people:
        film, picture = person.order
        for seq in range(1, 6):
            assert person.send(film, [sample(seq * 300)], seq).json == {"acknowledged": seq}
            assert person.send(film, [sample(9)], seq).json == {"acknowledged": seq}
        assert person.send(film, [sample(0)], 9).json["error"]["detail"] == {"expected": 6}
        assert person.send(picture, [sample(t) for t in range(0, 5000, 300)], 6).status_code == 200
        for one in person.order:
            assert person.ask("POST", f"/stimuli/{one}/shown").status_code == 204
        assert person.finish(why=f"word-{person.begun['participant']}").status_code == 200
    reports = [node.get(f"{base}/report").json for node in (only_a, only_b)]
    for report in reports:
        assert report.pop("made_at")
        assert report["people"]["finished"] == 8
    assert reports[0] == reports[1]
    # who withdraws on one node is in nothing that the other one made before
    goes = people[3]
    goes.client = only_b
    assert goes.withdraw().status_code == 200
    name = goes.begun["participant"]
    for node in (only_a, only_b):
        report = node.get(f"{base}/report").json
        assert (report["people"]["finished"], report["people"]["withdrawn"]) == (7, 1)
        assert name not in str(report)
        for form in ("scores.csv", "people.csv", "report.json"):
            answer = node.get(f"{base}/exports/{form}")
            assert answer.status_code == 200
            assert b"P-3" not in answer.data
            assert name.encode() not in answer.data
    assert name not in everything(database)
    # an end, a new link and a deletion are seen by the other
    link = f"{TAKE_PART}/links/{study['link'].removeprefix('/s/')}"
    assert only_a.post(f"{base}/close").status_code == 200
    assert only_b.get(link).json["error"]["detail"] == {"reason": "closed"}
    assert only_b.delete(f"{base}/link").status_code == 200
    assert only_a.get(link).status_code == 404
    copies = [made.scratch / name / "instance" / "studies-copies" for name in "ab"]
    assert all(any(folder.iterdir()) for folder in copies)
    assert only_a.delete(base).status_code == 204
    for node in (only_a, only_b):
        assert node.get(base).status_code == 404
        assert node.get(people[0].begun["order"][0]["url"]).status_code == 404
    await_true("no copy is left", lambda: not any(one.exists() for one in copies), TIMEOUT_S)
    left = [path for path in made.scratch.rglob("*") if study["id"] in str(path)]
    assert [path for path in left if path.is_file()] == []


def test_a_person_has_one_connection_over_both_nodes(
    two: tuple[RunningServer, RunningServer],
) -> None:
    a, b = two
    study = Researcher(Nodes(a, b)).open(1)
    person = Person(Nodes(a, b), study)
    jpeg = face_frames()[0]

    async def run() -> None:
        auth = {"code": person.begun["code"]}

        async def answer(viewer: Viewer) -> Any:
            meta = {"seq": 1, "captured_ms": 1.0, "width": 640, "height": 480}
            return await viewer.frame(meta, jpeg)

        async with Viewer(a.url, auth) as first, Viewer(b.url, auth) as second:
            await asyncio.wait_for(first.ended.wait(), TIMEOUT_S)
            assert first.events[-1][1]["reason"] == "replaced"
            assert "sample" in await answer(second)
            person.client = Nodes(a)
            assert (await asyncio.to_thread(person.withdraw)).status_code == 200
            await asyncio.wait_for(second.ended.wait(), TIMEOUT_S)
            assert second.events[-1][1]["reason"] == "ended"
            for node in (a, b):
                gone = Viewer(node.url, auth)
                with pytest.raises(socketio.exceptions.ConnectionError):
                    await gone.__aenter__()
                assert gone.refused["data"]["error"]["code"] == "unauthorized"

    asyncio.run(run())


@pytest.fixture
def proxy(two: tuple[RunningServer, RunningServer], tmp_path: Path) -> Iterator[str]:
    """An nginx that gives each request to the next node, and to the other where one is away."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("needs nginx: it is not installed")
    port = free_port()
    servers = "".join(f"server {urlsplit(node.url).netloc} fail_timeout=1s;" for node in two)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;"
        f"events {{}} http {{ access_log off; {places} upstream nodes {{ {servers} }}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://nodes;"
        "proxy_http_version 1.1; proxy_set_header Host $host; proxy_connect_timeout 2s;"
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;"
        "} } }",
        encoding="utf-8",
    )
    command = [nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        await_port(port, process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def kill_with_workers(node: RunningServer) -> None:
    """As a machine that vanishes."""
    workers = node.workers()
    node.process.kill()
    node.process.wait()
    for worker in workers:
        worker.kill()
    psutil.wait_procs(workers, timeout=60)


def test_people_go_on_through_the_other_node_when_one_is_killed(
    two: tuple[RunningServer, RunningServer], proxy: str, database: Store
) -> None:
    """The last test: node a is gone afterwards."""
    a, b = two
    researcher = Researcher(Nodes(b))
    study = researcher.draft(questions={"before": [], "after": []})
    assert researcher.add(study["id"], show_ms=str(SHOW_MS)).status_code == 201
    study = dict(researcher.client.post(f"{API}/{study['id']}/open").json)
    link = study["link"].removeprefix("/s/")
    frames, over = camera_jpegs(1, 8), threading.Event()
    people = [Watching(proxy, link, frames, 2.0) for _ in range(4)]
    diaries: list[Diary] = [one.diary for one in people]

    async def run() -> None:
        begin = time.monotonic()
        watching = asyncio.gather(*(one.take_part(begin, 0.0, over) for one in people))

        async def until(check: Callable[[], bool]) -> None:
            limit = time.monotonic() + TIMEOUT_S
            while not check():
                assert time.monotonic() < limit
                assert not watching.done(), watching.exception()
                await asyncio.sleep(0.1)

        await until(lambda: all(len(one.acknowledged) >= 3 for one in diaries))
        await asyncio.to_thread(kill_with_workers, a)
        before = [len(one.acknowledged) for one in diaries]
        await until(
            lambda: all(
                len(one.acknowledged) >= past + 3 for one, past in zip(diaries, before, strict=True)
            )
        )
        over.set()
        await watching

    asyncio.run(run())
    assert any(one.reconnections for one in diaries)
    for diary in diaries:
        assert diary.finished
        with database.session() as session:
            batches = select(StudyBatch).where(StudyBatch.participant_id == diary.participant)
            kept = {one.seq: len(one.samples) for one in session.scalars(batches)}
            row = session.get_one(StudyParticipant, diary.participant)
            assert (row.state, row.samples) == ("finished", sum(kept.values()))
        assert sorted(kept) == list(range(1, len(kept) + 1))
        assert {seq: kept.get(seq) for seq in diary.acknowledged} == diary.acknowledged
    assert ask(b, "GET", f"api/v1/studies/{study['id']}")["people"]["finished"] == 4
