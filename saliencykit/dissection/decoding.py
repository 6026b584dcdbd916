"""What a whole layer knows of a region's category: cross-validated linear decoding.

Single best units may miss what many units say together. A linear classifier reads a fixated
region's category from the region NSS of all units of a layer.
"""

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .groups import common
from .result import Dissection

FOLDS = 5


def decoded(res: Dissection, layer: str, seed: int = 0) -> pd.DataFrame:
    """Return what each fixated region is taken for: image, category, named (a category, or "").

    Regions of the categories on `MIN_IMAGES` images or more. Five folds, images whole and dealt at
    random: all regions of an image are named by a classifier that saw none of them. Ridge
    regression on ±1 by category, units standardised, categories weighted alike, so that chance is
    one over their number for each. The penalty is the number of units, so that a priori the units
    together explain as much as noise does, however wide the layer is. "": nothing to tell apart.
    """
    wanted = (res.regions["fixations"] > 0) & res.regions["category"].isin(common(res))
    table = res.regions.loc[wanted, ["image", "category"]].reset_index(drop=True)
    if table["category"].nunique() < 2:
        return table.assign(named="")
    scores = res.of(layer)[torch.tensor(wanted.to_numpy())].double().numpy()
    classifier = RidgeClassifier(scores.shape[1], class_weight="balanced")
    reader = make_pipeline(StandardScaler(), classifier)
    split = PredefinedSplit(_fold_of(table["image"], seed))
    return table.assign(named=cross_val_predict(reader, scores, table["category"], cv=split))


def _fold_of(images: pd.Series, seed: int) -> np.ndarray:
    """Return the fold (R,) of each region, the same for all of an image."""
    code, names = pd.factorize(images)
    return (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[code]
