"""Figures, overlays, widgets: the only place that draws."""

from . import causal, failures, popout, scores, stimuli, units, words
from .ablations import AblationBrowser
from .style import colours, label, save, use_style
from .widgets import ImageBrowser, UnitBrowser, explore, still

__all__ = [
    "AblationBrowser",
    "ImageBrowser",
    "UnitBrowser",
    "causal",
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
