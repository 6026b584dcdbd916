"""Search arrays by condition, and what models make of them."""

import ipywidgets as widgets
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from ...datasets.popout import PopOut
from ...evaluation import Evaluation
from ...findings.lead import MOST
from ...viewing.controls import explore
from ...viewing.pictures import Picture, as_picture, at_height, mapped, montage
from ...viewing.style import label
from .tables import GSI


def ringed(image: Picture, target: np.ndarray) -> Picture:
    """Draw an array with a ring around its target."""
    ys, xs = np.nonzero(target)
    radius = 0.75 * max(np.ptp(ys), np.ptp(xs)) + 6
    canvas = Image.fromarray(image)
    y, x = (ys.min() + ys.max()) / 2, (xs.min() + xs.max()) / 2
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(canvas).ellipse(box, outline=(0, 158, 115), width=max(2, image.shape[1] // 200))
    return np.array(canvas)


class ArrayBrowser:
    """Search arrays by condition: the array, its target ringed, and every model's map of it.

    found: an evaluation of models on all arrays of `data`, one training of each network.
    """

    def __init__(self, data: PopOut, found: Evaluation):
        self.data, self.found = data, found
        self.models = sorted(found.shown, key=lambda m: -found.mean(m, MOST))
        self.table = data.table

    def options(self, column: str) -> list:
        """Return the values that a condition takes, in the design's order."""
        return self.table[column].drop_duplicates().tolist()

    def draw(
        self, feature: str, set_size: int, difference: float, background: str, height: int = 132
    ) -> Picture:
        """Draw the first array of a condition and all models' maps, best model first."""
        asked = {"feature": feature, "set_size": set_size, "difference": difference}
        asked |= {"background": background}
        i = int((self.table[list(asked)] == pd.Series(asked)).all(axis=1).idxmax())
        name, shape = self.data.names[i], at_height(self.data.size_of(i), height)
        image, target = as_picture(self.data.image(i)), self.data.targets(i).numpy()
        maps = [mapped(self.found.shown[model][i], shape) for model in self.models]
        texts = ["target ringed", *(self._scored(model, name) for model in self.models)]
        return montage([ringed(image, target), *maps], texts, columns=5, height=height)

    def _scored(self, model: str, name: str) -> str:
        found = ("not found", "found")[int(self.found.score(model, name, MOST))]
        return f"{label(model)}: {found}, GSI {self.found.score(model, name, GSI):.2f}"

    def widget(self) -> widgets.VBox:
        """Return the controls: feature, set size, difference, background."""
        feature = widgets.Dropdown(options=self.options("feature"))
        background = widgets.Dropdown(options=self.options("background"))
        sliders = {
            c: widgets.SelectionSlider(options=self.options(c), continuous_update=False)
            for c in ("set_size", "difference")
        }
        return explore(self.draw, feature=feature, **sliders, background=background)
