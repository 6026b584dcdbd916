"""People against people: what a model can be measured against."""

from collections.abc import Sequence

import pandas as pd
import torch
from tqdm.auto import tqdm

from ..cache import Entry, cached, code_version
from ..datasets import SaliencyDataset
from ..metrics import leave_one_out

BLURS = (0.0075, 0.01, 0.015, 0.02, 0.03)  # standard deviations, shares of the longer side


def human_ceiling(data: SaliencyDataset, metrics: Sequence[str] = ("nss", "auc")) -> pd.DataFrame:
    """Score people against people: each observer predicted by all others, mean over observers.

    Same columns as `evaluate`, model "human". NSS depends on how far the others' fixations are
    blurred, and a ceiling should not be low for want of the right blur, so of `BLURS` the one that
    predicts these people best is taken; the other metrics, which depend on it little, use
    `metrics.default_sigma`. An image that fewer than two people looked at is NaN. Cached.
    """

    def compute() -> Entry:
        sizes = [data.size_of(i) for i in range(len(data))]
        seen = [data.fixations(i).inside(*s, data.names[i]) for i, s in enumerate(sizes)]
        found = {}
        for metric in metrics:
            blurs = BLURS if metric == "nss" else [None]
            tries = torch.empty(len(blurs), len(data), dtype=torch.float64)
            for k, blur in enumerate(tqdm(blurs, desc=f"human {metric}, {data.name}", leave=False)):
                for i, (f, size) in enumerate(zip(seen, sizes, strict=True)):
                    sigma = blur and blur * max(size)
                    scores = leave_one_out(f.x, f.y, f.observer, size, metric, sigma)
                    tries[k, i] = scores.nanmean()
            found[metric] = tries[tries.nanmean(1).argmax()]
        return Entry(found)

    code = code_version("metrics", "evaluation/human.py", "datasets/types.py")
    key = {"code": code, "data": data.fingerprint, "metrics": list(metrics)}
    values = cached("human", key, compute).tensors
    parts = [
        pd.DataFrame(
            {"model": "human", "image": data.names, "metric": m, "value": values[m].numpy()}
        )
        for m in metrics
    ]
    return pd.concat(parts, ignore_index=True)
