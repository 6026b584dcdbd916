"""Search arrays drawn by code: one odd item among many, with exact masks (see `PopOut`)."""

from .arrays import BACKGROUNDS, Drawing, SearchArray, draw
from .dataset import PopOut
from .features import FEATURES

__all__ = ["BACKGROUNDS", "FEATURES", "Drawing", "PopOut", "SearchArray", "draw"]
