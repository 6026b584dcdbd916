"""What several analyses draw with: style, plots, pictures, claims, controls."""

from IPython.display import Markdown

from . import claims, units
from .browsers import ImageBrowser, UnitBrowser
from .controls import explore, still
from .pictures import poster
from .style import colours, label, use_style

__all__ = [
    "ImageBrowser",
    "Markdown",
    "UnitBrowser",
    "claims",
    "colours",
    "explore",
    "label",
    "poster",
    "still",
    "units",
    "use_style",
]
