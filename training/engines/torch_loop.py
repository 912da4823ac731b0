"""Train the recipe ``mien`` with the native torch engine, one checkpoint an epoch.

Everything random in an epoch follows from ``(seed, epoch)``, and the learning rate from the step
number, so a run that was killed goes on from its last whole epoch as if nothing had happened.
"""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from training.data.augment import resize_batch
from training.data.batches import Batch, epoch_batches, in_background
from training.data.dataset import LabelledFaces, ferplus_majority
from training.engines.distil import FloatArray, Taught
from training.engines.torch_engine import MienTorch, has_bfloat16, predict_logits
from training.engines.warm_start import Start, load_into
from training.recipes.recipes import MienRecipe
from training.runs import read_history, replacing, write_history

CHECKPOINT_FILE = "checkpoint.pt"


def _loss(outputs: dict[str, torch.Tensor], batch: Batch, ferplus_weight: float) -> torch.Tensor:
    def weighed(head: str, targets: FloatArray, weight: FloatArray) -> torch.Tensor:
        each = functional.cross_entropy(outputs[head], torch.from_numpy(targets), reduction="none")
        return (each * torch.from_numpy(weight)).mean()

    hard = weighed("fer2013", batch.fer2013, batch.fer2013_weight)
    return hard + ferplus_weight * weighed("ferplus", batch.ferplus, batch.ferplus_weight)


def _optimizer(network: MienTorch, recipe: MienRecipe) -> torch.optim.SGD:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    return torch.optim.SGD(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=recipe.peak,
        momentum=recipe.momentum,
        nesterov=True,
        fused=True,
    )


@torch.no_grad()
def _average(mean: MienTorch, network: MienTorch, decay: float) -> None:
    pairs = zip(mean.state_dict().values(), network.state_dict().values(), strict=True)
    for kept, fresh in pairs:
        if kept.dtype.is_floating_point:
            kept.lerp_(fresh, 1 - decay)
        else:
            kept.copy_(fresh)


def validate(network: MienTorch, faces: LabelledFaces, side: int) -> dict[str, float]:
    """Accuracy of both heads: ``fer2013`` on the labels, ``ferplus`` on the FER+ majorities."""
    logits = predict_logits(network, resize_batch(faces.images, side))
    majority = ferplus_majority(faces.votes)
    known = majority >= 0
    fer2013 = float((logits["fer2013"].argmax(1) == faces.labels).mean())
    ferplus = (
        float((logits["ferplus"].argmax(1) == majority)[known].mean())
        if known.any()
        else float("nan")
    )
    return {"fer2013": fer2013, "ferplus": ferplus}


def train_mien(
    run: Path,
    recipe: MienRecipe,
    training: LabelledFaces,
    validation: LabelledFaces,
    *,
    seed: int,
    resume: bool,
    report: Callable[[dict[str, Any]], None],
    start: Start | None = None,
    answers: Taught | None = None,
) -> MienTorch:
    """Train and return the averaged network (eval mode).

    ``report`` gets a dict now and then (``event`` step or epoch, with epoch, step, steps, rate,
    loss, seconds left). Writes ``checkpoint.pt`` and ``history.jsonl`` into ``run``. ``start`` is
    the version whose weights it begins with, ``answers`` what teachers say of ``training``.
    """
    torch.manual_seed(seed)
    network = MienTorch(recipe.network)
    if start is not None:
        load_into(network, start, training.images, recipe.serving_side)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean: MienTorch = copy.deepcopy(network).eval()
    optimizer = _optimizer(network, recipe)
    per_epoch = max(1, len(training) // recipe.batch)
    steps = per_epoch * recipe.epochs
    first = 0
    history: list[dict[str, Any]] = []
    checkpoint = run / CHECKPOINT_FILE
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        mean.load_state_dict(state["mean"])
        optimizer.load_state_dict(state["optimizer"])
        first = int(state["epochs_done"])
        history = read_history(run)[:first]
    bf16 = has_bfloat16()
    for epoch in range(first, recipe.epochs):
        torch.manual_seed(seed * 100_003 + epoch)
        network.train()
        started, losses = time.monotonic(), []
        batches = in_background(epoch_batches(training, recipe, epoch, seed, answers))
        for number, batch in enumerate(batches):
            step = epoch * per_epoch + number
            rate = recipe.rate_of(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            x = torch.from_numpy(batch.pictures)[:, None]
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                outputs = network(x)
            loss = _loss(outputs, batch, recipe.ferplus_weight)
            value = float(loss.detach())
            if not np.isfinite(value):
                raise FloatingPointError(f"The loss became {value} at step {step}; lower the rate.")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            # A fixed decay would keep the first, random weights for long: grow into it.
            _average(mean, network, min(recipe.averaging, (1 + step) / (10 + step)))
            losses.append(value)
            spent = time.monotonic() - started
            left = spent / (number + 1) * (per_epoch - number - 1)
            report({"event": "step", "epoch": epoch + 1, "epochs": recipe.epochs,
                    "step": number + 1, "steps": per_epoch, "rate": rate, "loss": value,
                    "epoch_seconds_left": left})  # fmt: skip
        row = {
            "epoch": epoch + 1,
            "side": recipe.side_of(epoch),
            "rate": rate,
            "loss": float(np.mean(losses)),
            "seconds": round(time.monotonic() - started, 1),
            **{f"val_{k}": v for k, v in validate(mean, validation, recipe.serving_side).items()},
        }
        history = [*history, row]
        # through memory: torch writing to a full disk raises RuntimeError without the cause
        packed = io.BytesIO()
        torch.save(
            {
                "network": network.state_dict(),
                "mean": mean.state_dict(),
                "optimizer": optimizer.state_dict(),
                "epochs_done": epoch + 1,
            },
            packed,
        )
        with replacing(checkpoint) as stream:
            stream.write(packed.getbuffer())
        write_history(run, history)
        report({"event": "epoch", "epochs": recipe.epochs, **row})
    return mean
