"""The model card: what a model version is, how it is fed, and how good it was measured to be.

One card makes the pipeline: the crop geometry, the order of labels and the temperature come from
here and from nowhere else. The idea that a model carries its own data contract is timm's.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from webapp.domain import EMOTIONS
from webapp.errors import ModelInvalid

if TYPE_CHECKING:
    from typing import Self

CARD_FILE = "card.json"
KERAS_FILE = "model.keras"
TFLITE_FILE = "model.tflite"
GOLDEN_FILE = "golden.npz"
CARD_SCHEMA = 1
GOLDEN_TOLERANCE = 1e-3
HEAD_KINDS = ("logits", "probabilities")
_LONGEST_TEXT = 20_000
_LARGEST_FILE = 5_000_000  # bytes; ours have 50,000
_MOST_VALUES, _DEEPEST = 200_000, 30
_LARGEST_NUMBER = 1e15  # a whole one of this size is exact in every language
_LARGEST_SIDE = 1024
_NUMBERS = (
    *("n", "accuracy", "precision_macro", "recall_macro", "f1_macro", "loss", "ece", "ms_per_face"),
)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The network's input: uint8-ranged float32 NHWC pictures in ``[0, 255]``.

    Normalisation is a layer of the network. ``channels`` is 1 (grey) or 3 (grey repeated).
    """

    height: int = 48
    width: int = 48
    channels: int = 1


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How a square crop is cut from a detector box.

    The side is ``scale`` times the longer box side; the centre moves up by ``shift_up`` box
    heights. Parts outside the frame repeat the border.

    The defaults bring our detector's boxes to FER2013's framing: over validation faces set into
    scenes, a half-trained network read the FER+ majority of 76.6 % so, of 76.3 % in the original
    crops, and of 72.8 to 76.9 % with the other scales and shifts in 1.0 to 1.3 and 0.04 to 0.12.
    """

    scale: float = 1.1
    shift_up: float = 0.08


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One output of the network: its LiteRT output index, kind, temperature and label set.

    ``temperature`` divides the logits before softmax; for a head of kind ``probabilities`` the
    logits are the logarithms of the outputs.
    """

    name: str
    output: int = 0
    kind: str = "logits"
    temperature: float = 1.0


def _check_values(payload: object) -> None:
    """Only what can be shown and sent on: finite numbers of a size, encodable texts, not too much
    and not too deep. Raises :class:`ModelInvalid`.
    """
    level, seen = [payload], 0
    for _ in range(_DEEPEST):
        seen += len(level)
        below: list[object] = []
        for value in level:
            if isinstance(value, (int, float)) and not abs(value) <= _LARGEST_NUMBER:
                raise ModelInvalid("Model card: expected finite numbers of at most 1e15.")
            if isinstance(value, str) and not value.isascii():
                _check_text(value)
            if isinstance(value, Mapping):
                below += [*value, *value.values()]
            elif isinstance(value, (list, tuple)):
                below += value
        if seen + len(below) > _MOST_VALUES:
            raise ModelInvalid(f"Model card: expected at most {_MOST_VALUES} values.")
        if not below:
            return
        level = below
    raise ModelInvalid(f"Model card: expected at most {_DEEPEST} levels.")


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ModelInvalid("Model card: a text has half a surrogate pair.") from error


def _check_types(card: ModelCard, refuse: Callable[[str, object], None]) -> None:
    """Every field as it is declared, so that whoever shows a card needs no second look at it."""
    for name in (
        *("version", "recipe", "created", "serving_head", "intended_use", "limits", "licence"),
    ):
        value = getattr(card, name)
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            refuse(f"{name} as text of at most {_LONGEST_TEXT} characters", value)
    numbers = {
        "crop.scale": card.crop.scale,
        "crop.shift_up": card.crop.shift_up,
        "uncertain_below": card.uncertain_below,
        "golden_tolerance": card.golden_tolerance,
        **{f"temperature of {head.name!r}": head.temperature for head in card.heads},
    }
    integers = {
        "input.height": card.input.height,
        "input.width": card.input.width,
        "input.channels": card.input.channels,
        "schema": card.schema,
        **{f"output of {head.name!r}": head.output for head in card.heads},
    }
    for name, value in (numbers | integers).items():
        kinds = int if name in integers else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            refuse(f"{name} as a number", value)
    for head in card.heads:
        if not isinstance(head.name, str) or not isinstance(head.kind, str):
            refuse("name and kind of a head as text", asdict(head))
    for name in ("files", "metrics", "data", "training"):
        value = getattr(card, name)
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            refuse(f"{name} as an object", value)
    if not all(isinstance(one, str) for one in card.files.values()):
        refuse("the SHA-256 of each file as text", dict(card.files))


def _are_figures(value: object) -> bool:
    """Numbers, or lists and objects of them; texts and nothing at all are not wrong either, but
    not where a number is expected.
    """
    if isinstance(value, Mapping):
        numbers = (value[name] for name in _NUMBERS if value.get(name) is not None)
        return all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    return value is None or isinstance(value, (int, float, str, list))


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is served of several heads: a log-linear product of their probabilities.

    Each head's logits divided by its temperature are added with its weight in ``weights`` (0 to 1
    each), then ``adjustment`` (one number for each emotion; Menon et al. 2021 subtract a share of
    the logarithm of the training prior); ``temperature`` divides the sum before softmax.
    """

    weights: Mapping[str, float]
    temperature: float = 1.0
    adjustment: tuple[float, ...] = (0.0,) * len(EMOTIONS)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything that is known of one model version; see ``card.json``.

    ``golden_tolerance`` is the largest absolute difference of logits from ``golden.npz`` with
    which it may serve; a network that multiplies in int8 needs more of it than one in float32.
    ``serving_head`` is what the app shows, unless ``mixture`` joins others to it; its label set is
    what the app's answers are judged by.
    """

    version: str
    recipe: str
    created: str
    input: InputSpec = field(default_factory=InputSpec)
    crop: CropSpec = field(default_factory=CropSpec)
    heads: tuple[HeadSpec, ...] = (HeadSpec("fer2013"),)
    serving_head: str = "fer2013"
    mixture: Mixture | None = None
    uncertain_below: float = 0.4
    golden_tolerance: float = GOLDEN_TOLERANCE
    emotions: tuple[str, ...] = EMOTIONS
    files: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    intended_use: str = ""
    limits: str = ""
    licence: str = ""
    schema: int = CARD_SCHEMA

    def __post_init__(self) -> None:
        def refuse(expected: str, received: object) -> None:
            raise ModelInvalid(f"Model card: expected {expected}. Received {repr(received)[:500]}.")

        _check_types(self, refuse)
        if self.schema != CARD_SCHEMA:
            refuse(f"schema {CARD_SCHEMA}", self.schema)
        if tuple(self.emotions) != EMOTIONS:
            refuse(f"the labels {EMOTIONS} in this order", self.emotions)
        if not self.version or "/" in self.version or self.version.startswith("."):
            refuse("a version that can be a folder name", self.version)
        sides = (self.input.height, self.input.width)
        if self.input.channels not in (1, 3) or min(sides) < 8 or max(sides) > _LARGEST_SIDE:
            refuse(
                f"an input of 8x8 to {_LARGEST_SIDE}x{_LARGEST_SIDE}, 1 or 3 channels",
                asdict(self.input),
            )
        if not 0.2 <= self.crop.scale <= 5 or abs(self.crop.shift_up) > 1:
            refuse("a crop scale in [0.2, 5] and |shift_up| <= 1", asdict(self.crop))
        if not self.heads or len({head.name for head in self.heads}) != len(self.heads):
            refuse("at least one head, each with its own name", [h.name for h in self.heads])
        for head in self.heads:
            if head.kind not in HEAD_KINDS or not 0.01 <= head.temperature <= 100:
                refuse(f"a head of kind {HEAD_KINDS}, temperature in [0.01, 100]", asdict(head))
        if self.serving_head not in {head.name for head in self.heads}:
            refuse("a serving head that is one of the heads", self.serving_head)
        if self.mixture is not None:
            self._check_mixture(self.mixture, refuse)
        if not 0 <= self.uncertain_below <= 1:
            refuse("uncertain_below in [0, 1]", self.uncertain_below)
        if not 0 < self.golden_tolerance <= 2:
            refuse("golden_tolerance in (0, 2]", self.golden_tolerance)

    def _check_mixture(self, mixture: Mixture, refuse: Callable[[str, object], None]) -> None:
        weights = mixture.weights
        if (
            not weights
            or not set(weights) <= {head.name for head in self.heads}
            or not all(0 <= weight <= 1 for weight in weights.values())
            or not any(weights.values())
        ):
            refuse("weights in [0, 1] of heads, not all 0", dict(weights))
        if not 0.01 <= mixture.temperature <= 100:
            refuse("a mixture's temperature in [0.01, 100]", mixture.temperature)
        if len(mixture.adjustment) != len(EMOTIONS) or not all(
            abs(value) <= 10 for value in mixture.adjustment
        ):
            refuse("an adjustment of seven numbers in [-10, 10]", mixture.adjustment)

    def mixture_facts(self) -> dict[str, Any] | None:
        """``{"weights": {head: 0 to 1}, "adjusted": bool}`` of what serves, None for one head."""
        if self.mixture is None:
            return None
        return {"weights": dict(self.mixture.weights), "adjusted": any(self.mixture.adjustment)}

    def head(self, name: str | None = None) -> HeadSpec:
        """The head of that name, by default the serving one. Raises :class:`ModelInvalid`."""
        wanted = name or self.serving_head
        for head in self.heads:
            if head.name == wanted:
                return head
        raise ModelInvalid(f"Model {self.version} has no head {wanted!r}.", head=wanted)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Self:
        """Parse a card. Raises :class:`ModelInvalid` naming what is wrong."""
        _check_values(payload)
        try:
            fields = dict(payload)
            fields["input"] = InputSpec(**fields.get("input", {}))
            fields["crop"] = CropSpec(**fields.get("crop", {}))
            fields["heads"] = tuple(HeadSpec(**head) for head in fields.get("heads", ()))
            if (mixture := fields.get("mixture")) is not None:
                if not isinstance(mixture, Mapping):
                    raise TypeError(f"mixture: expected an object. Received {mixture!r}.")
                adjustment = tuple(mixture.get("adjustment", (0.0,) * len(EMOTIONS)))
                fields["mixture"] = Mixture(**{**mixture, "adjustment": adjustment})
            fields["emotions"] = tuple(fields.get("emotions", ()))
            card = cls(**fields)
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelInvalid(f"Model card cannot be read: {str(error)[:500]}") from error
        for name, figures in card.metrics.items():
            if not _are_figures(figures):
                raise ModelInvalid(f"Model card: expected numbers as the figures of {name!r}.")
        return card

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``card.json`` of a version folder. Raises :class:`ModelInvalid`."""
        path = folder / CARD_FILE
        try:
            if path.stat().st_size > _LARGEST_FILE:
                raise ValueError(f"it has more than {_LARGEST_FILE} bytes")
            payload = json.loads(path.read_text(encoding="utf-8"))
        except RecursionError as error:
            raise ModelInvalid(f"{path.name} of {folder.name} is nested too deeply.") from error
        except (OSError, ValueError) as error:
            raise ModelInvalid(f"{path.name} of {folder.name} cannot be read: {error}") from error
        if not isinstance(payload, dict):
            raise ModelInvalid(f"{path.name} of {folder.name}: expected a JSON object.")
        return cls.from_json(payload)

    def save(self, folder: Path) -> None:
        text = json.dumps(self.to_json(), indent=2, sort_keys=True) + "\n"
        (folder / CARD_FILE).write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
