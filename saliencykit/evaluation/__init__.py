"""Models × images × metrics: whose maps are scored, the scores, people's, and what they say."""

from .people import BLURS, ObserverCurve, human_baselines, human_blur, human_ceiling, observer_curve
from .predictors import (
    CENTRE,
    Kind,
    Predictor,
    classical_maps,
    file_maps,
    network_maps,
    prior_maps,
)
from .regions import PEOPLE, human_regions, human_regions_cached
from .scoring import DEFAULT_METRICS, Evaluation, evaluate
from .summary import difference, joined, pairwise, spread, summary

__all__ = [
    "BLURS",
    "CENTRE",
    "DEFAULT_METRICS",
    "PEOPLE",
    "Evaluation",
    "Kind",
    "ObserverCurve",
    "Predictor",
    "classical_maps",
    "difference",
    "evaluate",
    "file_maps",
    "human_baselines",
    "human_blur",
    "human_ceiling",
    "human_regions",
    "human_regions_cached",
    "joined",
    "network_maps",
    "observer_curve",
    "pairwise",
    "prior_maps",
    "spread",
    "summary",
]
