"""What single units respond to: region NSS, dissection of layers, and what can be said of it.

The modules below hold more: groups of units and their controls, tables of several dissections.
"""

from .ablation import Effects, ablated, ablation_effects
from .contributions import contributions, contributions_cached, map_parts
from .controls import best_beyond, decoding_beyond, decoding_beyond_cached
from .decoding import decoded
from .dimensions import participation_ratio, unit_dimensions, unit_dimensions_cached
from .dissect import dissect, dissect_cached
from .groups import Group, Role, named_groups, unit_moments, unit_moments_cached
from .overlap import Overlap, overlap, overlap_cached
from .region_nss import region_nss
from .report import counts, gain, tops
from .result import Dissection
from .sharded import Sharded
from .similarity import (
    Similarity,
    similarities,
    similarities_cached,
    similarity,
    similarity_cached,
)
from .top_units import bootstrap, change, top_mean
from .trainings import OverTrainings, Statistic, above, best_of, mean_of, over_trainings, singles

__all__ = [
    "Dissection",
    "Effects",
    "Group",
    "OverTrainings",
    "Overlap",
    "Role",
    "Sharded",
    "Similarity",
    "Statistic",
    "ablated",
    "ablation_effects",
    "above",
    "best_beyond",
    "best_of",
    "bootstrap",
    "change",
    "contributions",
    "contributions_cached",
    "counts",
    "decoded",
    "decoding_beyond",
    "decoding_beyond_cached",
    "dissect",
    "dissect_cached",
    "gain",
    "map_parts",
    "mean_of",
    "named_groups",
    "over_trainings",
    "overlap",
    "overlap_cached",
    "participation_ratio",
    "region_nss",
    "similarities",
    "similarities_cached",
    "similarity",
    "similarity_cached",
    "singles",
    "top_mean",
    "tops",
    "unit_dimensions",
    "unit_dimensions_cached",
    "unit_moments",
    "unit_moments_cached",
]
