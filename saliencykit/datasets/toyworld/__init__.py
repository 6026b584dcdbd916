"""Toyworld: drawn scenes, simulated observers, and the truth about both (see `ToyWorld`)."""

from .crops import CROP_CLASSES, contact_sheet, crops, scene_sheet
from .observers import DEFAULT_WEIGHTS, Observers
from .recover import recovered_weights
from .scenes import SCENES
from .world import ToyWorld

__all__ = [
    "CROP_CLASSES",
    "DEFAULT_WEIGHTS",
    "SCENES",
    "Observers",
    "ToyWorld",
    "contact_sheet",
    "crops",
    "recovered_weights",
    "scene_sheet",
]
