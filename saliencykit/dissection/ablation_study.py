"""Units chosen on some images and ablated on others: what a notebook asks of one model's layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..datasets import SaliencyDataset
from ..metrics.bilinear import Size
from ..models.saliency import SaliencyModel
from .ablation import Effects, ablation_effects
from .contributions import contributions_cached
from .dissect import dissect_cached
from .groups import Moments, common, named_groups, unit_moments_cached
from .overlap import Overlap, overlap_cached
from .result import Dissection


@dataclass
class AblationStudy:
    """Units of a model's `layer`, chosen on `choose_on` and ablated on `score_on`, all cached.

    The two share no images: the best of many noisy units look better than they are where they
    were chosen. size: the network's input (height, width).
    """

    model: SaliencyModel
    layer: str
    choose_on: SaliencyDataset
    score_on: SaliencyDataset
    size: Size
    seed: int = 0

    @property
    def read_layer(self) -> str:
        """`layer` if the readout reads it, else the deepest that it does: for contributions."""
        return self.layer if self.layer in self.model.layers else self.model.layers[-1]

    @cached_property
    def named(self) -> Dissection:
        """Units of `layer` and `read_layer`, dissected on the images to choose on."""
        layers = list(dict.fromkeys([self.layer, self.read_layer]))
        return dissect_cached(self.model.encoder, self.choose_on, layers, size=self.size)

    @cached_property
    def categories(self) -> list[str]:
        """The categories fixated on enough images of both kinds to choose and to score."""
        scored = common(self.contributions)
        return [c for c in common(self.named) if c in scored]

    @cached_property
    def moments(self) -> Moments:
        """Mean and spread of each unit of `layer` on the images to choose on."""
        found = unit_moments_cached(
            self.model.encoder, self.choose_on, [self.layer], size=self.size
        )
        return found[self.layer]

    def groups(self, k: int, **settings: int | str) -> dict[str, list[int]]:
        """Return each category's `k` best units, and controls; settings: see `named_groups`."""
        return named_groups(
            self.named, self.layer, k, self.moments, self.categories, seed=self.seed, **settings
        )

    def effects(self, groups: Mapping[str, Sequence[int]], to: str = "mean") -> Effects:
        """Set groups of units to their mean on the images to choose on, or to "zero"."""
        value = self.moments.mean if to == "mean" else to
        return ablation_effects(
            self.model, self.score_on, self.layer, groups, value, size=self.size
        )

    @cached_property
    def contributions(self) -> Dissection:
        """What each unit that is read adds to the map, on the images to score on."""
        return contributions_cached(self.model, self.score_on, size=self.size)

    @cached_property
    def overlap(self) -> Overlap:
        """IoU of the units of `layer` with the categories, on the images to choose on."""
        return overlap_cached(self.model.encoder, self.choose_on, [self.layer], size=self.size)
