"""Codes that let somebody listen: short enough to type, too many to guess."""

from __future__ import annotations

import secrets

# Crockford's base 32: no I, L, O, U. Twelve characters are 60 bits.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 12
_GROUP = 4
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


def new_code() -> str:
    """A fresh code such as ``7KQ2-M9XP-4TVA``."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(text[i : i + _GROUP] for i in range(0, _LENGTH, _GROUP))


def plain(code: str) -> str:
    """The code as it is compared: upper case, without dashes, misread letters mended."""
    return code.strip().upper().translate(_MISREAD)[: 4 * _LENGTH]
