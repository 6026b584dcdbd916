"""What single units respond to: region NSS, dissection of layers, and what can be said of it."""

from .dissect import dissect, dissect_cached
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

__all__ = [
    "Dissection",
    "Interval",
    "Similarity",
    "bootstrap",
    "change",
    "counts",
    "counts_above",
    "dissect",
    "dissect_cached",
    "favouring",
    "favouring_by_layer",
    "favouring_pairs",
    "gain",
    "region_nss",
    "share_significant",
    "significant",
    "similarity",
    "similarity_cached",
    "top_mean",
    "tops",
]
