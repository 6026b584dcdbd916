"""What the paper found, each asked of a study: several notebooks say something of it.

`fine_tuning` (F2), `lead` (F3) and `alike` (F4) each compute one number with an interval over
trainings and images; F1 is `dissection.best_beyond`. Imports studies and the kit, no analysis.
"""

from . import alike, lead

__all__ = ["alike", "lead"]
