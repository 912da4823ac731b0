"""``python -m bench.photos --data FOLDER [--boxes CSV]``: faces found and read in photographs.

The CSV (by default FOLDER/photos.csv) has the columns ``file, x1, y1, x2, y2``; empty coordinates
say that a picture has no face; ``expression`` names what a face shows (``smiling`` is happy), and
every column named by ``--group`` is reported by its values. The pictures are read as they are, and
their faces in scenes: small, tilted, dark, tinted, half covered, several at once. Shares come with
Wilson's 95 % interval. ``--peer yuface:0.7`` has another detector look at the same scenes.

With ``--live`` each scene stands before the camera for three seconds, at 15 frames a second, in a
live session: ``over_time`` tells what is found in the first answer, after 1 s and after 3 s, the
rest is of the last answer, and a false box is one that was shown in any of them.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import cv2

from bench.support.output import write_report
from bench.support.peers import open_peer
from bench.support.photo_scenes import Known, read_known, scenes
from bench.support.replay import InProcess, play
from webapp.domain import EMOTIONS, SCAN, THOROUGH, Box, Face
from webapp.models.registry import Registry
from webapp.vision.pipeline import Pipeline

# Boxes of two kinds (brow to chin, ears to ears) around one face overlap by more than this.
SAME_FACE_IOU = 0.25
LIVE_FPS = 15
LIVE_S = (0, 1, 3)
EXPRESSIONS = {"smiling": "happy"} | {name: name for name in EMOTIONS}


def interval(hits: int, n: int, z: float = 1.96) -> list[float]:
    """Wilson's interval of a share (Wilson 1927)."""
    middle, half = (hits + z * z / 2) / (n + z * z), z / (n + z * z)
    half *= ((hits * (n - hits)) / n + z * z / 4) ** 0.5
    return [round(middle - half, 4), round(middle + half, 4)]


class Tally:
    """Shares by name."""

    def __init__(self) -> None:
        self._seen: dict[str, list[bool]] = defaultdict(list)

    def add(self, hit: bool, *names: str) -> None:
        for name in names:
            self._seen[name].append(hit)

    def to_json(self) -> dict[str, Any]:
        return {
            name: {
                "n": len(hits),
                "share": round(sum(hits) / len(hits), 4),
                "interval": interval(sum(hits), len(hits)),
            }
            for name, hits in sorted(self._seen.items())
        }


def face_at(box: Box, faces: Sequence[Face]) -> Face | None:
    """The face that lies best on ``box``, if any does."""
    best = max(faces, key=lambda face: face.box.iou(box), default=None)
    return best if best is not None and best.box.iou(box) > SAME_FACE_IOU else None


def false_boxes(found: Sequence[Box], boxes: Sequence[Box]) -> int:
    return sum(all(f.iou(box) <= SAME_FACE_IOU for box in boxes) for f in found)


def watch(pipeline: Pipeline, models: Path, jpeg: bytes) -> list[tuple[Face, ...]]:
    """What a live session shows of a still picture, frame by frame."""
    frames = ((index / LIVE_FPS, jpeg) for index in range(LIVE_S[-1] * LIVE_FPS + 1))
    return [answer.faces for _, answer in play(InProcess(pipeline), models, frames)]


class Peer:
    """Another detector's recall and false boxes on the same scenes."""

    def __init__(self, find: Callable[[bytes], list[Box]]) -> None:
        self._find, self._recall, self._false, self._spent_ms = find, Tally(), 0, 0.0
        self._scenes = 0

    def look(self, jpeg: bytes, boxes: Sequence[Box], names: Sequence[str]) -> None:
        began = time.process_time()
        found = self._find(jpeg)
        self._spent_ms += (time.process_time() - began) * 1e3
        self._scenes += 1
        self._false += false_boxes(found, boxes)
        for box in boxes:
            self._recall.add(any(f.iou(box) > SAME_FACE_IOU for f in found), *names)

    def to_json(self) -> dict[str, Any]:
        mean_ms = self._spent_ms / max(1, self._scenes)
        return {
            "recall": self._recall.to_json(),
            "false_boxes": self._false,
            "cpu_ms": round(mean_ms, 1),
        }


def measure(
    pipeline: Pipeline,
    known: Sequence[Known],
    count: int,
    groups: Sequence[str],
    live: Path | None,
    peers: Mapping[str, Peer] | None = None,
) -> dict[str, Any]:
    """Recall, false boxes, accuracy and milliseconds over pictures and ``count`` scenes.

    ``live`` is the folder of model versions for live sessions; None reads as surveys do.
    """
    recall, right, spent_ms, scene_cpu_ms = Tally(), Tally(), [], 0.0
    over_time = Tally()
    false = {"pictures": 0, "scenes": 0}

    def read(picture: bytes) -> tuple[Face, ...]:
        began = time.perf_counter()
        faces = pipeline.analyze(picture, request=SCAN if live else THOROUGH).faces
        spent_ms.append((time.perf_counter() - began) * 1e3)
        return faces

    for one in known:
        faces = read(one.file.read_bytes())
        boxes = [one.box] if one.box else []
        false["pictures"] += false_boxes([f.box for f in faces], boxes)
        if one.box is None:
            continue
        found = face_at(one.box, faces)
        names = ["pictures", *(f"{g}={one.columns[g]}" for g in groups if one.columns.get(g))]
        recall.add(found is not None, *names)
        shown = EXPRESSIONS.get(one.columns.get("expression", ""))
        if found is not None and shown is not None:
            right.add(found.scores.top[0] == shown, *names, f"shows={shown}")
    for scene in scenes(known, count, seed=1):
        _, jpeg = cv2.imencode(".jpg", scene.picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        before = time.process_time()
        seen = watch(pipeline, live, jpeg.tobytes()) if live else [read(jpeg.tobytes())]
        scene_cpu_ms += (time.process_time() - before) * 1e3 / len(seen)
        faces = seen[-1]
        shown_at = {face.track: face.box for answer in seen for face in answer}
        boxes_shown = list(shown_at.values()) if live else [face.box for face in faces]
        false["scenes"] += false_boxes(boxes_shown, scene.boxes)
        where = [f"size={scene.size}", f"tilt={scene.tilt}", f"light={scene.light}"]
        where += [f"cover={scene.cover}", "scenes"]
        for peer in (peers or {}).values():
            peer.look(jpeg.tobytes(), scene.boxes, where)
        for after_s in LIVE_S if live else ():
            for box in scene.boxes:
                hit = face_at(box, seen[after_s * LIVE_FPS]) is not None
                over_time.add(hit, *(f"{name}, {after_s} s" for name in where))
        for box, one in zip(scene.boxes, scene.known, strict=True):
            found = face_at(box, faces)
            recall.add(found is not None, *where)
            shown = EXPRESSIONS.get(one.columns.get("expression", ""))
            if found is not None and shown is not None:
                right.add(found.scores.top[0] == shown, *where)
    return {
        "recall": recall.to_json(),
        "over_time": over_time.to_json(),
        "false_boxes": false,
        "accuracy": right.to_json(),
        "median_ms": round(sorted(spent_ms)[len(spent_ms) // 2], 1),
        "scene_cpu_ms": round(scene_cpu_ms / max(1, count), 1),
        "peers": {name: peer.to_json() for name, peer in (peers or {}).items()},
    }


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--boxes", type=click.Path(path_type=Path), help="Default: FOLDER/photos.csv.")
@click.option("--group", "groups", multiple=True, help="A column of the CSV; may be repeated.")
@click.option("--scenes", "count", default=420, show_default=True)
@click.option("--live", is_flag=True, help="Watch as the live page does.")
@click.option("--model", help="A version; default ACTIVE.")
@click.option("--models-dir", default="models", show_default=True)
@click.option("--detector-model", default="", help="A YuNet ONNX file instead of ours.")
@click.option("--peer", "names", multiple=True, help="yuface:0.7 or centerface:0.35, say.")
@click.option("--json", "target", default="-", show_default=True, help="- prints.")
def main(
    data: Path, boxes: Path | None, groups: tuple[str, ...], count: int, live: bool,
    model: str | None, models_dir: str, detector_model: str, names: tuple[str, ...], target: str,
) -> None:  # fmt: skip
    cv2.setNumThreads(1)
    registry = Registry(Path(models_dir))
    version = registry.get(model) if model else registry.active()
    try:
        known = read_known(data, boxes or data / "photos.csv")
        peers = {name: Peer(open_peer(name)) for name in names}
    except (OSError, ValueError, ImportError) as error:
        raise click.ClickException(str(error)) from error
    missing = [one.file.name for one in known if not one.file.is_file()]
    if missing:
        raise click.ClickException(f"{len(missing)} pictures of the CSV are missing: {missing[0]}")
    if count and (all(k.box for k in known) or sum(k.box is not None for k in known) < 6):
        raise click.ClickException("Scenes need 6 faces and a picture without one; or --scenes 0.")
    pipeline = Pipeline.from_version(version.folder, detector_model=detector_model)
    sessions = Path(models_dir) if live else None
    report = {"model": version.version, **measure(pipeline, known, count, groups, sessions, peers)}
    write_report(report, target)


if __name__ == "__main__":
    main()
