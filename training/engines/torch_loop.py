"""Train networks with two heads with the native torch engine, one checkpoint an epoch.

Everything random in an epoch follows from ``(seed, epoch)``, and the learning rate from the step
number, so a run that was killed goes on from its last whole epoch as if nothing had happened.
"""

from __future__ import annotations

import copy
import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from training.data.augment import resize_batch
from training.data.dataset import LabelledFaces
from training.engines.batches import epoch_batches, in_background
from training.engines.device_batches import OnDevice
from training.engines.distil import Taught
from training.engines.held_back import scores_of
from training.engines.torch_engine import TwoHeads, has_bfloat16, network_of, predict_logits
from training.recipes.recipes import MienRecipe
from training.runs import TimeUp, read_history, write_history
from webapp.errors import MienError
from webapp.files.atomic import replacing

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where and how long to train.

    ``device``: cpu, cuda, or auto, which is cuda where there is one. ``augment_there``: make
    batches on the device (``device_batches.py``); None: on all but the processor. ``compiled``:
    through ``torch.compile``. ``minutes``: stop after the last whole epoch that fits, with
    :class:`TimeUp`; None: train to the end.
    """

    device: str = "cpu"
    augment_there: bool | None = None
    compiled: bool = False
    minutes: float | None = None

    def open(self) -> torch.device:
        """The device. Raises :class:`MienError` where it is not there."""
        has_cuda = torch.cuda.is_available()
        if self.device == "cuda" and not has_cuda:
            raise MienError(
                "Expected a CUDA device. This torch sees none: install its CUDA build, or train "
                "with --device cpu."
            )
        name = self.device if self.device != "auto" else "cuda" if has_cuda else "cpu"
        return torch.device(name)


def _batches(
    training: LabelledFaces,
    recipe: MienRecipe,
    seed: int,
    answers: Taught | None,
    device: torch.device,
    there: bool,
) -> Callable[[int], Iterator[tuple[torch.Tensor, ...]]]:
    """Gives an epoch's batches as tensors on ``device``: pictures, both targets, both weights."""
    if there:
        held = OnDevice(training, recipe, device, answers)
        return lambda epoch: held.epoch(epoch, seed)

    def made_here(epoch: int) -> Iterator[tuple[torch.Tensor, ...]]:
        for batch in in_background(epoch_batches(training, recipe, epoch, seed, answers)):
            arrays = (batch.pictures[:, None], batch.fer2013, batch.ferplus,
                      batch.fer2013_weight, batch.ferplus_weight)  # fmt: skip
            yield tuple(torch.from_numpy(array).to(device) for array in arrays)

    return made_here


def _loss(
    outputs: dict[str, torch.Tensor], targets: Sequence[torch.Tensor], ferplus_weight: float
) -> torch.Tensor:
    """``targets``: those of both heads [n, 7], then both weights [n]."""
    fer2013, ferplus = (
        (functional.cross_entropy(outputs[head], shares, reduction="none") * weight).mean()
        for head, shares, weight in zip(("fer2013", "ferplus"), targets, targets[2:], strict=False)
    )
    return fer2013 + ferplus_weight * ferplus


def _optimizer(network: TwoHeads, recipe: MienRecipe) -> torch.optim.Optimizer:
    learning = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.peak, fused=True)
    return torch.optim.SGD(
        groups, lr=recipe.peak, momentum=recipe.momentum, nesterov=True, fused=True
    )


@torch.no_grad()
def _average(mean: TwoHeads, network: TwoHeads, decay: float) -> None:
    pairs = zip(mean.state_dict().values(), network.state_dict().values(), strict=True)
    for kept, fresh in pairs:
        if kept.dtype.is_floating_point:
            kept.lerp_(fresh, 1 - decay)
        else:
            kept.copy_(fresh)


def _freeze(network: TwoHeads, frozen: bool) -> None:
    """Whether all but the heads stay as they are, the statistics of norms included."""
    for name, part in network.named_children():
        if name not in ("drop", "heads", "fixed"):
            part.requires_grad_(not frozen)
            part.train(not frozen)


def read_checkpoint(run: Path, device: torch.device) -> dict[str, Any]:
    """What :func:`train_mien` kept after the last whole epoch of ``run``.

    Raises :class:`MienError` where it cannot be read.
    """
    try:
        state: dict[str, Any] = torch.load(
            run / CHECKPOINT_FILE, map_location=device, weights_only=True
        )
    except Exception as error:  # torch raises whatever a damaged file leads to
        raise MienError(
            f"Expected the checkpoint of a whole epoch of the torch engine. {CHECKPOINT_FILE} of "
            f"{run} cannot be read ({type(error).__name__}). Start a new run."
        ) from error
    return state


def train_mien(
    run: Path,
    recipe: MienRecipe,
    training: LabelledFaces,
    validation: LabelledFaces,
    *,
    seed: int,
    resume: bool,
    report: Callable[[dict[str, Any]], None],
    begin: Callable[[TwoHeads], None] | None = None,
    answers: Taught | None = None,
    hardware: Hardware | None = None,
) -> TwoHeads:
    """Train and return the averaged network (eval mode, in the memory of the processor).

    ``report`` gets a dict now and then (``event`` step or epoch, with epoch, step, steps, rate,
    loss, seconds left). Writes ``checkpoint.pt`` and ``history.jsonl`` into ``run``. ``begin``
    gives the network its first weights, ``answers`` is what teachers say of ``training``.
    Raises :class:`TimeUp` where ``hardware`` limits the time and it does not suffice.
    """
    began = time.monotonic()
    hardware = hardware or Hardware()
    device = hardware.open()
    torch.manual_seed(seed)
    checkpoint = run / CHECKPOINT_FILE
    resume = resume and checkpoint.exists()
    network = network_of(recipe.network)
    if begin is not None and not resume:
        begin(network)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean: TwoHeads = copy.deepcopy(network).eval()
    optimizer = _optimizer(network, recipe)
    per_epoch = max(1, len(training) // recipe.batch)
    steps = per_epoch * recipe.epochs
    held = resize_batch(validation.images, recipe.serving_side)
    first = 0
    history: list[dict[str, Any]] = []
    if resume:
        state = read_checkpoint(run, device)
        network.load_state_dict(state["network"])
        mean.load_state_dict(state["mean"])
        optimizer.load_state_dict(state["optimizer"])
        first = int(state["epochs_done"])
        history = read_history(run)[:first]
    there = hardware.augment_there
    there = device.type != "cpu" if there is None else there
    batches_of = _batches(training, recipe, seed, answers, device, there)
    # the compiled form shares the weights; what is saved is the network itself
    forward = torch.compile(network) if hardware.compiled else network
    bf16 = has_bfloat16(device)
    for epoch in range(first, recipe.epochs):
        torch.manual_seed(seed * 100_003 + epoch)
        network.train()
        _freeze(network, epoch < recipe.frozen_epochs)
        if epoch == recipe.frozen_epochs:
            optimizer.state.clear()  # a fused step needs the momentum of all parameters or none
        started, losses = time.monotonic(), []
        for number, (pictures, *targets) in enumerate(batches_of(epoch)):
            step = epoch * per_epoch + number
            rate = recipe.rate_of(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                outputs = forward(pictures.contiguous(memory_format=torch.channels_last))
            loss = _loss(outputs, targets, recipe.ferplus_weight)
            value = float(loss.detach())
            if not np.isfinite(value):
                raise MienError(
                    f"Expected a finite loss. Received {value} at step {step}: the training went "
                    "astray. Try a larger --batch, another --seed or a weaker --strength."
                )
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
            **scores_of(predict_logits(mean, held), validation),
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
        passed = time.monotonic() - began
        next_ends = passed + time.monotonic() - started
        limit = math.inf if hardware.minutes is None else 60 * hardware.minutes
        if next_ends > limit and epoch + 1 < recipe.epochs:
            raise TimeUp(f"{epoch + 1} of {recipe.epochs} epochs are done")
    return mean.cpu()
