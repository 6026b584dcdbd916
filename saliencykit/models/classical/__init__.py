"""Classical saliency models: pure functions of images, no training on fixations.

A new one is one file here that registers a function in `CLASSICAL`, and one import below.
"""

from . import (  # noqa: F401  (each registers itself)
    aim,
    bms,
    centre,
    covsal,
    gbvs,
    image_signature,
    itti_koch,
    spectral_residual,
)
from .table import CLASSICAL, names, parameters, saliency

__all__ = ["CLASSICAL", "names", "parameters", "saliency"]
