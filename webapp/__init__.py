"""Mien: reads facial expressions live, in surveys, and under an administrator's control."""

__version__ = "0.1.0"
