"""Figures, overlays, widgets: the only place that draws."""

from . import failures, popout, scores, stimuli, units, words
from .style import colours, label, save, use_style
from .widgets import ImageBrowser, UnitBrowser, explore, still

__all__ = [
    "ImageBrowser",
    "UnitBrowser",
    "colours",
    "explore",
    "failures",
    "label",
    "popout",
    "save",
    "scores",
    "still",
    "stimuli",
    "units",
    "use_style",
    "words",
]
