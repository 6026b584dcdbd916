"""What single units respond to: region NSS, dissection of layers, and what can be said of it."""

from .ablation import Effects, ablated, ablation_effects
from .ablation_study import AblationStudy
from .agreement import method_agreement, same_labels
from .carried import carried
from .causal import ablation_matrix, losses, losses_by, specificity
from .contributions import contributions, contributions_cached
from .dissect import dissect, dissect_cached
from .groups import (
    Moments,
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
    "AblationStudy",
    "Dissection",
    "Effects",
    "Interval",
    "Moments",
    "Overlap",
    "Similarity",
    "ablated",
    "ablation_effects",
    "ablation_matrix",
    "best_groups",
    "bootstrap",
    "carried",
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
    "losses",
    "losses_by",
    "matched_groups",
    "method_agreement",
    "most_selective",
    "named_groups",
    "overlap",
    "overlap_cached",
    "random_groups",
    "rank_agreement",
    "region_nss",
    "same_labels",
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
