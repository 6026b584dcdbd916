"""Figures, overlays, widgets: the only place that draws."""

from . import causal, failures, popout, scores, stimuli, tasks, truth, units, words
from .ablations import AblationBrowser
from .style import colours, label, save, use_style
from .widgets import ImageBrowser, UnitBrowser, explore, still
from .worlds import WorldBrowser

__all__ = [
    "AblationBrowser",
    "ImageBrowser",
    "UnitBrowser",
    "WorldBrowser",
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
    "tasks",
    "truth",
    "units",
    "use_style",
    "words",
]
