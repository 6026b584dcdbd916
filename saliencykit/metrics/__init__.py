"""Numbers about maps: pure functions of tensors or arrays, for one image or a batch.

`METRICS` is the table of all that compare a saliency map with what people did; a new metric is one
function under `@metric(...)` in a module imported here. Knows no data set and no model.
"""

from .blur import default_sigma, density, gaussian_blur
from .distribution import cc, kl, sim
from .extrapolation import PowerLaw, limits, power_law
from .observers import by_observers, leave_one_out, leave_one_out_maps, split_half
from .odd_one_out import MSR, fixations_to_find, gsi, most_salient, msr, msr_target
from .points import InformationGain
from .pointwise import ig, nss
from .roc import auc, auc_borji, auc_judd, auc_shuffled, auc_shuffled_exact
from .table import ARRAY_METRICS, METRICS, Metric, metric, scores
from .transport import emd


def names() -> list[str]:
    """Return every registered metric's name."""
    return list(METRICS)


__all__ = [
    "ARRAY_METRICS",
    "METRICS",
    "MSR",
    "InformationGain",
    "Metric",
    "PowerLaw",
    "auc",
    "auc_borji",
    "auc_judd",
    "auc_shuffled",
    "auc_shuffled_exact",
    "by_observers",
    "cc",
    "default_sigma",
    "density",
    "emd",
    "fixations_to_find",
    "gaussian_blur",
    "gsi",
    "ig",
    "kl",
    "leave_one_out",
    "leave_one_out_maps",
    "limits",
    "metric",
    "most_salient",
    "msr",
    "msr_target",
    "names",
    "nss",
    "power_law",
    "scores",
    "sim",
    "split_half",
]
