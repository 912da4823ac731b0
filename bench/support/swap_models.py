"""Two versions whose answers tell them apart; run as a process, because Keras builds them.

``python -m bench.support.swap_models FOLDER`` writes ``FOLDER/mostly-angry`` and
``FOLDER/mostly-happy``: each says its emotion with over 90 % on every picture, and differs a
little between pictures. Their networks are of the shipped one's kind and cost.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from training.evaluation.scoring import input_spec_of
from training.litert import quieten
from training.publishing.compiled import compile_model
from training.recipes.networks import build_mien
from webapp.card import ModelCard
from webapp.domain import EMOTIONS

VERSIONS = {"mostly-angry": "angry", "mostly-happy": "happy"}
BIAS = 8.0


def main(folder: Path) -> None:
    quieten()
    import keras

    for seed, (version, emotion) in enumerate(VERSIONS.items()):
        keras.utils.set_random_seed(seed)
        model = build_mien(side=44)
        for head in ("fer2013", "ferplus"):
            kernel, bias = model.get_layer(head).get_weights()
            bias = np.zeros_like(bias)
            bias[EMOTIONS.index(emotion)] = BIAS
            model.get_layer(head).set_weights([0.2 * kernel, bias])
        compiled = compile_model(model)
        target = folder / version
        target.mkdir(parents=True)
        files = compiled.write(target)
        ModelCard(
            version,
            "bench",
            f"2026-01-0{seed + 1}T00:00:00+00:00",
            input=input_spec_of(compiled.model),
            heads=compiled.heads,
            serving_head="ferplus",
            files=files,
            intended_use="Measuring swaps: the weights are random.",
        ).save(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
