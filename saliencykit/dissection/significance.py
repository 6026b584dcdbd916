"""Permutation significance of selectivity, streamed: constant memory however many images.

The null hypothesis is that a unit's response does not depend on what is in the image where people
look; that people look near the centre, or at few places, is kept, because every image keeps its
layout of regions and fixations. Shuffled is which image's regions are laid over which image's
activations, among the images of one batch.

Plain permutations are drawn, identity and fixed points included, not derangements. The former are
a group, so with the observed pairing counted in, p = (1 + #{null ≥ observed}) / (K + 1) is exact:
it never rejects a true null more often than it says (Hemerik & Goeman 2018, theorem 2).
Derangements are none and give no such promise. The price is power: on average one image of a batch
keeps its own regions, so the null holds 1/batch of a real effect. With 16 images that is little.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Null:
    """Sums of region scores per category and unit under K shuffles, and as observed.

    Memory: K × categories × units × 4 bytes per layer.
    """

    def __init__(self, permutations: int, n_categories: int, seed: int = 0):
        self.permutations, self.n_categories = permutations, n_categories
        self.random = torch.Generator().manual_seed(seed)
        self.null: dict[str, Tensor] = {}
        self.observed: dict[str, Tensor] = {}
        self.partners = torch.zeros(permutations, 0, dtype=torch.long)

    def shuffle(self, n_images: int) -> None:
        """Draw, for each permutation, whose activations each image's regions are laid over.

        Called once a batch: all layers of the batch see the same shuffles.
        """
        order = torch.rand(self.permutations, n_images, generator=self.random)
        self.partners = order.argsort(1)

    def add(
        self, layer: str, scores: Tensor, owner: Tensor, category: Sequence[int], fixated: Tensor
    ) -> None:
        """Add a batch: scores (B, R, C) of every region on every image; the rest are (R,).

        Regions that are not `fixated` (their scores are NaN) take no part, observed or shuffled.
        """
        scores = scores[:, fixated.to(scores.device)]
        n_images, _, n_units = scores.shape
        owner = owner[fixated].to(scores.device)
        code = torch.as_tensor(category)[fixated].to(scores.device)
        if layer not in self.null:
            shape = (self.n_categories, n_units)
            self.null[layer] = scores.new_zeros(self.permutations, *shape)
            self.observed[layer] = scores.new_zeros(shape)
        partners = self.partners.to(scores.device)
        shuffles = torch.arange(self.permutations, device=scores.device)
        for c in code.unique().tolist():
            of_c = code == c
            images, group = owner[of_c].unique(return_inverse=True)
            # (B, G, C): sums of the category's regions of image g, laid over image b
            laid = scores.new_zeros(n_images, len(images), n_units)
            laid.index_add_(1, group, scores[:, of_c])
            choice = scores.new_zeros(self.permutations, n_images, len(images))
            for g, image in enumerate(images.tolist()):
                choice[shuffles, partners[:, image], g] = 1
            self.null[layer][:, c].addmm_(choice.flatten(1), laid.flatten(0, 1))
            self.observed[layer][c] += laid[images, torch.arange(len(images))].sum(0)

    def p_values(self, layer: str) -> Tensor:
        """Return (2, categories, units) float32: one-sided p for "greater" and for "less"."""
        null, observed = self.null[layer], self.observed[layer]
        slack = 1e-5 * (1 + observed.abs())  # sums in another order are equal, not greater
        above = (null >= observed - slack).sum(0)
        below = (null <= observed + slack).sum(0)
        p = (1 + torch.stack([above, below])).float() / (1 + self.permutations)
        return p.masked_fill(observed.isnan(), torch.nan).cpu()  # a unit that answered NaN
