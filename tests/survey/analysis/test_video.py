from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.survey.doubles import face, keep_pictures
from tests.survey.report.test_content import card
from webapp.database.base import utcnow
from webapp.domain import FrameResult
from webapp.errors import CorruptImage
from webapp.survey.analysis.runner import JobRunner
from webapp.survey.analysis.video import sample, sample_in_process
from webapp.survey.ledger import ledger_of
from webapp.survey.report.build import build
from webapp.survey.report.content import build_report
from webapp.survey.report.facts import model_facts
from webapp.survey.report.records import read_records


def write_video(path: Path, seconds: float, shade: int, fps: int = 10) -> Path:
    """An MJPEG video whose grey level says what the double is to find in it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for _ in range(round(seconds * fps)):
            picture = np.full((48, 64, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


class Shades:
    """Happy in bright frames, sad in middle ones, nobody in dark ones."""

    version = "test-1"

    def analyze(self, image: bytes, **_options: object) -> FrameResult:
        grey = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE).mean()
        top = 0.6 + grey / 1000
        faces = (face("happy", top),) if grey > 180 else (face("sad", top),) if grey > 60 else ()
        return FrameResult(64, 48, self.version, faces, {})


@pytest.mark.parametrize("sampler", [sample, sample_in_process])
def test_a_video_is_sampled_at_the_chosen_rate(tmp_path, sampler):
    path = write_video(tmp_path / "v.avi", 3.0, 200)
    times = [t_ms for t_ms, _ in sampler(path, 2.0, 60)]
    assert times == [0, 500, 1000, 1500, 2000, 2500]
    assert [t for t, _ in sampler(path, 2.0, 1.2)] == [0, 500, 1000]
    _, jpeg = next(iter(sampler(path, 2.0, 60)))
    assert jpeg[:2] == b"\xff\xd8"


@pytest.mark.parametrize("sampler", [sample, sample_in_process])
def test_what_is_no_video_is_corrupt(tmp_path, sampler):
    path = tmp_path / "v.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + b"x" * 500)
    with pytest.raises(CorruptImage):
        list(sampler(path, 1.0, 60))


def test_videos_become_curves_and_clusters(
    tmp_path, send, survey, catalog, settings, store, uploads
):
    keep_pictures(catalog, survey.id, utcnow() + timedelta(days=1))
    for number in range(3):
        for group, shade in (("A", 200), ("B", 100)):
            path = write_video(tmp_path / "v.avi", 2.0, shade + 5 * number)
            assert send(f"{group}{number}.avi", path.read_bytes(), group).status == "stored"
    send("dark.avi", write_video(tmp_path / "v.avi", 1.0, 10).read_bytes(), "B")
    send("torn.avi", b"RIFF\0\0\0\0AVI " + b"x" * 200, "B")
    runner = JobRunner(catalog, settings, lambda _v: nullcontext(Shades()), lambda _job: None)
    job = runner.jobs.start(survey.id, model_facts(card()))
    runner.run_one()
    with store.session() as session:
        counts = ledger_of(session, survey.id, job.id).counts
        records = read_records(session, job.id)
        session.expunge_all()
    assert (counts["used"], counts["no_face"], counts["unreadable"]) == (6, 1, 1)
    report = build_report(records, settings)
    assert report["overall"]["faces"] == 24  # 2 s at 2 samples a second, six times
    assert report["overall"]["clusters"] == 6
    video = report["video"]
    assert [point["t_s"] for point in video["groups"][0]["curve"]] == [0.0, 1.0]
    assert video["groups"][0]["curve"][0]["videos"] == 3
    clusters = video["clusters"]
    assert clusters["silhouette"] > 0.8
    assert sorted(c["emotion"] for c in clusters["clusters"]) == ["happy", "sad"]
    folder = build(store, catalog.folders.root, job.id, settings)
    stills = list(catalog.folders.frames(survey.id, job.id).iterdir())
    assert len(stills) == 2
    assert "Videos that resemble each other" in (folder / "report.html").read_text()
    catalog.delete_pictures(survey.id)
    assert not any(still.exists() for still in stills)
