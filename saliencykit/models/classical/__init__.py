"""Classical saliency models: pure functions of images, no training on fixations.

A new one is one file here that registers a function in `CLASSICAL`, and one import below.
"""

from . import centre, gbvs, itti_koch  # noqa: F401  (each registers itself)
from .table import CLASSICAL, names, parameters, saliency

__all__ = ["CLASSICAL", "names", "parameters", "saliency"]
