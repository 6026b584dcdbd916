"""What the paper's authors report, as far as our numbers stand beside it: stated here alone.

He, Tavakoli, Borji, Mi & Pugeault, *Understanding and Visualizing Deep Visual Saliency Models*,
CVPR 2019, arXiv 1903.02501: of their ResNet-18, each category's mean region NSS of the ten best
units before and after fine-tuning, and how many units exceed T = 1.5.
"""

from typing import NamedTuple

NETWORK = "ResNet-18"
UNITS = 512
"""Of the layer whose units they tell."""
ALL = "all categories"


class Reported(NamedTuple):
    """A reported number, or the least and the most where only a range is known."""

    least: float
    most: float

    @classmethod
    def just(cls, value: float) -> "Reported":
        """Return a number that is known by itself."""
        return cls(value, value)

    def __str__(self) -> str:
        """Return "0.78" or "0.8–1.1"."""
        return "–".join(f"{round(end, 2):g}" for end in dict.fromkeys(self))


TOP_TEN = {
    "person_head": (Reported.just(0.78), Reported.just(2.44)),
    "text": (Reported.just(0.77), Reported.just(2.52)),
    ALL: (Reported(0.8, 1.1), Reported(2.3, 2.6)),
}
"""By category, before and after; of all together the range is known."""
ABOVE = {ALL: (Reported.just(0), Reported.just(256))}
"""Units above T, before and after; after, *about* so many."""
UNKNOWN = Reported.just(float("nan"))


def gained(category: str) -> float:
    """Return by how much a category's ten best units gained; NaN if that is not known."""
    before, after = TOP_TEN.get(category, (UNKNOWN, UNKNOWN))
    return after.most - before.most
