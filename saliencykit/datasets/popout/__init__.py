"""Search arrays drawn by code: one odd item among many, with exact masks (see `PopOut`)."""

from .arrays import BACKGROUNDS, Drawing, SearchArray, draw
from .dataset import PopOut
from .features import FEATURES
from .people import BY_PEOPLE, EFFICIENT, INEFFICIENT, search_of

__all__ = [
    "BACKGROUNDS",
    "BY_PEOPLE",
    "EFFICIENT",
    "FEATURES",
    "INEFFICIENT",
    "Drawing",
    "PopOut",
    "SearchArray",
    "draw",
    "search_of",
]
