"""`centre`: the same Gaussian on every image, what every model has to beat."""

from torch import Tensor

from ..centre import CentrePrior
from .table import CLASSICAL


@CLASSICAL.register("centre")
def centre(images: Tensor, sd_x: float = 0.25, sd_y: float = 0.25) -> Tensor:
    """Return a centred Gaussian for each of images (B, 3, H, W): (B, H, W), maximum at most 1.

    `sd_x`, `sd_y`: standard deviations as shares of width and height. `models.CentrePrior.fit`
    fits them, and the centre, to a training set.
    """
    return CentrePrior(sd_x=sd_x, sd_y=sd_y)(images)
