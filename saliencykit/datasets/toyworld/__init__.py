"""Toyworld: drawn scenes, simulated observers, and the truth about both (see `ToyWorld`)."""

from .crops import CROP_CLASSES, crops
from .observers import DEFAULT_WEIGHTS, Observers
from .scenes import SCENES
from .world import ToyWorld

__all__ = ["CROP_CLASSES", "DEFAULT_WEIGHTS", "SCENES", "Observers", "ToyWorld", "crops"]
