"""Worlds whose truth is known, and what is told of networks that were trained on them."""

from .calibration import MAP, NUMBERS, Calibration, some
from .planted import FLAT, Plan, Worlds

__all__ = ["FLAT", "MAP", "NUMBERS", "Calibration", "Plan", "Worlds", "some"]
