"""What a report keeps of its model, and two reports of one survey side by side; plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from webapp.card import ModelCard
from webapp.survey.report.quantify import confusion_from_card


def model_facts(card: ModelCard) -> dict[str, Any]:
    """What a job keeps of its model, so that its report needs neither the model nor its card."""
    confusion = confusion_from_card(card.metrics, card.serving_head, card.mixture is not None)
    measured = card.metrics.get("test")
    metrics: Mapping[str, Any] = measured if isinstance(measured, Mapping) else card.metrics
    return {
        "version": card.version,
        "recipe": card.recipe,
        "created": card.created,
        "head": card.serving_head,
        "mixture": card.mixture_facts(),
        "files": dict(card.files),
        "uncertain_below": card.uncertain_below,
        "uncertain_share": _uncertain_share(metrics),
        "crop": asdict(card.crop),
        "confusion": None if confusion is None else confusion.counts.tolist(),
        "confusion_source": None if confusion is None else confusion.source,
    }


def _uncertain_share(metrics: Mapping[str, Any]) -> float | None:
    """The share of test faces the serving head was not sure of, or None."""
    for place in (metrics.get("serving"), metrics):
        uncertain = place.get("uncertain") if isinstance(place, Mapping) else None
        share = uncertain.get("share") if isinstance(uncertain, Mapping) else None
        if isinstance(share, (int, float)) and 0 <= share <= 1:
            return float(share)
    return None


def compare_reports(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """What two reports of one survey (under two models) say of each group and emotion."""
    rows = []
    others = {group["name"]: group for group in [second["overall"], *second["groups"]]}
    for group in [first["overall"], *first["groups"]]:
        other = others.get(group["name"], {"emotions": []})
        theirs = {row["emotion"]: row for row in other["emotions"]}
        for row in group["emotions"]:
            if row["emotion"] in theirs:
                that = theirs[row["emotion"]]
                rows.append(
                    {
                        "group": group["name"],
                        "emotion": row["emotion"],
                        "first": row["share"],
                        "second": that["share"],
                        "difference": that["share"] - row["share"],
                        "first_corrected": row["corrected"],
                        "second_corrected": that["corrected"],
                    }
                )
    return rows
