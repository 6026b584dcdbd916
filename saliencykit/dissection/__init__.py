"""What single units respond to: region NSS, dissection of layers, and what can be said of it."""

from .ablation import Effects, ablated, ablation_effects
from .causal import ablation_matrix, specificity
from .contributions import contributions, contributions_cached
from .dissect import dissect, dissect_cached
from .groups import (
    Moments,
    matched_groups,
    most_selective,
    random_groups,
    unit_moments,
    unit_moments_cached,
    with_controls,
)
from .overlap import Overlap, label_agreement, overlap, overlap_cached, rank_agreement
from .region_nss import region_nss
from .report import counts, favouring_by_layer, favouring_pairs, gain, significant, tops
from .result import Dissection
from .similarity import Similarity, similarity, similarity_cached
from .statistics import (
    Interval,
    bootstrap,
    change,
    counts_above,
    favouring,
    share_significant,
    top_mean,
)
from .task_share import drift, gains, shares

__all__ = [
    "Dissection",
    "Effects",
    "Interval",
    "Moments",
    "Overlap",
    "Similarity",
    "ablated",
    "ablation_effects",
    "ablation_matrix",
    "bootstrap",
    "change",
    "contributions",
    "contributions_cached",
    "counts",
    "counts_above",
    "dissect",
    "dissect_cached",
    "drift",
    "favouring",
    "favouring_by_layer",
    "favouring_pairs",
    "gain",
    "gains",
    "label_agreement",
    "matched_groups",
    "most_selective",
    "overlap",
    "overlap_cached",
    "random_groups",
    "rank_agreement",
    "region_nss",
    "share_significant",
    "shares",
    "significant",
    "similarity",
    "similarity_cached",
    "specificity",
    "top_mean",
    "tops",
    "unit_moments",
    "unit_moments_cached",
    "with_controls",
]
