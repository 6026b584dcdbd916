"""What single units respond to: region NSS, dissection of layers, and what can be said of it."""

from .ablation import Effects, ablated, ablation_effects
from .contributions import contributions, contributions_cached
from .controls import best_beyond, decoding_beyond
from .decoding import decoded
from .dimensions import participation_ratio, unit_dimensions, unit_dimensions_cached
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

__all__ = [
    "Dissection",
    "Effects",
    "Group",
    "Interval",
    "Moments",
    "Overlap",
    "Role",
    "Similarity",
    "ablated",
    "ablation_effects",
    "best_beyond",
    "best_groups",
    "bootstrap",
    "change",
    "contributions",
    "contributions_cached",
    "counts",
    "counts_above",
    "decoded",
    "decoding_beyond",
    "dissect",
    "dissect_cached",
    "favouring",
    "gain",
    "label_agreement",
    "matched_groups",
    "most_selective",
    "named_groups",
    "overlap",
    "overlap_cached",
    "participation_ratio",
    "random_groups",
    "rank_agreement",
    "region_nss",
    "share_significant",
    "similarity",
    "similarity_cached",
    "top_mean",
    "tops",
    "unit_dimensions",
    "unit_dimensions_cached",
    "unit_moments",
    "unit_moments_cached",
    "with_controls",
]
