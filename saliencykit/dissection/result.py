"""What a dissection found: region NSS of every unit in every region, and what follows from it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from .. import cache
from ..intervals import adjusted
from ..registry import check_name


@dataclass(frozen=True)
class Dissection:
    """Region NSS by layer.

    `scores[layer]`: (R, C) float32, NaN in regions without fixations; `regions`: DataFrame of R
    rows (image, category, sure, fixations: their number); `categories`: all of the data set's;
    `p[layer]`: (2, categories, C) permutation p-values for "greater" and "less", empty if
    `permutations` is 0.
    """

    scores: dict[str, Tensor]
    regions: pd.DataFrame
    categories: tuple[str, ...]
    permutations: int = 0
    p: dict[str, Tensor] = field(default_factory=dict)

    @property
    def layers(self) -> list[str]:
        """The dissected layers, in the order asked for."""
        return list(self.scores)

    @property
    def fingerprint(self) -> str:
        """Hash of scores and regions, for cache keys."""
        return cache.digest(self.scores, self.regions.to_dict("list"), list(self.categories))

    def of(self, layer: str) -> Tensor:
        """Return scores (R, C) of `layer`. Raises UnknownNameError naming those dissected."""
        return self.scores[check_name("dissected layer", layer, self.scores)]

    def codes(self) -> Tensor:
        """Return (R,) int64: index into `categories` of each region."""
        index = pd.Index(self.categories)
        return torch.tensor(index.get_indexer(pd.Index(self.regions["category"])), dtype=torch.long)

    def selectivity(self, layer: str) -> pd.DataFrame:
        """Return S, categories × units: mean region NSS over the category's regions.

        Regions without fixations are left out; a category without any region left is NaN.
        """
        sums, counts = self.sums(layer, self.codes(), len(self.categories))
        return self._table((sums / counts[:, None]).float())

    def sums(self, layer: str, group: Tensor, n_groups: int) -> tuple[Tensor, Tensor]:
        """Return sums (n_groups, C) float64 of scores by `group` (R,), and their numbers."""
        scores = self.of(layer)
        fixated = torch.tensor((self.regions["fixations"] > 0).tolist(), dtype=torch.bool)
        sums = torch.zeros(n_groups, scores.shape[1], dtype=torch.float64)
        sums.index_add_(0, group[fixated], scores[fixated].double())
        return sums, torch.bincount(group[fixated], minlength=n_groups).double()

    def p_values(self, layer: str, *, adjust: bool = True, two_sided: bool = False) -> pd.DataFrame:
        """Return permutation p-values, categories × units; NaN for a category without regions.

        One-sided (selectivity greater than by chance) unless `two_sided`; adjusted by
        Benjamini–Hochberg over the layer's units × categories unless `adjust` is False. Raises
        ValueError if the dissection was made without permutations.
        """
        self.of(layer)
        if not self.p:
            raise ValueError("no p-values: dissect again with permutations=1000, say")
        greater, less = self.p[layer]
        p = (2 * torch.minimum(greater, less)).clamp(max=1) if two_sided else greater.clone()
        _, counts = self.sums(layer, self.codes(), len(self.categories))
        p[counts == 0] = torch.nan
        return self._table(adjusted(p) if adjust else p)

    def subset(self, images: Collection[str]) -> "Dissection":
        """Return the dissection of `images` only (without p-values, which were for all of them)."""
        keep = self.regions["image"].isin(list(images))
        rows = torch.tensor(keep.tolist(), dtype=torch.bool)
        scores = {k: v[rows] for k, v in self.scores.items()}
        return Dissection(scores, self.regions.loc[keep].reset_index(drop=True), self.categories)

    def _table(self, values: Tensor) -> pd.DataFrame:
        index = pd.Index(self.categories, name="category")
        columns = pd.RangeIndex(values.shape[1], name="unit")
        return pd.DataFrame(values.numpy(), index=index, columns=columns)

    def to_entry(self) -> cache.Entry:
        """Return what `cache.write` and `cache.cached` store."""
        tensors = {f"scores/{k}": v for k, v in self.scores.items()}
        tensors |= {f"p/{k}": v for k, v in self.p.items()}
        meta = {
            "layers": self.layers,
            "categories": list(self.categories),
            "permutations": self.permutations,
            "regions": self.regions.to_dict(orient="list"),
        }
        return cache.Entry(tensors, meta)

    @classmethod
    def from_entry(cls, entry: cache.Entry) -> "Dissection":
        """Rebuild from `to_entry`'s result."""
        meta, tensors = entry.meta, entry.tensors
        return cls(
            scores={k: tensors[f"scores/{k}"] for k in meta["layers"]},
            regions=pd.DataFrame(meta["regions"]),
            categories=tuple(meta["categories"]),
            permutations=meta["permutations"],
            p={k: tensors[f"p/{k}"] for k in meta["layers"] if f"p/{k}" in tensors},
        )

    def save(self, path: Path) -> None:
        """Write as one safetensors file, wholly or not at all."""
        cache.write(Path(path), self.to_entry())

    @classmethod
    def load(cls, path: Path) -> "Dissection":
        """Read what `save` wrote. Raises ValueError, naming the file, if damaged."""
        return cls.from_entry(cache.read(Path(path)))
