"""What single units respond to: region NSS, dissection of layers, and what can be said of it."""

from .ablation import Effects, ablated, ablation_effects
from .contributions import contributions, contributions_cached, map_parts
from .dissect import dissect, dissect_cached
from .groups import (
    Group,
    Moments,
    Role,
    best_groups,
    matched_groups,
    most_selective,
    named_groups,
    random_groups,
    unit_moments,
    unit_moments_cached,
    with_controls,
)
from .overlap import Overlap, label_agreement, overlap, overlap_cached, rank_agreement
from .region_nss import region_nss
from .report import counts, gain, tops
from .result import Dissection
from .similarity import Similarity, similarity, similarity_cached
from .top_units import (
    Interval,
    bootstrap,
    change,
    counts_above,
    favouring,
    share_significant,
    top_mean,
)
from .trainings import OverTrainings, Statistic, best_of, mean_of, singles

__all__ = [
    "Dissection",
    "Effects",
    "Group",
    "Interval",
    "Moments",
    "OverTrainings",
    "Overlap",
    "Role",
    "Similarity",
    "Statistic",
    "ablated",
    "ablation_effects",
    "best_groups",
    "best_of",
    "bootstrap",
    "change",
    "contributions",
    "contributions_cached",
    "counts",
    "counts_above",
    "dissect",
    "dissect_cached",
    "favouring",
    "gain",
    "label_agreement",
    "map_parts",
    "matched_groups",
    "mean_of",
    "most_selective",
    "named_groups",
    "overlap",
    "overlap_cached",
    "random_groups",
    "rank_agreement",
    "region_nss",
    "share_significant",
    "similarity",
    "similarity_cached",
    "singles",
    "top_mean",
    "tops",
    "unit_moments",
    "unit_moments_cached",
    "with_controls",
]
