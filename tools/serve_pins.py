"""``python tools/serve_pins.py`` writes deploy/requirements-serve.txt from requirements.txt."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy" / "requirements-serve.txt"
ONLY_CONVERTING = ("tensorflow", "keras", "h5py")  # they make a serving file of a Keras model
HEAD = "# requirements.txt without what only converts Keras models; by tools/serve_pins.py\n"


def serving() -> str:
    """The file's content."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line.strip() and not line.startswith("#")]
    kept = [pin for pin in pins if re.split(r"[=;\[ ]", pin)[0].lower() not in ONLY_CONVERTING]
    return HEAD + "\n".join(kept) + "\n"


if __name__ == "__main__":
    TARGET.write_text(serving(), encoding="utf-8")
