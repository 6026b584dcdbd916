"""Figures, overlays, widgets: the only place that draws."""

from . import causal, failures, popout, scores, stimuli, tasks, truth, units, words
from .ablations import AblationBrowser
from .browsers import ImageBrowser, UnitBrowser
from .controls import explore, still
from .explorer import UnitExplorer
from .instrument import Instrument
from .stimuli import poster
from .style import colours, label, save, use_style
from .worlds import WorldBrowser

__all__ = [
    "AblationBrowser",
    "ImageBrowser",
    "Instrument",
    "UnitBrowser",
    "UnitExplorer",
    "WorldBrowser",
    "causal",
    "colours",
    "explore",
    "failures",
    "label",
    "popout",
    "poster",
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
