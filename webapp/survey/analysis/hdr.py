"""High dynamic range as standard: what phones film in HLG and PQ, as a picture shows it.

Without it a video in PQ is read grey and flat. Formulas: ITU-R BT.2100-2, tables 4 and 5;
diffuse white is 203 cd/m2 (ITU-R BT.2408).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Final

PQ: Final = 16  # transfer characteristics of ITU-T H.273, as FFmpeg names them
HLG: Final = 18
_WHITE_NITS: Final = 203.0
_KNEE: Final = 0.75  # of diffuse white; what is brighter is pressed together above it


def _pq_nits(signal: float) -> float:
    m1, m2, c1, c2, c3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    power = float(signal ** (1 / m2))
    return float(10_000 * (max(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1))


def _hlg_nits(signal: float) -> float:
    """On a display of 1,000 cd/m2, whose system gamma is 1.2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = signal * signal / 3 if signal <= 0.5 else (math.exp((signal - c) / a) + b) / 12
    return float(1000 * scene**1.2)


def _srgb(light: float) -> float:
    if light > _KNEE:
        light = 1 - (1 - _KNEE) * math.exp((_KNEE - light) / (1 - _KNEE))
    return 12.92 * light if light <= 0.0031308 else float(1.055 * light ** (1 / 2.4) - 0.055)


_NITS: Final[dict[int, Callable[[float], float]]] = {PQ: _pq_nits, HLG: _hlg_nits}


@cache
def standard_range(transfer: int) -> list[int] | None:
    """For each of 256 levels of red, green and blue the level of sRGB; None where it is no HDR.

    ``transfer``: the transfer characteristics that the video states.
    """
    nits = _NITS.get(transfer)
    if nits is None:
        return None
    return [round(255 * _srgb(nits(level / 255) / _WHITE_NITS)) for level in range(256)] * 3
