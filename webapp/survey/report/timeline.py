"""Videos: the course of the emotions in time, and which videos resemble each other."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from webapp.domain import EMOTIONS
from webapp.files.kinds import VIDEO
from webapp.survey.report.records import FaceRecord, Records
from webapp.survey.report.statistics import LEVEL, MIN_CLUSTERS

BIN_MS = 1000
MAX_CURVES = 60
MAX_CLUSTERS = 6
MIN_VIDEOS = 6
NULL_DRAWS = 39  # more than all of them: p <= 1/40
LEAST_PROBABILITY = 0.05  # below, log ratios are noise and hid two clear kinds

Array = npt.NDArray[np.float64]


def curve(faces: list[FaceRecord], bin_ms: int = BIN_MS) -> list[dict[str, Any]]:
    """Mean probabilities in bins of ``bin_ms``: ``{"t_s", "faces", "means": [7]}`` in time order.

    A bin without a face is missing, not zero.
    """
    bins: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for face in faces:
        bins[face.t_ms // bin_ms].append(face.probabilities)
    return [
        {
            "t_s": index * bin_ms / 1000,
            "faces": len(rows),
            "means": [round(float(v), 4) for v in np.mean(rows, axis=0)],
        }
        for index, rows in sorted(bins.items())
    ]


def _curve_of_group(videos: dict[int, list[FaceRecord]]) -> list[dict[str, Any]]:
    """The mean over videos of each video's own mean in a bin, so that each video counts once.

    From ``MIN_CLUSTERS`` videos on with the 95 % t interval of that mean, "low" and "high" ``[7]``.
    """
    bins: dict[float, list[list[float]]] = defaultdict(list)
    for faces in videos.values():
        for point in curve(faces):
            bins[point["t_s"]].append(point["means"])
    points = []
    for t_s, rows in sorted(bins.items()):
        means = np.mean(rows, axis=0)
        mean: dict[str, Any] = {"t_s": t_s, "videos": len(rows), "means": _rounded(means)}
        if len(rows) >= MIN_CLUSTERS:
            error = np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
            half = float(stdtrit(len(rows) - 1, (1 + LEVEL) / 2)) * error
            mean["low"] = _rounded(np.clip(means - half, 0, 1))
            mean["high"] = _rounded(np.clip(means + half, 0, 1))
        points.append(mean)
    return points


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]


def cluster_videos(profiles: Array, seed: int = 0) -> tuple[npt.NDArray[np.int64], float] | None:
    """Cluster index of each video from its mean probabilities ``[videos, 7]``, and the silhouette.

    K-means on centred log ratios (Aitchison 1986); the number of clusters from 2 to 6 with the
    highest mean silhouette (Rousseeuw 1987). K-means finds clusters in anything, so that silhouette
    must be higher than in ``NULL_DRAWS`` sets of as many videos of one kind, drawn from a normal
    distribution with the same mean and covariance. None where it is not ("no clear groups"), or
    for fewer than ``MIN_VIDEOS`` videos.
    """
    if len(profiles) < MIN_VIDEOS or len(np.unique(profiles.round(6), axis=0)) < 3:
        return None
    logs = np.log(np.maximum(profiles, LEAST_PROBABILITY))
    logs -= logs.mean(axis=1, keepdims=True)
    found = _best_clusters(logs, seed)
    if found is None:
        return None
    rng = np.random.default_rng(seed)
    covariance = np.cov(logs, rowvar=False)
    for _ in range(NULL_DRAWS):
        drawn = rng.multivariate_normal(logs.mean(axis=0), covariance, len(logs), method="eigh")
        alike = _best_clusters(drawn, seed)
        if alike is not None and alike[1] >= found[1]:
            return None
    return found


def _best_clusters(points: Array, seed: int) -> tuple[npt.NDArray[np.int64], float] | None:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    best: tuple[npt.NDArray[np.int64], float] | None = None
    for count in range(2, min(MAX_CLUSTERS, len(points) // 2) + 1):
        labels = KMeans(count, n_init=3, random_state=seed).fit_predict(points)
        if np.bincount(labels).min() < 2:
            continue  # one video is no kind of its own
        score = float(silhouette_score(points, labels))
        if best is None or score > best[1]:
            best = (np.asarray(labels, dtype=np.int64), score)
    return best


def video_section(records: Records) -> dict[str, Any] | None:
    """Curves and clusters of a survey's videos, or None where there is none."""
    videos: dict[int, list[FaceRecord]] = defaultdict(list)
    for face in records.faces:
        if face.kind == VIDEO:
            videos[face.upload].append(face)
    if not videos:
        return None
    groups: dict[str, dict[int, list[FaceRecord]]] = defaultdict(dict)
    for upload, faces in videos.items():
        groups[faces[0].group][upload] = faces
    listed = list(videos.items())[:MAX_CURVES]
    return {
        "bin_ms": BIN_MS,
        "videos": [
            {
                "upload": upload,
                "path": faces[0].path,
                "group": faces[0].group,
                "curve": curve(faces),
            }
            for upload, faces in listed
        ],
        "not_listed": len(videos) - len(listed),
        "groups": [
            {"name": name, "curve": _curve_of_group(groups[name])}
            for name in records.groups
            if name in groups
        ],
        "clusters": _clusters(videos),
    }


def _clusters(videos: dict[int, list[FaceRecord]]) -> dict[str, Any] | None:
    profiles = np.array(
        [np.mean([f.probabilities for f in faces], axis=0) for faces in videos.values()]
    )
    found = cluster_videos(profiles)
    if found is None:
        return None
    labels, silhouette = found
    uploads = list(videos)
    clusters = []
    for label in sorted(set(labels.tolist())):
        members = np.flatnonzero(labels == label)
        center = profiles[members].mean(axis=0)
        nearest = members[np.argmin(((profiles[members] - center) ** 2).sum(axis=1))]
        frames = videos[uploads[nearest]]
        distance = [((np.array(f.probabilities) - center) ** 2).sum() for f in frames]
        frame = frames[int(np.argmin(distance))]
        clusters.append(
            {
                "videos": [videos[uploads[m]][0].path for m in members],
                "means": {n: round(float(v), 4) for n, v in zip(EMOTIONS, center, strict=True)},
                "emotion": EMOTIONS[int(center.argmax())],
                "representative": {
                    "upload": frame.upload,
                    "path": frame.path,
                    "t_ms": frame.t_ms,
                    "box": [round(v, 1) for v in frame.box],
                },
            }
        )
    return {"silhouette": round(silhouette, 3), "clusters": clusters}
