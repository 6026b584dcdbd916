"""Encoders, readouts, training. Knows no metric but its loss."""

from . import classical, tasks, toyvgg
from .calibration import calibrated
from .catalogue import Listed, catalogue
from .centre import CentrePrior
from .checkpoints import by_name, keep, kept_models, model_names
from .composite import Composite, TwoScales, WithContrast, build_encoder
from .encoders import Encoder, Tapped, encoder_names
from .fitted import Fitted, fit
from .pysaliency_models import PysaliencyModel, from_pysaliency, to_pysaliency
from .saliency import Classifier, SaliencyModel, upsample
from .stimuli import features, stimuli
from .training import Settings, Training, train, train_side_by_side

__all__ = [
    "CentrePrior",
    "Classifier",
    "Composite",
    "Encoder",
    "Fitted",
    "Listed",
    "PysaliencyModel",
    "SaliencyModel",
    "Settings",
    "Tapped",
    "Training",
    "TwoScales",
    "WithContrast",
    "build_encoder",
    "by_name",
    "calibrated",
    "catalogue",
    "classical",
    "encoder_names",
    "features",
    "fit",
    "from_pysaliency",
    "keep",
    "kept_models",
    "model_names",
    "stimuli",
    "tasks",
    "to_pysaliency",
    "toyvgg",
    "train",
    "train_side_by_side",
    "upsample",
]
