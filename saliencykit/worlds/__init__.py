"""Worlds whose truth is known, and what is told of networks that were trained on them."""

from .calibration import CHANGE, MAP, NUMBERS, READOUTS, Calibration, decides, some
from .planted import FLAT, Plan, Worlds

__all__ = [
    "CHANGE",
    "FLAT",
    "MAP",
    "NUMBERS",
    "READOUTS",
    "Calibration",
    "Plan",
    "Worlds",
    "decides",
    "some",
]
