"""Models × images × metrics: whose maps are scored, the scores, people's, and what they say."""

from .bits import fold_of, looks, read_layers, read_together, weighed
from .fitted import FITTED_METRICS, evaluate_fitted, fitted_to
from .people import (
    BLURS,
    FixationGains,
    ObserverCurve,
    fixation_gains,
    human_baselines,
    human_blur,
    human_ceiling,
    observer_curve,
)
from .predictors import (
    CENTRE,
    Kind,
    Predictor,
    classical_maps,
    file_maps,
    model_maps,
    network_maps,
    prior_maps,
)
from .regions import PEOPLE, human_regions, human_regions_cached
from .scoring import DEFAULT_METRICS, Evaluation, evaluate
from .summary import spread, summary
from .trainings import Evaluations

__all__ = [
    "BLURS",
    "CENTRE",
    "DEFAULT_METRICS",
    "FITTED_METRICS",
    "PEOPLE",
    "Evaluation",
    "Evaluations",
    "FixationGains",
    "Kind",
    "ObserverCurve",
    "Predictor",
    "classical_maps",
    "evaluate",
    "evaluate_fitted",
    "file_maps",
    "fitted_to",
    "fixation_gains",
    "fold_of",
    "human_baselines",
    "human_blur",
    "human_ceiling",
    "human_regions",
    "human_regions_cached",
    "looks",
    "model_maps",
    "network_maps",
    "observer_curve",
    "prior_maps",
    "read_layers",
    "read_together",
    "spread",
    "summary",
    "weighed",
]
