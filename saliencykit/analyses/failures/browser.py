"""Images from the worst to the best, one after the other."""

import ipywidgets as widgets
import pandas as pd

from ...datasets import SaliencyDataset
from ...evaluation import Evaluation
from ...viewing.controls import explore, slider
from ...viewing.pictures import Picture, montage
from .figures import row


class FailureBrowser:
    """Images from the worst to the best: who looked where, what the model expected, the residual.

    found: an evaluation of `model` on all images of `data`; table: `tables.gaps`.
    """

    def __init__(self, data: SaliencyDataset, found: Evaluation, model: str, table: pd.DataFrame):
        self.data, self.found, self.model, self.table = data, found, model, table

    def draw(self, rank: int = 1) -> Picture:
        """Draw the image with the `rank`-th widest gap."""
        one = self.table.iloc[rank - 1]
        pictures = row(self.data, self.found, self.model, self.data.names.index(one["image"]), 250)
        texts = (
            f"{one['image']}, rank {rank}: fixations and regions",
            f"people: NSS {one['human']:.2f}",
            f"{self.model}: NSS {one['model']:.2f}",
            "residual: red too much, blue too little",
        )
        return montage(pictures, texts, columns=2, height=250)

    def widget(self) -> widgets.VBox:
        """Return the slider over ranks."""
        return explore(self.draw, rank=slider(len(self.table), first=1, value=1))
