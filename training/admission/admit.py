"""One uploaded model on its way to a version: look, load, compile, compare, evaluate, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.admission.faces import load_faces
from training.admission.files import recognise
from training.admission.networks import adapter, open_network, seven_of, width_of
from training.data.dataset import LabelledFaces
from training.evaluation.answers import Answers, answer, describe
from training.evaluation.metrics import confusion_matrix
from training.evaluation.outputs import check_outputs
from training.evaluation.scoring import Scorer, heads_of, input_spec_of, kinds_of, open_version
from training.litert import (
    MAX_INT8_DIFFERENCE,
    MAX_PROBABILITY_DIFFERENCE,
    compare,
    keras_logits,
    softmax,
)
from training.publishing.card_facts import INTENDED_USE, LIMITS
from training.publishing.compiled import Compiled, compile_model
from training.publishing.golden import golden_inputs
from webapp.card import (
    GOLDEN_FILE,
    GOLDEN_TOLERANCE,
    KERAS_FILE,
    TFLITE_FILE,
    HeadSpec,
    ModelCard,
    sha256_of,
)
from webapp.domain import EMOTIONS
from webapp.errors import MienError, ModelInvalid
from webapp.models.paired import compared
from webapp.vision.classifier import check_golden

UNKNOWN_LICENCE: Final = "Not stated when it was uploaded."
_SAME_ANSWER: Final = 1e-5
Notify = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What the web process asks; see ``webapp.models.uploads``.

    ``labels`` are the outputs' names in their order, empty where nobody has said them yet;
    ``pixels`` the range that the network expects; ``active`` the folder of the serving version.
    """

    file: Path
    filename: str
    version: str
    limit_bytes: int
    recipe: str | None = None
    labels: tuple[str, ...] = ()
    pixels: str = "0-255"
    licence: str = ""
    uploaded_by: str = ""
    evaluation: Path | None = None
    evaluation_facts: Mapping[str, Any] | None = None
    active: Path | None = None


def admit(
    request: Request, work: Path, notify: Notify, start_keras: Callable[[], None]
) -> dict[str, Any]:
    """Write ``work/version`` and return the report; or ask for the labels, writing nothing.

    ``start_keras`` is called once the file was checked, because starting Keras takes seconds.
    Raises :class:`ModelInvalid` with the reason for refusing the model.
    """
    notify("looking into the file")
    scratch = work / "parts"
    scratch.mkdir()
    sha256 = sha256_of(request.file)
    found = recognise(request.file, scratch, request.limit_bytes)
    faces = None if request.evaluation is None else load_faces(request.evaluation)
    notify("starting TensorFlow")
    start_keras()
    notify("building the network")
    model = open_network(found, request.recipe)
    target = work / "version"
    target.mkdir()
    done: dict[str, Any]
    if found.card is not None:
        card = _as_published(found.card, model, scratch, target)
        card = replace(card, version=request.version)
        done = {"kept_files": True}
    else:
        check_outputs(model)  # before anybody is asked for labels in vain
        if not request.labels and found.kind != "weights":
            target.rmdir()
            notify("asking for the order of the labels")
            asked = {"needs": "labels", "kind": found.kind, "outputs": width_of(model)}
            return asked | _label_hint(model, faces)
        labels = request.labels or EMOTIONS
        model, done = _with_our_emotions(model, labels)
        ours = labels if not done else EMOTIONS
        notify("compiling to LiteRT and comparing with Keras")
        compiled = _compiled(model, adapter(ours, request.pixels))
        files = compiled.write(target)
        card = _draft(request, found.kind, sha256, compiled, files)
        done |= {"kept_files": False}
    card.save(target)
    differences = check_golden(target)
    notify("checking that it tells faces apart")
    _not_constant(card, target, faces)
    report: dict[str, Any] = {
        "kind": found.kind,
        "layers": found.layers,
        "parameters": int(model.count_params()),
        "input": [card.input.height, card.input.width, card.input.channels],
        "heads": [head.name for head in card.heads],
        "golden_differences": differences,
        "bytes": {name: (target / name).stat().st_size for name in (KERAS_FILE, TFLITE_FILE)},
        **done,
    }
    card, measured = _measured(request, card, target, faces, notify)
    report |= measured
    card.save(target)
    return report


def _with_our_emotions(model: Any, labels: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """The network with our seven outputs, and what was done for that; as it is where it has them.

    Raises :class:`ModelInvalid` where there are more or fewer labels than outputs.
    """
    if len(labels) != width_of(model):
        raise ModelInvalid(
            f"Expected a label for each of the network's {width_of(model)} outputs. Received "
            f"{len(labels)}: {', '.join(labels)}.",
            check="labels",
        )
    if sorted(labels) == sorted(EMOTIONS):
        return model, {}
    left_out = [f"{name} (output {n})" for n, name in enumerate(labels, 1) if name not in EMOTIONS]
    missing = [name for name in EMOTIONS if name not in labels]
    kinds = kinds_of(keras_logits(model, golden_inputs(input_spec_of(model))))
    return seven_of(model, labels, kinds), {"left_out": left_out, "missing": missing}


def _as_published(card: ModelCard, model: Any, scratch: Path, target: Path) -> ModelCard:
    """Keep a published version's own files where LiteRT answers what its Keras model answers."""
    spec = input_spec_of(model)
    if spec != card.input:
        raise ModelInvalid(f"The card's input {card.input} is not the network's {spec}.")
    inputs = golden_inputs(spec)
    answers = keras_logits(model, inputs)
    heads = heads_of(model, answers)
    kinds = {head.name: head.kind for head in heads}
    if set(kinds) != {head.name for head in card.heads}:
        raise ModelInvalid(
            f"The card names the heads {[h.name for h in card.heads]}; the network has "
            f"{list(kinds)}.",
            check="card",
        )
    given = dict(zip((head.name for head in heads), answers.values(), strict=True))
    # a card that asks for more than float32 needs says that its network multiplies in int8
    int8 = card.golden_tolerance > GOLDEN_TOLERANCE
    tolerance = MAX_INT8_DIFFERENCE if int8 else MAX_PROBABILITY_DIFFERENCE
    agreement = compare(given, scratch / TFLITE_FILE, inputs, kinds, tolerance)
    for head in card.heads:
        if agreement.outputs[head.name] != head.output or kinds[head.name] != head.kind:
            raise ModelInvalid(
                f"The card reads head {head.name!r} from output {head.output} as {head.kind}; the "
                f"network has it at {agreement.outputs[head.name]} as {kinds[head.name]}.",
                check="card",
            )
    files = {}
    for name in (KERAS_FILE, TFLITE_FILE, GOLDEN_FILE):
        (scratch / name).rename(target / name)
        files[name] = sha256_of(target / name)
    return replace(card, files=files)


def _compiled(model: Any, adapt: Callable[[Any], Any] | None) -> Compiled:
    try:
        try:
            # an uploaded network answers as its maker measured it: half weights moved the
            # probabilities of a mini_XCEPTION by 1.1e-4
            return compile_model(model, adapt=adapt, weights="full")
        except MienError:
            raise
        except Exception:  # noqa: BLE001
            # folding norms is an optimisation for networks as ours are; others are taken as is
            return compile_model(model, adapt=adapt, fold=False, weights="full")
    except MienError:
        raise
    except MemoryError as error:
        raise ModelInvalid(
            "Compiling the network needs more memory than the check may use.", check="memory"
        ) from error
    except Exception as error:
        raise ModelInvalid(
            f"The network cannot be compiled to LiteRT: {type(error).__name__}: {str(error)[:300]}",
            check="compile",
        ) from error


def _draft(
    request: Request, kind: str, sha256: str, compiled: Compiled, files: dict[str, str]
) -> ModelCard:
    names = [head.name for head in compiled.heads]
    return ModelCard(
        request.version,
        request.recipe or "uploaded",
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        input=input_spec_of(compiled.model),
        heads=compiled.heads,
        serving_head="ferplus" if "ferplus" in names else names[0],
        files=files,
        intended_use=INTENDED_USE,
        limits=LIMITS,
        licence=request.licence or UNKNOWN_LICENCE,
        training={
            "recipe": request.recipe or "uploaded",
            "parameters_count": int(compiled.model.count_params()),
            "versions": {f"upload {n}": installed(n) for n in ("tensorflow", "keras")},
            "uploaded": {
                "file": request.filename,
                "sha256": sha256,
                "kind": kind,
                "by": request.uploaded_by,
                "labels": list(request.labels or EMOTIONS),
                "pixels": request.pixels,
            },
            "published": {
                "weights": "float16" if compiled.half_weights else "float32",
                "litert_difference": {
                    "probabilities": compiled.agreement.probabilities,
                    "logits": compiled.agreement.logits,
                    "on": "golden.npz, largest absolute difference from Keras",
                },
            },
        },
    )


def _not_constant(card: ModelCard, folder: Path, faces: LabelledFaces | None) -> None:
    """Refuse a head that answers the same whatever it is shown."""
    scorer = open_version(folder, card)
    logits = dict(scorer.answer(golden_inputs(card.input)))
    if faces is not None:
        sample = faces.take(np.linspace(0, len(faces) - 1, min(len(faces), 64), dtype=np.int64))
        for name, values in scorer.logits(sample.images).items():
            logits[name] = np.concatenate([logits[name], values])
    for head in card.heads:
        spread = float(np.ptp(softmax(logits[head.name], head.temperature), axis=0).max())
        if not spread > _SAME_ANSWER:
            raise ModelInvalid(
                f"Output {head.name!r} gives the same answer for every picture (it varies by "
                f"{spread:.1g}). The network is untrained, or its weights were not loaded.",
                check="constant",
            )


def _measured(
    request: Request, card: ModelCard, folder: Path, faces: LabelledFaces | None, notify: Notify
) -> tuple[ModelCard, dict[str, Any]]:
    """Evaluate on the chosen set, beside the serving version, and time one face at a time."""
    scorer = open_version(folder, card)
    if faces is None:
        notify("measuring its speed")
        drawn = golden_inputs(card.input)[..., 0].astype(np.uint8)
        timing = scorer.milliseconds_per_face(drawn)
        upload: dict[str, Any] = {"ms_per_face": timing["wall"], "ms_per_face_cpu": timing["cpu"]}
        return replace(card, metrics={**card.metrics, "upload": upload}), {"measured": upload}
    notify(f"evaluating on {len(faces)} faces")
    answers = answer(scorer, faces)
    found = describe(scorer, answers)
    found["evaluation_set"] = dict(request.evaluation_facts or {})
    report: dict[str, Any] = {"measured": found}
    if request.active is not None:
        notify("comparing with the serving version")
        try:
            serving = open_version(request.active)
            report["comparison"] = _against(serving, answers, faces)
        except MienError as error:  # the serving version's trouble is not the candidate's
            report["comparison"] = {"error": error.message}
        found["comparison"] = report["comparison"]
    metrics = {**card.metrics, "upload": found}
    return replace(card, metrics=metrics), report


def _against(serving: Scorer, candidate: Answers, faces: LabelledFaces) -> dict[str, Any]:
    """What would change: what each version serves on the same faces."""
    ours = answer(serving, faces).served.argmax(axis=1)
    theirs = candidate.served.argmax(axis=1)
    right, also = ours == faces.labels, theirs == faces.labels
    pairs = int((right & ~also).sum()), int((also & ~right).sum())
    first, second = float(right.mean()), float(also.mean())
    return {
        "active": serving.card.version,
        "faces": len(faces),
        "heads": {
            "active": serving.card.serving_head,
            "candidate": candidate.card.serving_head,
        },
        "accuracy_active": first,
        "accuracy_candidate": second,
        **compared(len(faces), first, second, pairs),
        "agreement": float((ours == theirs).mean()),
        # rows: what the serving version says; columns: what the candidate says
        "matrix": confusion_matrix(ours.astype(np.int64), theirs.astype(np.int64)).tolist(),
        "ms_active": serving.milliseconds_per_face(faces.images).get("cpu"),
    }


def _label_hint(model: Any, faces: LabelledFaces | None) -> dict[str, Any]:
    """The order of labels, and the pixel range, that fit the evaluation set best, as a suggestion.

    Output ``i`` is matched with the emotion that it fires for, over all one-to-one matchings
    (Hungarian method) and pixel ranges.
    """
    if faces is None or width_of(model) != len(EMOTIONS):
        return {}
    from scipy.optimize import linear_sum_assignment

    from training.admission.networks import RANGES
    from webapp.vision.crops import to_batch

    picked: list[int] = []
    for label in range(len(EMOTIONS)):
        picked += np.flatnonzero(faces.labels == label)[:100].tolist()
    sample = faces.take(np.asarray(picked, np.int64))
    crops = to_batch(list(sample.images), input_spec_of(model))
    head: HeadSpec | None = None
    best: dict[str, Any] = {}
    for pixels, (scale, offset) in RANGES.items():
        answers = keras_logits(model, (crops * scale + offset).astype(np.float32))
        head = head or heads_of(model, answers)[0]
        said = next(iter(answers.values())).argmax(axis=1).astype(np.int64)
        counts = confusion_matrix(said, sample.labels)  # rows: output, columns: emotion
        outputs, emotions = linear_sum_assignment(-counts / np.maximum(counts.sum(axis=0), 1))
        right = float(counts[outputs, emotions].sum() / len(sample))
        if not best or right > best["accuracy"]:
            best = {
                "labels": [EMOTIONS[i] for i in emotions],
                "pixels": pixels,
                "accuracy": right,
            }
    return {"suggestion": best, "suggestion_faces": len(sample)}


def labels_from(value: Sequence[str] | None) -> tuple[str, ...]:
    """Labels of a request; empty where none were given."""
    return tuple(str(name) for name in value or ())
