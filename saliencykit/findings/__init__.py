"""What the paper found, each asked of a study: several notebooks say something of it.

`FineTuning` (F2), `lead` (F3) and `alike` (F4) each tell one number with an interval over
trainings and images; F1 is `dissection.best_beyond`. Imports studies and the kit, no analysis.
"""

from . import alike, lead
from .fine_tuning import FineTuning
from .labelled import labelled

__all__ = ["FineTuning", "alike", "labelled", "lead"]
