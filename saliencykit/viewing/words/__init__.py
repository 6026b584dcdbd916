"""What a figure shows, in sentences made from its numbers, so that they cannot contradict it."""

from . import truth
from .causal import ablation, contribution, diagonal, methods
from .models import data_set, model_scores
from .phrases import listed, number, verdict
from .popout import failures, pop_out, remedies
from .tasks import task_or_domain
from .units import best_of_all, fine_tuning, pretrained

__all__ = [
    "ablation",
    "best_of_all",
    "contribution",
    "data_set",
    "diagonal",
    "failures",
    "fine_tuning",
    "listed",
    "methods",
    "model_scores",
    "number",
    "pop_out",
    "pretrained",
    "remedies",
    "task_or_domain",
    "truth",
    "verdict",
]
