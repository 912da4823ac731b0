"""What a network's outputs are: by how they are made, not by how they happen to add up."""

from __future__ import annotations

from typing import Any, Final

from webapp.errors import ModelInvalid

_PASSING: Final = frozenset({"Reshape", "Flatten", "Identity", "Dropout", "Cast"})
_FINE: Final = frozenset({"softmax", "log_softmax", "linear"})


def last_activation(tensor: Any, depth: int = 0) -> str | None:
    """The name of the function that makes a Keras output, or None where it is unknown."""
    history = getattr(tensor, "_keras_history", None)
    if history is None or depth > 20:
        return None
    layer, node_index, tensor_index = history
    if getattr(layer, "outputs", None):  # a model within the model
        return last_activation(layer.outputs[tensor_index], depth + 1)
    kind = type(layer).__name__
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", None) if callable(activation) else None
    if kind in _PASSING or (kind == "Activation" and name == "linear"):
        before = layer._inbound_nodes[node_index].input_tensors
        return last_activation(before[0], depth + 1) if len(before) == 1 else None
    if kind in ("Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Tanh", "ReLU", "Relu"):
        return {"LogSoftmax": "log_softmax", "HardSigmoid": "hard_sigmoid"}.get(kind, kind.lower())
    return name


def check_outputs(model: Any) -> None:
    """Refuse outputs that are neither seven logits nor seven probabilities.

    Raises :class:`ModelInvalid` with what to do.
    """
    for number, output in enumerate(getattr(model, "outputs", None) or ()):
        name = last_activation(output)
        if name is not None and name not in _FINE:
            raise ModelInvalid(
                f"Output {number + 1} of the network ends with {name}: its values are separate "
                "answers of yes or no, neither logits nor probabilities of one emotion among "
                "seven, so that no share can be read from them. End it with softmax, or with no "
                "activation, train its last layer again and save it.",
                check="outputs",
                activation=name,
            )
