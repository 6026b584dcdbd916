"""Notebook 00's attraction: planted weights beside what is found, intervals over images."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from saliencykit.analyses.data import figures
from saliencykit.analyses.data.sentences import what_we_see
from saliencykit.analyses.data.tables import BACKGROUND, attraction, describe
from saliencykit.datasets.toyworld import ToyWorld
from saliencykit.evaluation import CENTRE
from tests.conftest import Blobs


def test_planted_weights_stand_beside_what_is_found():
    pure = {"individual": 0.0, "inhibition": 1.0, "scatter": 0.0, "contrast": 0.0, "centre": 0.0}
    world = ToyWorld(n=60, size=(60, 80), fixations=40, **pure)
    table = attraction(world, n=100).set_index("category")
    inside = table["planted"].between(table["low"], table["high"]).drop(BACKGROUND)
    assert inside.mean() > 0.7
    assert np.isclose(table["planted"].drop(BACKGROUND).mean(), 1)
    figure = figures.attraction(table.reset_index())
    assert figure.axes[0].get_legend() is not None
    plt.close(figure)


def test_few_images_have_no_interval_and_nothing_planted_no_mark():
    table = attraction(Blobs(12), n=20).set_index("category")
    assert table[["low", "high", "planted"]].isna().all(axis=None)
    assert table.loc["bright", "value"] > 5 * table.loc["dark", "value"]
    figure = figures.attraction(table.reset_index())
    assert figure.axes[0].get_legend() is None
    plt.close(figure)


def test_a_data_set_without_regions_has_its_notebook_all_the_same():
    class Bare(Blobs):
        def regions(self, i):
            return []

    data = Bare(12)
    shown = attraction(data, n=20)
    assert list(shown) == list(attraction(Blobs(12), n=20))
    assert shown.empty
    figure, cuts = figures.category_sheet(data)
    assert cuts.empty
    for one in (figure, figures.attraction(shown)):
        assert "no regions of" in one.texts[0].get_text()
        plt.close(one)
    ceiling = pd.DataFrame({"metric": ["nss"] * 2, "model": ["human", CENTRE]})
    ceiling = ceiling.assign(mean=[2.0, 1.0], low=0.5, high=2.5)
    text = what_we_see(data, describe(data), shown, ceiling, {})
    assert "No regions are annotated" in text
    assert "people look most" not in text
