"""The process: ``python -m training.admission FOLDER``.

``FOLDER/request.json`` holds ``kind`` (``model`` or ``faces``) and what it needs; what is being
done is kept in ``FOLDER/progress.json`` and the answer is ``FOLDER/result.json``: ``{"ok": ...}``
or the error shape. Standard input is held open by the caller: when it ends, so does this process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from training.admission.confine import confine, end_with_parent
from webapp.errors import MienError, ModelInvalid
from webapp.files import atomic

REQUEST: Final = "request.json"
PROGRESS: Final = "progress.json"
RESULT: Final = "result.json"
NICENESS: Final = 10
Notify = Callable[[str], None]


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]).resolve()
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # what serves goes first
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    enforced, strict = confine(
        folder,
        int(request["memory_mb"]),
        int(request["seconds"]),
        4 * int(request["limit_bytes"]) + (64 << 20),
    )
    end_with_parent()  # a thread, and what is given up holds for those that start afterwards
    began = time.monotonic()

    def notify(step: str) -> None:
        seconds = round(time.monotonic() - began, 1)
        atomic.write(
            folder / PROGRESS, json.dumps({"step": step, "seconds": seconds}), private=True
        )

    try:
        notify("starting")
        if request["kind"] == "faces":
            done = _faces(request, folder, notify)
        else:
            done = _model(request, folder, notify, strict)
        answer: dict[str, Any] = {"ok": done | {"enforced": enforced}}
    except MienError as error:
        answer = error.to_json()
    except MemoryError:
        answer = ModelInvalid("The check ran out of the memory it may use.").to_json()
    except OSError as error:
        answer = MienError(f"The check could not go on: {error.strerror or error}.").to_json()
    atomic.write(folder / RESULT, json.dumps(answer), private=True)
    return 0


def _model(
    request: Mapping[str, Any], folder: Path, notify: Notify, strict: Callable[[], None]
) -> dict[str, Any]:
    from training.admission.admit import Request, admit, labels_from
    from training.publish import make_durable

    def path(name: str) -> Path | None:
        return Path(request[name]) if request.get(name) else None

    done = admit(
        Request(
            file=folder / request["file"],
            filename=request["filename"],
            version=request["version"],
            limit_bytes=int(request["limit_bytes"]),
            recipe=request.get("recipe") or None,
            labels=labels_from(request.get("labels")),
            pixels=request.get("pixels") or "0-255",
            licence=request.get("licence") or "",
            uploaded_by=request.get("uploaded_by") or "",
            evaluation=path("evaluation"),
            evaluation_facts=request.get("evaluation_facts"),
            active=path("active"),
        ),
        folder,
        notify,
        lambda: _start_keras(strict),
    )
    if (folder / "version").is_dir():
        make_durable(folder / "version")
    return done


def _start_keras(strict: Callable[[], None]) -> None:
    """Import TensorFlow on one thread; nothing is unpickled after that."""
    # Keras would import it for its plots, and it searches the whole system for fonts
    sys.modules["matplotlib"] = None  # type: ignore[assignment]
    try:
        import keras  # noqa: F401
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise MienError(
            f"This server cannot check models: {error.name} is not installed. "
            "Install requirements.txt, or put a published version into the models folder."
        ) from error

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    strict()


def _faces(request: Mapping[str, Any], folder: Path, notify: Notify) -> dict[str, Any]:
    from training.admission.faces import read_zip, save_faces

    notify("reading the pictures")
    faces, refused = read_zip(folder / request["file"], int(request["limit_bytes"]))
    save_faces(faces, folder / "faces.npz")
    return {
        "faces": len(faces),
        "class_counts": faces.class_counts,
        "fingerprint": faces.fingerprint,
        "left_out": refused,
    }
