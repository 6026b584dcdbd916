"""Ratios of search arrays that tables of scores take, one a name: `msr` returns two at once."""

from torch import Tensor

from .maps import Maps
from .odd_one_out import msr
from .table import ARRAY_METRICS, metric


@metric("target", "distractors", label="MSR of the target", unit="ratio", table=ARRAY_METRICS)
def msr_target(saliency: Maps, target: Maps, distractors: Maps) -> Tensor:
    """Maximum saliency ratio of the target to the distractors: the first of `msr`, undilated.

    Unit: none. Range: 0 to infinity for maps that are nowhere negative; above 1 where the target
    stands out. −1 where the map is 0 on all distractors; NaN where a mask is empty or the map has
    NaN.

    Args:
        saliency: map (H, W) or (B, H, W), tensor or array.
        target: mask of the same size, bool or 0…1.
        distractors: mask of the same size, bool or 0…1.

    Returns:
        float64 scalar tensor or (B,).

    Raises:
        ValueError: sizes differ, or a mask leaves 0…1.

    Source: Kotseruba et al. 2019.
    """
    return msr(saliency, target, distractors).target
