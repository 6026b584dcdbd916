"""Is what was planted found? Tables that hold recovered favouring against planted weights.

A category's *advantage* is its change minus the mean change of the others (see
`beyond_others`), by one of two controls: "before" compares the fine-tuned network with
itself before fine-tuning, as He et al. (CVPR 2019) do (a map has no before: its advantage is then
that of its own region NSS); "flat" with the same network fine-tuned where nothing is favoured.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from ...datasets import CATEGORIES
from ...dissection import Dissection, bootstrap, favouring
from ...dissection.readout_maps import MAP
from ...dissection.top_units import paired_draws
from ...intervals import (
    RATE,
    adjusted,
    bounds,
    rank_correlation,
    resampled,
    student_p,
    summarised,
    tail_p,
    wilson,
)
from ...worlds import FLAT, NOTHING, Plan, Worlds

CONTROLS = ("before", "flat")
DRAWS = 1000
SIZES = ["training", "dissected"]
Key = tuple[str, str]  # layer, control


def plans(categories: Sequence[str], factors: Sequence[float]) -> list[Plan]:
    """Return one world for each category and factor, all other weights equal."""
    return [Plan(category, float(factor)) for category in categories for factor in factors]


def groups(n: int, base: str = FLAT.base) -> list[Plan]:
    """Return `n` worlds that differ from `base` only in who looked."""
    return [Plan(group=g, base=base) for g in range(1, n + 1)]


class Recovery:
    """Advantages of all categories in many worlds, by layer (the map among them) and control."""

    def __init__(self, worlds: Worlds, plans: Iterable[Plan], top: int = 10):
        self.worlds, self.plans, self.top = worlds, list(plans), top
        self.keys: list[Key] = list(product([*worlds.read, MAP], CONTROLS))
        self.results = {
            plan: worlds.fine_tuned(plan)
            for plan in tqdm(self.plans, desc="worlds, fine-tuned", leave=False)
        }
        self.found = {
            (plan, *key): self._advantages(plan, *key)
            for plan, key in product(self.plans, self.keys)
        }

    def _pair(self, plan: Plan, control: str) -> tuple[Dissection, Dissection]:
        return self.results[plan][control], self.results[plan]["after"]

    def _advantages(self, plan: Plan, layer: str, control: str) -> tuple[Tensor, Tensor]:
        pair = self._pair(plan, control)
        if plan == FLAT and control == "flat":  # the control itself
            return torch.zeros(len(CATEGORIES)), torch.zeros(DRAWS, len(CATEGORIES))
        return advantages(*pair, layer, self.top, DRAWS, self.worlds.seed)

    @property
    def comparable(self) -> pd.DataFrame:
        """The part of `table` where at most one category is favoured; not the control itself."""
        table, alike = self.table, [str(p) for p in self.plans if p.base == FLAT.base]
        itself = (table["world"] == str(FLAT)) & (table["control"] == "flat")
        return table[table["world"].isin(alike) & ~itself]

    @property
    def table(self) -> pd.DataFrame:
        """Return world, favoured, factor, layer, control, category, planted, value … p_adjusted."""
        parts = []
        for (plan, layer, control), (value, draws) in self.found.items():
            head = {"world": str(plan), "favoured": plan.category, "factor": plan.factor}
            rows = advantage_table(CATEGORIES, value, draws)
            rows.insert(1, "planted", [plan.weights[c] for c in rows["category"]])
            parts.append(pd.DataFrame({**head, "layer": layer, "control": control}, rows.index)
                         .join(rows))  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def favouring(self, plans: Sequence[Plan], pair: Sequence[str]) -> pd.DataFrame:
        """Return by how much the first of `pair` gained more than the second in some worlds.

        Columns: world, layer, control, first, second, value, low, high.
        """
        parts = [
            favouring(*self._pair(plan, control), layer, *pair, self.top).assign(
                world=str(plan), layer=layer, control=control
            )
            for plan, (layer, control) in product(plans, self.keys)
        ]
        columns = ["world", "layer", "control", "first", "second", "value", "low", "high"]
        return pd.concat(parts, ignore_index=True)[columns]

    def dose(self) -> pd.DataFrame:
        """Return the rank correlation of factor and advantage: layer, control, rho, low, high.

        Over the favoured categories at all factors, and at 1 in the world `NOTHING`, which must be
        among the plans. The interval resamples images and categories.
        """
        return self._correlations(self._dose_of)

    def _dose_of(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """Factors and advantages (1 + DRAWS, points): as they are, then resampled."""
        planted = [p for p in self.plans if p.category]
        names = list(dict.fromkeys(p.category for p in planted))
        chosen = resampled(len(names), DRAWS, self.worlds.seed)
        cells = [[NOTHING, *(p for p in planted if p.category == c)] for c in names]
        factors = _padded([[np.full(1, p.factor) for p in row] for row in cells])
        values = _padded(
            [[self._drawn(p, key)[:, CATEGORIES.index(c)] for p in row]
             for c, row in zip(names, cells, strict=True)]
        )  # fmt: skip
        rows = np.arange(len(chosen))[:, None]
        factors = np.broadcast_to(factors, values.shape)
        return tuple(v[rows, chosen].reshape(len(chosen), -1) for v in (factors, values))

    def order(self, plan: Plan) -> pd.DataFrame:
        """Return the rank correlation of all planted weights of one world and the advantages.

        Columns: layer, control, rho, low, high; the interval resamples images.
        """
        weights = np.array([plan.weights[c] for c in CATEGORIES])
        return self._correlations(lambda key: (weights, self._drawn(plan, key)))

    def _drawn(self, plan: Plan, key: Key) -> np.ndarray:
        """Return advantages (1 + DRAWS, K): as they are, then resampled."""
        value, draws = self.found[plan, *key]
        return torch.cat([value[None], draws]).double().numpy()

    def _correlations(self, of: Callable[[Key], tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
        rows = [(*k, *summarised(rank_correlation(*of(k))).values()) for k in self.keys]
        return pd.DataFrame(rows, columns=["layer", "control", "rho", "low", "high"])


def _padded(cells: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Stack rows of arrays (n,) into (n, rows, longest row), NaN where a row is shorter."""
    longest = max(len(row) for row in cells)
    filled = [[*row, *[np.full_like(row[0], np.nan)] * (longest - len(row))] for row in cells]
    return np.moveaxis(np.array(filled, dtype=float), 2, 0)


def by_layer(worlds: Worlds, plan: Plan) -> pd.DataFrame:
    """Return what each layer read adds to the map's region NSS, by category.

    Columns: layer, category, planted, value, low, high (intervals over images); of one category
    they sum to the map's region NSS.
    """
    result, parts = worlds.contributions(plan), []
    for layer in result.layers:
        spans = bootstrap(result, layer, lambda s: s.sum(-1))
        columns = {k: v[0].to_numpy() for k, v in zip(("value", "low", "high"), spans, strict=True)}
        planted = [plan.weights[c] for c in result.categories]
        parts.append(
            pd.DataFrame({"layer": layer, "category": result.categories, "planted": planted}
                         | columns)
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def frozen_table(
    worlds: Worlds, plans: Iterable[Plan], training: Sequence[int], dissected: Sequence[int]
) -> pd.DataFrame:
    """Return advantages of frozen readouts' maps over a control's: world, favoured, factor, base …

    … training, dissected (numbers of images), category, value, low, high, p, p_adjusted. The
    control is group 0 of observers who look alike but favour nothing. All training images of a
    smaller number are among those of a larger; so it is with the dissected.
    """
    parts = []
    for plan in tqdm(list(plans), desc="worlds, frozen", leave=False):
        names = worlds.unseen(plan).names
        found = worlds.frozen(plan, training, Plan(base=plan.base))
        for n, m in product(training, dissected):
            pair = [result.subset(names[:m]) for result in found[n]]
            rows = advantage_table(CATEGORIES, *advantages(*pair, MAP, 1, DRAWS, worlds.seed))
            head = {"world": str(plan), "favoured": plan.category, "factor": plan.factor}
            head |= {"base": plan.base, "training": n, "dissected": m}
            parts.append(pd.DataFrame(head, rows.index).join(rows))
    return pd.concat(parts, ignore_index=True)


def against_retrained(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return `table` with p and p_adjusted from how much retrained networks differ.

    Intervals over images hold the two networks fixed; teach them anew, and the numbers move by
    more. How much, the worlds show in which nothing is favoured: an advantage is divided by the
    root mean square of those worlds' advantages (of the *other* ones, for one of them), for each
    combination of `keys`, and looked up in Student's t. Benjamini–Hochberg over a world's
    categories.
    """
    parts = []
    for _, group in table.groupby([*keys, "world"], sort=False):
        same = (table[keys] == group[list(keys)].iloc[0]).all(axis=1)
        null = table[same & (table["favoured"] == "") & (table["world"] != group["world"].iloc[0])]
        values = null["value"].dropna()
        z = group["value"].abs() / np.sqrt(np.square(values).mean())
        free = len(values) * (1 - 1 / len(CATEGORIES))  # advantages of a world sum to 0
        p = pd.Series(student_p(z, free), group.index)
        parts.append(group.assign(p=p, p_adjusted=adjusted(p)))
    return pd.concat(parts)


def both_tests(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return `table` twice, the column `by` telling the tests apart: "images" and "networks"."""
    tests = {"images": table, "networks": against_retrained(table, keys)}
    return pd.concat([part.assign(by=name) for name, part in tests.items()], ignore_index=True)


def false_alarms(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return how many categories are found where none is favoured more than another.

    Columns: `keys`, tests, found, share, low, high (95 % binomial interval).
    """
    nothing = table[(table["favoured"] == "") & table["p"].notna()]
    found = nothing["p_adjusted"] <= RATE
    return _shares(nothing.assign(found=found), keys, "found")


def alarm_table(tests: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return `false_alarms` of several kinds of networks: networks, layer, control, by, tests …

    tests: `both_tests` by kind of network; of a `frozen_table`, the largest numbers of images.
    Without a control the values are biased, so that only their intervals over images are tested.
    """
    parts = []
    for name, table in tests.items():
        if "layer" not in table:
            table = table[(table[SIZES] == table[SIZES].max()).all(axis=1)]
            table = table.assign(layer=MAP, control="flat")
        found = false_alarms(table, ["layer", "control", "by"])
        parts.append(found[(found["control"] == "flat") | (found["by"] == "images")])
        parts[-1].insert(0, "networks", name)
    return pd.concat(parts, ignore_index=True)


def power(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return in how many worlds the favoured category is found, and in how many it comes first.

    Columns: `keys`, what ("found": p_adjusted at most RATE and gained; "first": gained most),
    tests, found, share, low, high (95 % binomial interval). A category that too few images show is
    not found.
    """
    planted = table[table["favoured"] != ""]
    best = planted.groupby([*keys, "world"], sort=False)["value"].transform("max")
    own = planted[planted["category"] == planted["favoured"]]
    sure = (own["p_adjusted"] <= RATE) & (own["value"] > 0)
    own = own.assign(found=sure, first=own["value"] == best[own.index])
    parts = [_shares(own, keys, what).assign(what=what) for what in ("found", "first")]
    return pd.concat(parts, ignore_index=True)


def _shares(table: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    rows = []
    for key, group in table.groupby(list(keys), sort=False):
        hits, tests = int(group[column].sum()), len(group)
        rows.append((*key, tests, hits, hits / tests, *wilson(hits, tests)))
    return pd.DataFrame(rows, columns=[*keys, "tests", "found", "share", "low", "high"])


def beyond_others(values: Tensor) -> Tensor:
    """Return (…, K): each category's value minus the mean of the others'; NaN where it is NaN."""
    others = (~values.isnan()).sum(-1, keepdim=True) - 1
    return values - (values.nansum(-1, keepdim=True) - values) / others


def advantages(
    before: Dissection, after: Dissection, layer: str, k: int = 10, n: int = 1000, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return (K,) and draws (n, K): each category's change minus the mean change of the others.

    Changes are those of `statistics.change`, and so are errors; images are resampled.
    """
    values, draws = paired_draws(before, after, layer, k, "same", n, seed)
    return beyond_others(values["difference"]), beyond_others(draws["difference"])


def advantage_table(categories: tuple[str, ...], value: Tensor, draws: Tensor) -> pd.DataFrame:
    """Return category, value, low, high, p, p_adjusted: which categories gained beyond the others.

    p is two-sided, from the share of bootstrap draws beyond 0; adjusted by Benjamini–Hochberg over
    the categories. NaN for a category without a number.
    """
    low, high = bounds(draws)
    p = tail_p(draws).where(~value.isnan(), torch.nan)
    table = pd.DataFrame({"category": categories, "value": value, "low": low, "high": high, "p": p})
    return table.assign(p_adjusted=adjusted(table["p"]))
