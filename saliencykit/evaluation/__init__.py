"""Models × images × metrics: whose maps are scored, the scores, people's, and what they say."""

from . import failures, popout, truth
from .human import BLURS, ObserverCurve, human_baselines, human_ceiling, observer_curve
from .learning import learning
from .predictors import Predictor, classical_maps, file_maps, network_maps, prior_maps
from .scoring import DEFAULT_METRICS, Evaluation, evaluate
from .statistics import difference, interval, joined, pairwise, spread, summary
from .worlds import Plan, Worlds

__all__ = [
    "BLURS",
    "DEFAULT_METRICS",
    "Evaluation",
    "ObserverCurve",
    "Plan",
    "Predictor",
    "Worlds",
    "classical_maps",
    "difference",
    "evaluate",
    "failures",
    "file_maps",
    "human_baselines",
    "human_ceiling",
    "interval",
    "joined",
    "learning",
    "network_maps",
    "observer_curve",
    "pairwise",
    "popout",
    "prior_maps",
    "spread",
    "summary",
    "truth",
]
