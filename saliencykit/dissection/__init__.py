"""What single units respond to: region NSS, dissection of layers, and what can be said of it.

The modules below hold more: groups of units and their controls, tables of several dissections.
"""

from .ablation import Effects, ablated, ablation_effects
from .contributions import contributions, contributions_cached
from .dissect import dissect, dissect_cached
from .groups import Group, Role, named_groups, unit_moments, unit_moments_cached
from .overlap import Overlap, overlap, overlap_cached
from .region_nss import region_nss
from .report import counts, gain, tops
from .result import Dissection
from .similarity import (
    Similarity,
    similarities,
    similarities_cached,
    similarity,
    similarity_cached,
)
from .top_units import bootstrap, change, favouring, top_mean

__all__ = [
    "Dissection",
    "Effects",
    "Group",
    "Overlap",
    "Role",
    "Similarity",
    "ablated",
    "ablation_effects",
    "bootstrap",
    "change",
    "contributions",
    "contributions_cached",
    "counts",
    "dissect",
    "dissect_cached",
    "favouring",
    "gain",
    "named_groups",
    "overlap",
    "overlap_cached",
    "region_nss",
    "similarities",
    "similarities_cached",
    "similarity",
    "similarity_cached",
    "top_mean",
    "tops",
    "unit_moments",
    "unit_moments_cached",
]
