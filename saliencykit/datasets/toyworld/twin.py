"""Scenes that hold what they are asked to hold, as the images of other data do."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ...cache import digest
from .scenes import Asked, Scene, render
from .world import ToyWorld


class TwinWorld(ToyWorld):
    """A toyworld whose scenes hold what is `asked` for, one scene each; all else as `ToyWorld`'s.

    What finds no room is missing: see `compared`.
    """

    def __init__(self, asked: Sequence[Sequence[Asked]], **settings: Any):
        super().__init__(n=len(asked), **settings)
        self.asked = [tuple(one) for one in asked]

    def _image_key(self) -> dict[str, object]:
        asked = [[asdict(one) for one in scene] for scene in self.asked[: self.n]]
        return {**super()._image_key(), "asked": digest(asked)}

    def _render(self, i: int) -> Scene:
        return render(self.seed, i, self.size, self.asked[i])
