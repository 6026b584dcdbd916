"""One model's units: chosen for a category on some images, silenced on others."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..datasets import SaliencyDataset
from ..metrics.upsampling import Size
from ..models.saliency import SaliencyModel
from .ablation import Effects, ablation_effects
from .contributions import contributions_cached
from .dissect import dissect_cached
from .groups import Group, Moments, common, named_groups, unit_moments_cached
from .overlap import Overlap, overlap_cached
from .result import Dissection
from .stream import running_once


class _Chosen(NamedTuple):
    """What one network's units are like on the images to choose on."""

    named: Dissection
    moments: Moments
    contributions: Dissection
    overlap: Overlap


@dataclass
class AblationStudy:
    """Units of one model's `layer`, chosen on `choose_on` and ablated on `score_on`, all cached.

    The layer is the only one that the model reads, so that what its units say is all there is. The
    two sets share no images: the best of many noisy units look better than they are where they were
    chosen. size: the network's input (height, width); seed: of the control groups.
    """

    model: SaliencyModel
    layer: str
    choose_on: SaliencyDataset
    score_on: SaliencyDataset
    size: Size
    seed: int = 0

    @cached_property
    def _chosen(self) -> "_Chosen":
        """All that is asked of the images to choose on, over which the network runs once."""
        encoder, images, layers = self.model.encoder, self.choose_on, [self.layer]
        with running_once(encoder, layers):
            return _Chosen(
                dissect_cached(encoder, images, layers, size=self.size),
                unit_moments_cached(encoder, images, layers, size=self.size)[self.layer],
                contributions_cached(self.model, images, size=self.size),
                overlap_cached(encoder, images, layers, size=self.size),
            )

    @property
    def named(self) -> Dissection:
        """Units of `layer`, dissected on the images to choose on."""
        return self._chosen.named

    @property
    def moments(self) -> Moments:
        """Mean and spread of each unit of `layer` on the images to choose on."""
        return self._chosen.moments

    @cached_property
    def traits(self) -> list[Tensor]:
        """What control units are matched in, (C,) each, on the images to choose on.

        Mean and spread of activation, and what a unit contributes to the map, on average over
        categories: a control group says as much to the readout, wherever it says it.
        """
        found = self._chosen.contributions
        mean = found.selectivity(self.layer).loc[common(found)].mean()
        return [*self.moments, torch.tensor(mean.to_numpy(float))]

    @cached_property
    def contributions(self) -> Dissection:
        """What each unit adds to the map, on the images to score on."""
        return contributions_cached(self.model, self.score_on, size=self.size)

    @property
    def overlap(self) -> Overlap:
        """IoU of the units of `layer` with the categories, on the images to choose on."""
        return self._chosen.overlap

    def groups(
        self,
        k: int,
        categories: Sequence[str] | None = None,
        *,
        matched: int = 5,
        random: int = 10,
        by: str = "selectivity",
    ) -> list[Group]:
        """Return each category's `k` best units, and controls; see `named_groups`."""
        return named_groups(
            self.named,
            self.layer,
            k,
            self.traits,
            categories,
            matched=matched,
            random=random,
            seed=self.seed,
            by=by,
        )

    def effects(self, asked: Mapping[Hashable, Sequence[Group]]) -> dict[Hashable, Effects]:
        """Set groups of units to their mean on the images to choose on; the networks run once."""
        every = list(dict.fromkeys(group for groups in asked.values() for group in groups))
        found = ablation_effects(
            self.model, self.score_on, self.layer, every, self.moments.mean, size=self.size
        )
        return {key: found.only(groups) for key, groups in asked.items()}
