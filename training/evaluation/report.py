"""The evaluation report: one folder with ``index.html``, its pictures and the figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from training.evaluation import charts
from training.evaluation.answers import Answers
from training.evaluation.degrade import SAMPLE, degraded
from training.evaluation.scoring import Scorer
from webapp.domain import EMOTIONS

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;
color:#1c2430}img{max-width:100%}table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem
.75rem;border-bottom:1px solid #d5dae2;text-align:right}th:first-child,td:first-child{text-align:
left}.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(24rem,1fr));gap:1rem}
p.note{color:#555e6c}"""
_ROWS = (
    ("accuracy", "accuracy"),
    ("precision_macro", "precision, macro"),
    ("recall_macro", "recall, macro"),
    ("f1_macro", "F1, macro"),
    ("loss", "cross-entropy"),
    ("ece", "calibration error (15 bins)"),
)


def write_report(
    folder: Path,
    scorer: Scorer,
    answers: Answers,
    figures: Mapping[str, Any],
    history: Sequence[dict[str, Any]],
    sample: int = SAMPLE,
) -> Path:
    """Write the report of one evaluation and return its ``index.html``.

    ``figures`` are those of :func:`training.evaluate.describe`; ``history`` the rows of the run,
    where known. The pictures of mistakes are from the data: mind its terms before sharing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sets: dict[str, tuple[str, Any, Any]] = {
        "FER2013 labels": (answers.labels_head, answers.faces.labels, slice(None))
    }
    if "ferplus" in figures:
        known = answers.majority >= 0
        sets["FER+ majorities"] = (answers.votes_head, answers.majority[known], known)
    strength = degraded(scorer, answers.faces, sample)
    charts.robustness(folder / "robustness.png", strength)
    if history:
        charts.learning_curves(folder / "learning.png", history)
    drawn = {}
    for number, (title, (head, labels, rows)) in enumerate(sets.items(), start=1):
        probabilities = answers.probabilities[head][rows]
        drawn[title] = (probabilities, labels)
        matrix = figures["confusion"] if number == 1 else figures["ferplus"]["confusion"]
        charts.confusion(folder / f"confusion{number}.png", matrix, title)
        images = answers.faces.images[rows]
        charts.mistakes(folder / f"mistakes{number}.png", images, probabilities, labels)
    charts.reliability_diagram(folder / "reliability.png", drawn)
    payload = dict(figures) | {"robustness": strength}
    text = json.dumps(payload, indent=2, sort_keys=True) + "\n"
    (folder / "figures.json").write_text(text, encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_page(figures, list(sets), bool(history), strength), encoding="utf-8")
    return index


def _page(
    figures: Mapping[str, Any], titles: list[str], has_history: bool, strength: Mapping[str, Any]
) -> str:
    model = figures["model"]
    found = [figures, *([figures["ferplus"]] if "ferplus" in figures else [])]
    body = [
        f"<h1>Model {escape(str(model['version']))}</h1>",
        f"<p>{figures['n']} pictures, answered by {escape(model['engine'])}, file "
        f"{escape(model['file'])}, SHA-256 <code>{escape(model['sha256'])}</code>.</p>",
        _timing(figures),
        "<h2>Both label sets</h2>",
        _summary(titles, found),
        "<p class=note>In brackets: 95 % intervals by bootstrap over pictures. Each label set is "
        "scored with its own head.</p>",
        _serving(figures["serving"]),
        "<h2>Confusion</h2><div class=pair>",
        *(f'<img src="confusion{n}.png" alt="{escape(t)}">' for n, t in enumerate(titles, 1)),
        "</div><h2>By class</h2><div class=pair>",
        *(_per_class(title, scores) for title, scores in zip(titles, found, strict=True)),
        '</div><h2>Calibration</h2><img src="reliability.png" alt="Reliability diagram">',
        "<h2>Smaller, blurred, darker and brighter faces</h2>",
        f"<p class=note>Degraded copies of {strength['n']} randomly chosen pictures.</p>",
        '<img src="robustness.png" alt="Accuracy by size, blur and brightness">',
    ]
    if has_history:
        body.append('<h2>Learning</h2><img src="learning.png" alt="Learning curves">')
    for number, title in enumerate(titles, start=1):
        body.append(f"<h2>Surest mistakes: {escape(title)}</h2>")
        body.append(f'<img src="mistakes{number}.png" alt="Contact sheet">')
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(model['version'])}"
        f"</title><style>{_STYLE}</style><body>{''.join(body)}</body></html>\n"
    )


def _timing(figures: Mapping[str, Any]) -> str:
    if figures.get("ms_per_face") is None:
        return ""
    return (
        f"<p>{figures['ms_per_face']:.2f} ms a face (median, LiteRT, one thread; "
        f"{figures['ms_per_face_cpu']:.2f} ms of processor time).</p>"
    )


def _summary(titles: list[str], found: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{escape(title)}" for title in titles)
    rows = [f"<tr><th>{head}", "<tr><td>pictures" + "".join(f"<td>{s['n']}" for s in found)]
    for key, name in _ROWS:
        cells = []
        for scores in found:
            low, high = scores["intervals"][key]
            cells.append(f"<td>{scores[key]:.4f} [{low:.4f}, {high:.4f}]")
        rows.append(f"<tr><td>{name}{''.join(cells)}")
    return f"<table>{''.join(rows)}</table>"


def _serving(serving: Mapping[str, Any]) -> str:
    parts = [f"FER2013 labels {serving['fer2013']['accuracy']:.4f}"]
    if "ferplus" in serving:
        parts.append(f"FER+ majorities {serving['ferplus']['accuracy']:.4f}")
    unsure = serving["uncertain"]
    return (
        f"<p>The app shows the head <b>{escape(serving['head'])}</b>: {', '.join(parts)}. Below a "
        f"confidence of {unsure['below']} it says uncertain: {unsure['share']:.1%} of these faces, "
        f"with an accuracy of {unsure['accuracy_of_rest']:.4f} on the rest.</p>"
    )


def _per_class(title: str, scores: Mapping[str, Any]) -> str:
    rows = [f"<tr><th>{escape(title)}<th>precision<th>recall<th>F1<th>pictures"]
    for emotion in EMOTIONS:
        row = scores["per_class"][emotion]
        rows.append(
            f"<tr><td>{emotion}<td>{row['precision']:.3f}<td>{row['recall']:.3f}"
            f"<td>{row['f1']:.3f}<td>{row['support']}"
        )
    return f"<table>{''.join(rows)}</table>"
