"""What an uploaded file is, by its content, and its parts unpacked after they were checked."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.admission.allowed import check_config, parse_config
from training.admission.hdf5 import SIGNATURE, read_hdf5
from webapp.card import CARD_FILE, GOLDEN_FILE, KERAS_FILE, TFLITE_FILE, ModelCard, sha256_of
from webapp.errors import CorruptImage, ModelInvalid, PayloadTooLarge
from webapp.files.archives import Archive, ArchiveLimits, MemberRefused

CONFIG: Final = "config.json"
METADATA: Final = "metadata.json"
WEIGHTS: Final = "model.weights.h5"
_KERAS_PARTS: Final = frozenset({CONFIG, METADATA, WEIGHTS})
_MAX_MEMBERS: Final = 64
_MAX_CARD_BYTES: Final = 8_000_000


@dataclass(frozen=True)
class Found:
    """A file that may be loaded.

    ``kind`` is keras, h5, json, weights or version. ``path``: the ``.h5`` file, or the folder with
    the checked parts. ``config`` is the checked description of a ``.keras`` file; ``card`` that of
    a version archive.
    """

    kind: str
    path: Path
    layers: int = 0
    config: dict[str, Any] | None = None
    card: ModelCard | None = None


def recognise(file: Path, scratch: Path, limit_bytes: int) -> Found:
    """Find out what ``file`` is and check all of it. ``scratch`` is an empty folder for its parts.

    Raises :class:`ModelInvalid` that says what is wrong and what to do.
    """
    with file.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(SIGNATURE):
        text = read_hdf5(file, limit_bytes)
        if text is None:
            return Found("weights", file)
        return Found("h5", file, check_config(parse_config(text)))
    if head.startswith(b"PK"):
        names = _unpack(file, scratch, limit_bytes)
        if {CONFIG, METADATA} <= names:
            return _keras(scratch, names, limit_bytes)
        if CARD_FILE not in names:
            _refuse_others(names)
            described = [name for name in names if name.lower().endswith(".json")]
            weights = [name for name in names if name.lower().endswith((".h5", ".hdf5"))]
            if len(described) == len(weights) == 1:
                return _described(scratch, described[0], weights[0], limit_bytes)
        return _version(scratch, names, limit_bytes)
    raise ModelInvalid(f"{_what(head)} {_EXPECTED}", check="format")


_KERAS_ONLY: Final = "Upload the Keras model that it was made from (.keras or .h5)."
_OTHERS: Final = {
    "/saved_model.pb": "a TensorFlow SavedModel, which may hold any program. Load it where it was "
    'made and save the Keras model as one file: model.save("model.keras").',
    "/data.pkl": "a PyTorch file, which holds a pickle. Rebuild the network in Keras, copy its "
    "weights, and upload the .keras file.",
    ".onnx": f"an ONNX file. {_KERAS_ONLY}",
    ".pb": f"a TensorFlow graph. {_KERAS_ONLY}",
    ".tflite": f"a LiteRT file without a card. {_KERAS_ONLY}",
    ".safetensors": f"a safetensors file. {_KERAS_ONLY}",
    ".npy": f"a set of NumPy arrays. {_KERAS_ONLY}",
    ".index": f"a TensorFlow checkpoint. {_KERAS_ONLY}",
}
_EXPECTED: Final = (
    "Expected a Keras model (.keras or .h5), Keras weights (.weights.h5) with their recipe, or a "
    "ZIP of a version folder."
)


def _what(head: bytes) -> str:
    if not head:
        return "The file is empty."
    if head[:1] == b"\x80" and len(head) > 1 and 2 <= head[1] <= 5:
        return (
            "This is a Python pickle, whatever its name says. A pickle runs program code when it "
            "is opened, so it is refused and was not opened."
        )
    if head[4:8] == b"TFL3":
        return (
            "This is a LiteRT file. It cannot be checked against the Keras model it came from; "
            "upload that one."
        )
    if not head.strip(b"\x00"):
        return "The file begins with zeros and is no model."
    return f"The file is in no format that can be read (it begins with {head[:8].hex(' ')})."


def _unpack(file: Path, scratch: Path, limit_bytes: int) -> frozenset[str]:
    """Unpack a ZIP into ``scratch``, one folder around everything taken off; the names."""
    limits = ArchiveLimits(_MAX_MEMBERS, limit_bytes, limit_bytes, ratio=1000.0)
    try:
        with Archive(file, limits) as archive:
            members = list(archive.members())
            for member in members:
                if member.refused is not None:
                    raise ModelInvalid(
                        f"{member.info.filename[:120]!r} in the ZIP is refused: {member.refused}.",
                        check="archive",
                    )
            tops = {member.path.split("/")[0] for member in members}
            inside = len(tops) == 1 and all("/" in member.path for member in members)
            names: set[str] = set()
            for member in members:
                name = member.path.split("/", 1)[1] if inside else member.path
                if name in names:
                    raise ModelInvalid(
                        f"{name[:120]!r} is in the ZIP twice; which one counts is unclear.",
                        check="archive",
                    )
                names.add(name)
                if "/" in name or name.startswith("."):
                    continue  # nothing below the folder belongs to a model
                with (scratch / name).open("wb") as target:
                    archive.extract(member, target)
    except (CorruptImage, PayloadTooLarge) as error:
        raise ModelInvalid(
            f"{error.message} The file is damaged, cut short or larger than allowed.",
            check="archive",
        ) from error
    except MemberRefused as error:
        raise ModelInvalid(f"A file in the ZIP is refused: {error}.", check="archive") from error
    except zipfile.BadZipFile as error:
        raise ModelInvalid(f"The ZIP is damaged or cut short: {error}.", check="archive") from error
    return frozenset(names)


def _keras(folder: Path, names: frozenset[str], limit_bytes: int) -> Found:
    extra = sorted(names - _KERAS_PARTS)
    if extra:
        raise ModelInvalid(
            f"The .keras file holds {extra[0][:120]!r} beside the network and its weights. Files "
            "that a layer brings along are not loaded here.",
            check="archive",
        )
    if WEIGHTS not in names:
        raise ModelInvalid(f"The .keras file lacks {WEIGHTS}.", check="archive")
    config = parse_config((folder / CONFIG).read_bytes())
    _not_keras_2(folder / METADATA)
    layers = check_config(config)
    with (folder / WEIGHTS).open("rb") as stream:
        if stream.read(8) != SIGNATURE:
            raise ModelInvalid(f"{WEIGHTS} is no HDF5 file.", check="file")
    read_hdf5(folder / WEIGHTS, limit_bytes)
    config.pop("compile_config", None)
    return Found("keras", folder, layers, config)


def _described(folder: Path, described: str, weights: str, limit_bytes: int) -> Found:
    """``model.to_json()`` beside ``model.save_weights()``."""
    config = parse_config((folder / described).read_bytes())
    layers = check_config(config)
    (folder / weights).rename(folder / WEIGHTS)
    with (folder / WEIGHTS).open("rb") as stream:
        if stream.read(8) != SIGNATURE:
            raise ModelInvalid(f"{weights[:120]} is no HDF5 file.", check="file")
    read_hdf5(folder / WEIGHTS, limit_bytes)
    config.pop("compile_config", None)
    return Found("json", folder, layers, config)


def _refuse_others(names: frozenset[str]) -> None:
    """Models of other makers are refused with the way out."""
    for mark, what in _OTHERS.items():
        if any(f"/{name}".endswith(mark) for name in names):
            raise ModelInvalid(f"The ZIP holds {what}", check="format")


def _not_keras_2(metadata: Path) -> None:
    """Keras 2 names the parts of a network otherwise, and Keras 3 reads none of it."""
    try:
        version = str(json.loads(metadata.read_bytes()).get("keras_version", ""))
    except (ValueError, AttributeError, RecursionError):
        return
    if version.startswith(("1.", "2.")):
        raise ModelInvalid(
            f"This .keras file was saved by Keras {version[:12]}, which wrote another format under "
            'the same name. Save the model with that Keras as .h5: model.save("model.h5").',
            check="format",
        )


def _version(folder: Path, names: frozenset[str], limit_bytes: int) -> Found:
    needed = {CARD_FILE, KERAS_FILE, TFLITE_FILE, GOLDEN_FILE}
    if CARD_FILE not in names:
        raise ModelInvalid(
            "The ZIP is neither a .keras file nor a version folder: it holds "
            f"{', '.join(sorted(names)[:5]) or 'nothing'}. {_EXPECTED}",
            check="format",
        )
    if missing := sorted(needed - names):
        raise ModelInvalid(f"The version in the ZIP lacks {', '.join(missing)}.", check="archive")
    if (folder / CARD_FILE).stat().st_size > _MAX_CARD_BYTES:
        raise ModelInvalid(f"{CARD_FILE} is larger than {_MAX_CARD_BYTES} bytes.", check="card")
    try:
        card = ModelCard.from_json(json.loads((folder / CARD_FILE).read_bytes()))
    except (ValueError, RecursionError) as error:
        raise ModelInvalid(f"{CARD_FILE} cannot be read: {error}", check="card") from error
    for name in (KERAS_FILE, TFLITE_FILE, GOLDEN_FILE):
        if card.files.get(name) != sha256_of(folder / name):
            raise ModelInvalid(
                f"{name} is not the file that its card names (SHA-256 differs). It was changed or "
                "damaged after it was published.",
                check="card",
            )
    inner = folder / "keras"
    inner.mkdir()
    with (folder / KERAS_FILE).open("rb") as stream:
        if not stream.read(2).startswith(b"PK"):
            raise ModelInvalid(f"{KERAS_FILE} in the ZIP is no .keras file.", check="format")
    parts = _unpack(folder / KERAS_FILE, inner, limit_bytes)
    if not {CONFIG, METADATA} <= parts:
        raise ModelInvalid(f"{KERAS_FILE} in the ZIP is no .keras file.", check="format")
    found = _keras(inner, parts, limit_bytes)
    return Found("version", inner, found.layers, found.config, card)
