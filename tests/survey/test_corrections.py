"""Labelled faces leave a survey as a folder that the training code reads."""

from __future__ import annotations

import csv
import io
import zipfile
from contextlib import nullcontext
from datetime import timedelta

import cv2
import numpy as np
import pytest

from training.data.archive import opened
from training.data.dataset import DatasetError, load_folder
from webapp.card import CropSpec, ModelCard
from webapp.database.base import utcnow
from webapp.domain import EMOTIONS, Box, Face, FrameResult
from webapp.errors import Conflict
from webapp.survey.analysis.runner import JobRunner
from webapp.survey.corrections import MANIFEST, write_training_zip
from webapp.survey.report.facts import model_facts
from webapp.survey.review import UNUSABLE
from webapp.survey.service import surveys_of

from .doubles import keep_pictures, picture, scores

CARD = ModelCard("test-1", "test", "", crop=CropSpec(1.0, 0.0))
BOX = (100.0, 50.0, 196.0, 146.0)


def jpeg(shade: int) -> bytes:
    """A dark picture whose box (see ``BOX``) is grey of ``shade``."""
    frame = np.zeros((240, 320), np.uint8)
    frame[50:146, 100:196] = shade
    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return data.tobytes()


class HappyEverywhere:
    version = "test-1"

    def analyze(self, image: bytes, **_options: object) -> FrameResult:
        given = scores("happy")
        return FrameResult(
            320, 240, self.version, (Face(Box(*BOX), 1.0, given, given, "happy"),), {}
        )


@pytest.fixture
def analysed(catalog, settings, survey, send):
    """A finished analysis of nine kept pictures, grey in 20 steps, all read as happy."""
    keep_pictures(catalog, survey.id, utcnow() + timedelta(days=1))
    for number in range(9):
        send(f"Anna/{number}.jpg", jpeg(40 + 20 * number))
    runner = JobRunner(
        catalog, settings, lambda _v: nullcontext(HappyEverywhere()), lambda _job: None
    )
    job = runner.jobs.start(survey.id, model_facts(CARD))
    assert runner.run_one()
    return job


def label_all(reviews, job, labels):
    faces = sorted(reviews.faces(job.id, "random"), key=lambda face: face["upload"])
    for face, label in zip(faces, labels, strict=True):
        reviews.give(job.id, face["face"], label, "random")


def test_training_reads_what_was_exported(analysed, catalog, store, survey, tmp_path):
    from webapp.survey.review import Reviews

    label_all(Reviews(store), analysed, [*EMOTIONS, "happy", UNUSABLE])
    target = tmp_path / "labelled.zip"
    counts = write_training_zip(catalog, catalog.get(survey.id), analysed, target, 1_000_000)
    assert counts == {emotion: 2 if emotion == "happy" else 1 for emotion in EMOTIONS}

    with opened(target) as folder:  # as `training.train --data labelled.zip` does
        faces = load_folder(folder)
    assert faces.class_counts == dict(counts)
    assert sorted(faces.unreadable) == ["README.txt", "corrections.csv"]  # listed, not dropped
    # the pixels are those of the box and of nothing around it
    means = faces.images.reshape(len(faces), -1).mean(axis=1)
    means = means[np.lexsort((means, faces.labels))]  # the two happy ones in either order
    expected = [40, 60, 80, 100, 180, 120, 140, 160]  # angry .. neutral; happy has two
    assert np.abs(means - expected).max() < 3
    assert faces.images.std(axis=(1, 2)).max() < 8

    with zipfile.ZipFile(target) as archive:
        table = list(csv.DictReader(io.StringIO(archive.read(MANIFEST).decode("utf-8-sig"))))
        assert {row["file"] for row in table} == {
            name for name in archive.namelist() if name.endswith(".png")
        }
        assert "ask them before" in archive.read("README.txt").decode()
    assert [row["corrected"] for row in table].count("no") == 2
    assert {row["model_emotion"] for row in table} == {"happy"}
    assert table[0]["source"] == "Anna/0.jpg"
    assert table[0]["group"] == "A"
    assert (table[0]["x1"], table[0]["y2"]) == ("100.0", "146.0")


def test_a_set_without_some_expression_says_so_to_training(
    analysed, catalog, store, survey, tmp_path
):
    from webapp.survey.review import Reviews

    label_all(Reviews(store), analysed, ["sad"] * 9)
    target = tmp_path / "labelled.zip"
    assert write_training_zip(catalog, catalog.get(survey.id), analysed, target, 1_000_000) == {
        "sad": 9
    }
    with (
        opened(target) as folder,
        pytest.raises(DatasetError, match=r"no picture of angry.*neutral"),
    ):
        load_folder(folder)


def test_nothing_labelled_and_pictures_deleted_are_refused(
    analysed, catalog, store, survey, tmp_path
):
    from webapp.survey.review import Reviews

    target = tmp_path / "labelled.zip"
    with pytest.raises(Conflict, match="No face is labelled"):
        write_training_zip(catalog, catalog.get(survey.id), analysed, target, 1_000_000)
    label_all(Reviews(store), analysed, ["sad"] * 9)
    catalog.delete_pictures(survey.id)
    with pytest.raises(Conflict, match="deleted"):
        write_training_zip(catalog, catalog.get(survey.id), analysed, target, 1_000_000)


def test_a_picture_that_cannot_be_cut_is_left_out_and_named(
    analysed, catalog, store, survey, tmp_path
):
    from webapp.survey.review import Reviews

    label_all(Reviews(store), analysed, ["sad"] * 9)
    first = sorted(catalog.folders.pictures(survey.id).rglob("*/*"))[0]
    first.write_bytes(b"\xff\xd8\xff torn")
    target = tmp_path / "labelled.zip"
    assert write_training_zip(catalog, catalog.get(survey.id), analysed, target, 1_000_000) == {
        "sad": 8
    }
    with zipfile.ZipFile(target) as archive:
        assert "Left out" in archive.read("README.txt").decode()
        assert len([n for n in archive.namelist() if n.endswith(".png")]) == 8


def test_the_route_sends_the_zip_and_leaves_nothing_behind(app):
    from tests.survey.test_api import API, GOOD, put, run

    client = app.test_client()
    survey = client.post(API, json=GOOD | {"keep_until": "2033-01-01"}).json["id"]
    put(client, survey, "1.jpg", picture("happy:1"))
    job = run(app, client, survey)
    url = f"{API}/{survey}/jobs/{job}/corrections.zip"
    assert client.get(url).status_code == 409
    face = client.get(f"{API}/{survey}/jobs/{job}/review").json["faces"][0]
    put_label = client.put(
        f"{API}/{survey}/jobs/{job}/review/{face['face']}", json={"label": "sad"}
    )
    assert put_label.json["by_label"]["sad"] == 1
    with client.get(url) as answer:
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert "labelled-faces" in answer.headers["Content-Disposition"]
        # the double's picture has no pixels: it is left out, and the ZIP says so
        names = zipfile.ZipFile(io.BytesIO(answer.data)).namelist()
        assert MANIFEST in names
    incoming = surveys_of(app).open().catalog.folders.incoming(survey)
    assert list(incoming.iterdir()) == []
    assert client.get(f"{API}/{survey}/jobs/99/corrections.zip").status_code == 404
