"""``python -m bench.steadiness --data FER2013/ --json -``: calm labels, and how late they are.

Videos with known truth (see ``bench.support.videos``; of faces that the model's training never
saw) go through the real pipeline and live session: once with
smoothing off (``raw``), once with each steadiness. Parameters are chosen on ``--part choose``;
``--part confirm`` has other people.

``flips_per_minute``: changes of the shown label beyond the first after each cut. ``delay_ms``:
from a cut to the first frame with the new label, over the cuts whose new expression raw labels
read right for most of the shot (``cuts``); ``never`` is the share of them that was never shown.
``accuracy_shown``: right among frames that show an emotion; ``right_of_all``: right among all
frames, where uncertain and late count as wrong; ``..._rest`` the same from 700 ms after a cut.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.support.heldout import HeldOut, Program, active_folder, labelled_faces, unseen_faces
from bench.support.replay import InProcess, Recorded, play
from bench.support.videos import Shot, Video, findable, make_videos
from webapp.card import ModelCard
from webapp.domain import EMOTIONS, UNCERTAIN, FrameResult
from webapp.live.options import LiveOptions
from webapp.live.session import LiveSession
from webapp.live.smoothing import STEADINESS
from webapp.vision.pipeline import Pipeline

REST_S = 0.7


@dataclass(frozen=True)
class Seen:
    """The label shown at a time; frames without a face are left out."""

    t_s: float
    label: str


def labels(answers: Iterable[tuple[float, FrameResult]]) -> list[Seen]:
    """What was shown of the one person, frame by frame."""
    return [
        Seen(t_s, max(answer.faces, key=lambda face: face.box.area).label)
        for t_s, answer in answers
        if answer.faces
    ]


def during(seen: list[Seen], shot: Shot) -> list[Seen]:
    return [s for s in seen if shot.from_s <= s.t_s < shot.to_s]


def is_read(seen: list[Seen], shot: Shot) -> bool:
    """Whether most frames of a shot carry its emotion."""
    there = during(seen, shot)
    right = sum(s.label == EMOTIONS[shot.emotion] for s in there)
    return right > len(there) / 2


def delay_s(seen: list[Seen], shot: Shot) -> float:
    """From the cut to the first frame that says so; infinite when none does."""
    truth = EMOTIONS[shot.emotion]
    return next((s.t_s - shot.from_s for s in during(seen, shot) if s.label == truth), np.inf)


def flips(seen: list[Seen], video: Video) -> int:
    """Changes of the label beyond the first one after each cut."""
    total = 0
    for number, shot in enumerate(video.shots):
        before = [s.label for s in seen if s.t_s < shot.from_s][-1:]
        row = [*before, *(s.label for s in during(seen, shot))]
        changes = sum(a != b for a, b in itertools.pairwise(row))
        total += max(0, changes - (number > 0))
    return total


def figures(runs: list[tuple[Video, list[Seen]]], read: list[list[bool]]) -> dict[str, Any]:
    """All figures of one way to show labels; ``read`` tells for each video the cuts that count."""
    minutes = sum(video.seconds for video, _ in runs) / 60
    late = np.array(
        [
            delay_s(seen, shot)
            for (video, seen), cuts in zip(runs, read, strict=True)
            for shot, counts in zip(video.shots[1:], cuts, strict=True)
            if counts
        ]
    )
    rows = [
        (s.label, EMOTIONS[shot.emotion], number > 0 and s.t_s - shot.from_s < REST_S)
        for video, seen in runs
        for number, shot in enumerate(video.shots)
        for s in during(seen, shot)
    ]

    def accuracy(chosen: list[tuple[str, str, bool]]) -> tuple[float, float]:
        right = sum(label == truth for label, truth, _ in chosen)
        shown = sum(label != UNCERTAIN for label, _, _ in chosen)
        return round(right / max(shown, 1), 4), round(right / max(len(chosen), 1), 4)

    shown_all, of_all = accuracy(rows)
    shown_rest, of_rest = accuracy([row for row in rows if not row[2]])
    finite = np.sort(late)
    return {
        "flips_per_minute": round(sum(flips(seen, video) for video, seen in runs) / minutes, 2),
        "cuts": len(late),
        "delay_ms": {
            "median": _ms(np.quantile(finite, 0.5, method="higher")) if len(late) else None,
            "p95": _ms(np.quantile(finite, 0.95, method="higher")) if len(late) else None,
            "never": round(float(np.isinf(late).mean()), 4) if len(late) else None,
        },
        "share_shown": round(sum(r[0] != UNCERTAIN for r in rows) / max(len(rows), 1), 4),
        "accuracy_shown": shown_all,
        "right_of_all": of_all,
        "accuracy_shown_rest": shown_rest,
        "right_of_all_rest": of_rest,
        "frames": len(rows),
    }


def _ms(value: float) -> float | None:
    return None if np.isinf(value) else round(float(value) * 1000)


def measure(
    videos: list[Video], fps: float, pipeline: Pipeline, models: Path
) -> dict[str, dict[str, Any]]:
    """Figures of raw labels and of each steadiness at one frame rate."""

    def options(chosen: LiveOptions) -> Any:
        def prepare(session: LiveSession) -> None:
            session.options = chosen

        return prepare

    shown: dict[str, list[tuple[Video, list[Seen]]]] = {"raw": []}
    for video in videos:
        frames = list(video.frames(fps))
        plain = options(LiveOptions(smoothing=False))
        shown["raw"].append((video, labels(play(InProcess(pipeline), models, frames, plain))))
        read = InProcess(pipeline)
        for name in STEADINESS:
            # what is detected and read depends on no steadiness: pictures are read only once
            inference = Recorded(pipeline, read.answers) if read.answers else read
            settled = play(inference, models, frames, options(LiveOptions(steadiness=name)))
            shown.setdefault(name, []).append((video, labels(settled)))
    cuts = [[is_read(seen, shot) for shot in video.shots[1:]] for video, seen in shown["raw"]]
    return {name: figures(runs, cuts) for name, runs in shown.items()}


@click.command(cls=Program, help=__doc__)
@labelled_faces(required=True)
@click.option("--fps", multiple=True, type=float, default=(8.0, 15.0, 30.0), show_default=True)
@click.option("--videos", default=8, show_default=True)
@click.option("--shots", default=8, show_default=True)
@click.option("--part", type=click.Choice(["choose", "confirm"]), default="confirm")
@click.option("--seed", default=2, show_default=True)
@click.option("--json", "target", type=click.File("w"), default="-")
def main(
    data: Path,
    ferplus: Path | None,
    models: Path,
    fps: tuple[float, ...],
    videos: int,
    shots: int,
    part: str,
    seed: int,
    target: Any,
) -> None:
    folder = active_folder(models)
    card = ModelCard.load(folder)
    held = unseen_faces(data, ferplus, card)
    rows = np.arange(len(held.majority))[0 if part == "choose" else 1 :: 2]
    if part == "choose" and held.kind != "validation":
        raise click.ClickException(
            f"{card.version} was cross-fitted: it has held back nothing to choose on. Choose with "
            "the version that its networks went on from, activated in another --models folder."
        )
    half = HeldOut(held.faces.take(rows), held.majority[rows], held.kind)
    made = make_videos(half, findable(), count=videos, shots=shots, seed=seed)
    pipeline = Pipeline.from_version(folder)
    report = {
        "model": card.version,
        "part": part,
        "faces_of": held.kind,
        "seed": seed,
        "minutes": round(sum(video.seconds for video in made) / 60, 2),
        "by_fps": {f"{rate:g}": measure(made, rate, pipeline, models) for rate in fps},
    }
    json.dump(report, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
