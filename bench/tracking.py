"""``python -m bench.tracking --json -``: does a face keep its number?

Generated scenes with known identities: two people who cross, one hidden for a second (at rest and
in motion), people who enter and leave, five at once, one who leaves before another comes. Scored
with motmetrics: IDF1 (Ristani et al. 2016), MOTA and identity switches (Bernardin and
Stiefelhagen 2008); a box counts as found from an overlap (IoU) of 0.4. A face that is covered by
more than a third, or out of the picture, is expected from nobody and punished when shown.

With ``--data`` the scenes are pictures of real faces (FER2013, unseen in training), read by the
real pipeline and live session; without, the tracker alone gets boxes with a detector's errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench.support.crowds import Scene, frames, scenes, seen_boxes, truth
from bench.support.heldout import Program, active_folder, labelled_faces, unseen_faces
from bench.support.replay import InProcess, play
from bench.support.videos import Grey, findable
from webapp.card import ModelCard
from webapp.domain import Box
from webapp.live.tracker import Tracker
from webapp.vision.pipeline import Pipeline

LEAST_IOU = 0.4
METRICS = ("idf1", "mota", "num_switches", "num_misses", "num_false_positives", "num_objects")

Moment = tuple[dict[int, Box], dict[int, Box]]
"""True and shown boxes of one frame, by person and by track."""


def simulated(scene: Scene, fps: float, seed: int) -> Iterator[Moment]:
    """The tracker alone, on boxes with a detector's errors."""
    tracker = Tracker()
    for t_s, true, found in seen_boxes(scene, fps, seed):
        yield true, dict(zip(tracker.update(found, t_s), found, strict=True))


def pictured(
    scene: Scene, fps: float, seed: int, faces: list[Grey], pipeline: Pipeline, models: Path
) -> Iterator[Moment]:
    """The whole way: pictures, detector, live session."""
    answers = play(InProcess(pipeline), models, frames(scene, faces, fps, seed))
    for t_s, answer in answers:
        yield truth(scene, t_s), {face.track or 0: face.box for face in answer.faces}


def scores(moments: Iterable[Moment]) -> dict[str, float]:
    """motmetrics' figures of one scene, and ``ids_kept``: each person had one number only."""
    import motmetrics

    record = motmetrics.MOTAccumulator(auto_id=True)
    numbers: dict[int, set[int]] = {}
    for true, shown in moments:
        distances = np.array(
            [[1 - a.iou(b) for b in shown.values()] for a in true.values()], float
        ).reshape(len(true), len(shown))
        distances[distances > 1 - LEAST_IOU] = np.nan
        record.update(list(true), list(shown), distances)
        events = record.mot_events.loc[record.mot_events.index.max()[0]]
        for row in events.itertuples():
            if row.Type in ("MATCH", "SWITCH"):
                numbers.setdefault(int(row.OId), set()).add(int(row.HId))
    found = motmetrics.metrics.create().compute(record, metrics=list(METRICS), name="scene")
    result = {name: float(value) for name, value in found.to_dict("records")[0].items()}
    owners = [number for held in numbers.values() for number in held]
    kept = all(len(held) == 1 for held in numbers.values()) and len(owners) == len(set(owners))
    return result | {"ids_kept": float(kept)}


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Means and sums over the runs of one kind of scene."""
    return {
        "runs": len(rows),
        "ids_kept": int(sum(row["ids_kept"] for row in rows)),
        "idf1": round(float(np.mean([row["idf1"] for row in rows])), 4),
        "mota": round(float(np.mean([row["mota"] for row in rows])), 4),
        **{
            name.removeprefix("num_"): int(sum(row[name] for row in rows))
            for name in METRICS
            if name.startswith("num_")
        },
    }


@click.command(cls=Program, help=__doc__)
@labelled_faces(required=False)
@click.option("--fps", default=15.0, show_default=True)
@click.option("--runs", default=5, show_default=True, help="Variations of each kind of scene.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "target", type=click.File("w"), default="-")
def main(
    data: Path | None,
    ferplus: Path | None,
    models: Path,
    fps: float,
    runs: int,
    seed: int,
    target: Any,
) -> None:
    pipeline, pool = None, []
    if data is not None:
        folder = active_folder(models)
        card = ModelCard.load(folder)
        held = unseen_faces(data, ferplus, card)
        pipeline = Pipeline.from_version(folder)
        order = np.random.default_rng(seed).permutation(len(held.faces))
        usable = findable()
        pool = [held.faces.images[i] for i in order[:200] if usable(held.faces.images[i])]
    by_kind: dict[str, list[dict[str, float]]] = {}
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        for number, scene in enumerate(scenes(rng)):
            one = seed * 100_000 + run * 100 + number
            if pipeline is None:
                moments = simulated(scene, fps, one)
            else:
                picked = [pool[i] for i in rng.choice(len(pool), len(scene.people), replace=False)]
                moments = pictured(scene, fps, one, picked, pipeline, models)
            by_kind.setdefault(scene.name, []).append(scores(moments))
    report = {
        "fps": fps,
        "seed": seed,
        "read_by": "pipeline" if pipeline else "simulated detector",
        "scenes": {name: summary(rows) for name, rows in by_kind.items()},
        "all": summary([row for rows in by_kind.values() for row in rows]),
    }
    json.dump(report, target, indent=1)
    target.write("\n")


if __name__ == "__main__":
    main()
