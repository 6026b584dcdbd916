"""Several data sets as one: photographs and search arrays, say, to train on together."""

from torch import Tensor

from .base import SaliencyDataset
from .types import Fixations, Region


class Joined(SaliencyDataset):
    """The images of several data sets, one after the other, named "<data set>/<image>".

    Each image keeps its fixations, regions and scene. Raises ValueError if two parts share a name.
    """

    def __init__(self, *parts: SaliencyDataset):
        self.parts = {part.name: part for part in parts}
        if len(self.parts) < len(parts):
            raise ValueError(f"two of {', '.join(p.name for p in parts)} share a name")
        self.name = "+".join(self.parts)
        self.categories = tuple(dict.fromkeys(c for p in parts for c in p.categories))
        self.scenes = tuple(dict.fromkeys(s for p in parts for s in p.scenes))
        self.pooled = any(part.pooled for part in parts)
        self.around_gaze = any(part.around_gaze for part in parts)
        self.shareable = all(part.shareable for part in parts)
        self._place = {f"{p.name}/{n}": (p, i) for p in parts for i, n in enumerate(p.names)}
        self.names = list(self._place)

    def _at(self, i: int) -> tuple[SaliencyDataset, int]:
        return self._place[self.names[i]]

    def image(self, i: int) -> Tensor:
        """Return stimulus `i` as uint8 (3, H, W)."""
        part, k = self._at(i)
        return part.image(k)

    def fixations(self, i: int) -> Fixations:
        """Return the fixations on stimulus `i`."""
        part, k = self._at(i)
        return part.fixations(k)

    def size_of(self, i: int) -> tuple[int, int]:
        """Return (height, width) of stimulus `i`."""
        part, k = self._at(i)
        return part.size_of(k)

    def regions(self, i: int) -> list[Region]:
        """Return the annotated regions of stimulus `i`."""
        part, k = self._at(i)
        return part.regions(k)

    def scene(self, i: int) -> str | None:
        """Return the scene class of stimulus `i`, if known."""
        part, k = self._at(i)
        return part.scene(k)

    def split_of(self, name: str) -> str:
        """Return the split that stimulus `name` has in its own data set."""
        part, k = self._place[name]
        return part.split_of(part.names[k])

    def contents(self) -> object:
        """Return what identifies the parts."""
        return [part.fingerprint for part in self.parts.values()]
