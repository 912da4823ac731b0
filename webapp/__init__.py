"""Mien: reads facial expressions live, in surveys, and under an administrator's control."""

from pathlib import Path

__version__ = "0.2.0"
ROOT = Path(__file__).resolve().parent.parent  # holds webapp/, static/, templates/, models/
