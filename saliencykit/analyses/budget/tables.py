"""A fixation budget: bits that layers explain, that people have, and that nobody explains.

All is told per fixation and over the centre prior, whose bits are 0. Fixations weigh as
`evaluation.looks` says, so that a part's bits times its `share` of the weight are what it adds to
the whole: exactly, category by category, place by place, one fixation after the other. Readouts
have one optimum each, so intervals are over images alone: they know nothing of readouts that would
learn from other images, and take the exponent of people's law as known.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from ...evaluation import fixation_gains, fold_of, looks, read_layers, read_together, weighed
from ...intervals import crossed, image_weights, with_own
from ...models import Encoder, build_encoder
from ...study import Study

NONE, ALL = "no region", "all"
TOGETHER = "all layers together"
CHOSEN = "the best, chosen on other images"
RINGS = (0, 20, 40, 60, 80, 100)  # from the centre to a corner, per cent
ORDERS = 8  # fixations told one by one; all later ones together
RING_NAMES = [f"{low}–{high} %" for low, high in pairwise(RINGS)]
ORDER_NAMES = [*map(str, range(1, ORDERS + 1)), f"{ORDERS + 1} and later"]


class Budget:
    """What layers of frozen encoders, and people, know of each fixation on a study's images.

    encoders: by name, with their usual weights (none: the study's own alone); an untrained network
    of the study's own shape always stands beside them. each: layers of each, at most, evenly from
    shallow to deep: of the study's own, those that it dissects; folds: of the images, see
    `read_layers`; most: images, at most.

    Attributes: `data`; `readings`, a row a layer: encoder, layer, depth (0 … 1, its place among all
    layers of the encoder), units; `bits` (readings, fixations); `together` (fixations,), those of
    one readout of all of them but the untrained network's (`read_together`); `seen`, the fixations
    (`looks`), of images of which people's bits are known, if any are; `limit` (fixations,),
    people's; `people`, what these are called, "" if nothing is known of them. Raises
    UnknownNameError for an encoder, ValueError for fewer images than folds, or no layers.
    """

    def __init__(
        self,
        study: Study,
        encoders: Sequence[str] = (),
        each: int = 8,
        folds: int = 5,
        most: int = 500,
    ):
        self.control = f"{study.encoder}, untrained"
        networks = _networks(study, encoders)
        self.own = study.encoder if study.encoder in networks else next(iter(networks))
        self.data = study.scored.thinned(most) if len(study.scored) > most else study.scored
        people = fixation_gains(self.data, study.centre)
        seen, limit = looks(self.data), people.values.numpy()
        known = ~np.isnan(limit)
        told = known if known.any() else ~known
        self.seen, self.limit = weighed(seen[told]).reset_index(drop=True), limit[told]
        self.fold = fold_of(self.data, folds).numpy()[self.seen["image"]]
        others = "n → ∞" if np.isinf(people.observers) else f"n = {people.observers:.0f}"
        self.people = f"people, {others}" if known.any() else ""
        rows, bits, self.maps = [], [], []
        how, taught = (self.data, study.size, study.centre, folds), []
        for name, net in {**networks, self.control: study.untrained}.items():
            mine = study.dissected if name in (study.encoder, self.control) else net.layers
            chosen = evenly(mine, each)
            if name != self.control:
                taught.append((net, chosen))
            for layer, entry in read_layers(net, chosen, *how).items():
                depth = net.layers.index(layer) / max(1, len(net.layers) - 1)
                rows.append((name, layer, depth, net.channels[layer]))
                bits.append(entry.tensors["bits"].numpy()[told])
                self.maps.append(entry.tensors["maps"])
        self.readings = pd.DataFrame(rows, columns=["encoder", "layer", "depth", "units"])
        self.bits = np.stack(bits)
        self.together = read_together(taught, *how).tensors["bits"].numpy()[told]

    @property
    def weight(self) -> np.ndarray:
        """What each fixation weighs (fixations,), sum 1."""
        return self.seen["weight"].to_numpy()

    @cached_property
    def chosen(self) -> dict[str, np.ndarray]:
        """By encoder the bits (fixations,) of its best reading, for each fold chosen on the others.

        What is chosen on the images that it is scored on would seem better than it is.
        """
        found = {}
        for name, rows in self.readings.groupby("encoder", sort=False).groups.items():
            bits = self.bits[rows]
            found[str(name)] = told = np.empty(len(self.seen))
            for k in np.unique(self.fold):
                here = self.fold == k
                best = (bits[:, ~here] @ self.weight[~here]).argmax()
                told[here] = bits[best, here]
        return found

    @cached_property
    def best(self) -> int:
        """The number of the best reading of the encoder whose `chosen` explains most.

        The untrained network's do not count.
        """
        taught = {name: bits for name, bits in self.chosen.items() if name != self.control}
        first = max(taught, key=lambda name: float(taught[name] @ self.weight))
        own = (self.readings["encoder"] == first).to_numpy()
        return int(np.where(own, self.bits @ self.weight, -np.inf).argmax())

    @property
    def readers(self) -> dict[str, np.ndarray]:
        """The best reading, and all layers together: name → bits (fixations,)."""
        encoder, layer = self.readings.loc[self.best, ["encoder", "layer"]]
        return {f"{encoder}, {layer}": self.bits[self.best], TOGETHER: self.together}

    def ratios(self, top: np.ndarray, bottom: np.ndarray) -> pd.DataFrame:
        """Return Σ top / Σ bottom over fixations (fixations, G), with intervals for other images.

        A row a column: value, low, high, images (on which the bottom is not 0).
        """
        image = self.seen["image"].rank(method="dense").astype(int).to_numpy() - 1
        sums = np.zeros((2, image.max() + 1, *top.shape[1:]))
        for total, of in zip(sums, (top, bottom), strict=True):
            np.add.at(total, image, of)
        times = with_own(image_weights(sums.shape[1], 1000, 0)).double().numpy()
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (times @ sums[0]) / (times @ sums[1])
        images = (sums[1] != 0).sum(0)
        span = crossed(found[:1], found[1:], images)
        return pd.DataFrame(
            {"value": span.value, "low": span.low, "high": span.high, "images": images}
        )

    @cached_property
    def parts(self) -> dict[str, pd.DataFrame]:
        """How fixations are dealt: "category", "place", "order", those that the data tell.

        Each a table, fixations × what they can be of, whose rows sum to 1: a fixation in several
        regions is of each in equal parts.
        """
        place = pd.cut(self._eccentricity(), RINGS, labels=RING_NAMES, include_lowest=True)
        found = {"place": pd.get_dummies(pd.Series(place), dtype=float)}
        if any(self.data.regions(i) for i in range(len(self.data))):
            found = {"category": self._categories(), **found}
        if self.seen["order"].notna().all():
            number = self.seen["order"].clip(upper=ORDERS).astype(int)
            order = pd.Categorical.from_codes(number, ORDER_NAMES)
            found["order"] = pd.get_dummies(pd.Series(order), dtype=float)
        return found

    def _eccentricity(self) -> np.ndarray:
        """Return how far from the centre each fixation is, of the way to a corner: 0 to 100."""
        sizes = np.array([self.data.size_of(i) for i in range(len(self.data))])[self.seen["image"]]
        off = self.seen[["y", "x"]].to_numpy() / sizes - 0.5
        return (100 * np.sqrt(2 * (off**2).sum(1))).clip(max=100)

    def _categories(self) -> pd.DataFrame:
        names = [*self.data.categories, NONE]
        found = np.zeros((len(self.seen), len(names)))
        for i, own in self.seen.groupby("image"):
            y, x = (torch.from_numpy(own[axis].to_numpy().astype(int)) for axis in "yx")
            for region in self.data.regions(int(i)):
                inside = region.as_mask(*self.data.size_of(int(i)))[y, x].numpy()
                found[own.index, names.index(region.category)] += inside
        found[:, -1] = found.sum(1) == 0
        return pd.DataFrame(found / found.sum(1, keepdims=True), columns=names)

    def layers(self) -> pd.DataFrame:
        """Return what each layer explains: a row a reading, their best, `TOGETHER`, and people.

        encoder, layer (`CHOSEN`: see `chosen`), depth, units, value, low, high (bits per fixation),
        images, of_limit (value as a share of people's) and behind (bits less than the best reading,
        `CHOSEN` and `TOGETHER` less than the best of the former, fixation by fixation), both with
        intervals, and best (whether a reading is its encoder's best on all images).
        """
        both = np.vstack([self.bits, *self.chosen.values(), self.together]).T
        weight, one = self.weight[:, None], np.broadcast_to(self.weight[:, None], both.shape)
        names = pd.DataFrame({"encoder": [*self.chosen, TOGETHER]})
        names["layer"] = [CHOSEN] * len(self.chosen) + [None]
        table = pd.concat([self.readings, names], ignore_index=True)
        first = self.chosen[table["encoder"][self.best]]
        read = (table["depth"].notna()).to_numpy()
        lead = np.where(read, self.bits[self.best][:, None], first[:, None])
        table = table.join(self.ratios(weight * both, one))
        share = self.ratios(weight * both, one * self.limit[:, None])
        behind = self.ratios(weight * (lead - both), one)
        for name, found in (("of_limit", share), ("behind", behind)):
            ends = {f"{name}_{end}": found[end] for end in ("low", "high")}
            table = table.assign(**{name: found["value"], **ends})
        own = table["value"].where(read)
        table["best"] = own.groupby(table["encoder"]).transform("max") == own
        if not self.people:
            return table
        whole = self.ratios(weight * self.limit[:, None], weight)
        people = whole.assign(encoder=self.people, best=False)
        return pd.concat([table, people], ignore_index=True)

    def unexplained(self) -> pd.DataFrame:
        """Return people's bits less what is explained, of all and part by part; no rows if unknown.

        A row a part and reader (of `readers`): by (what deals the fixations, `ALL`: nothing), what,
        reader, share (of the fixations' weight), limit, with an interval, explained, value (the one
        less the other), low, high, images, adds (value times share, which sum to the whole), and
        of_limit (explained as a share of people's, where these surely have any), with an interval.
        """
        whole = pd.DataFrame({ALL: np.ones(len(self.seen))})
        rows = [
            self._left(by, part, reader, bits)
            for by, part in {ALL: whole, **self.parts}.items()
            for reader, bits in self.readers.items()
            if self.people
        ]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()

    def _left(self, by: str, part: pd.DataFrame, reader: str, bits: np.ndarray) -> pd.DataFrame:
        weight, what = self._dealt(part)
        share = weight.sum(0)
        found = self.ratios(weight * (self.limit - bits)[:, None], weight)
        limit = self.ratios(weight * self.limit[:, None], weight)
        told = {"limit": limit["value"], "limit_low": limit["low"], "limit_high": limit["high"]}
        told |= {"explained": bits @ weight / share}
        part = self.ratios(weight * bits[:, None], weight * self.limit[:, None])
        part = part.where(limit["low"] > 0)  # a share of what may be nothing is none
        ends = {f"of_limit_{end}": part[end] for end in ("low", "high")}
        about = {"by": by, "what": what, "reader": reader, "share": share}
        found = pd.DataFrame({**about, **told}).join(found)
        return found.assign(adds=found["value"] * share, of_limit=part["value"], **ends)

    def _dealt(self, part: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
        """Return what fixations weigh in each part that has any (fixations, G), and their names."""
        weight = part.to_numpy() * self.weight[:, None]
        some = weight.any(0)
        return weight[:, some], part.columns[some].astype(str).tolist()

    def categories(self) -> pd.DataFrame:
        """Return what each layer explains, category by category, and `TOGETHER` after them.

        A row a category and layer: category, encoder, layer, share (of fixations), value, low, high
        (bits per fixation in it), behind (bits less than the category's best layer, fixation by
        fixation), with an interval, images, limit (people's there), of_limit (value as a share of
        it, where it is above 0). The untrained network's layers are none. Without regions no rows.
        """
        if "category" not in self.parts:
            return pd.DataFrame()
        weight, names = self._dealt(self.parts["category"])
        share, parts = weight.sum(0), []
        limit, read = self.limit @ weight / share, self.readings["encoder"] != self.control
        rows = {(e, la): self.bits[k] for k, e, la in self.readings[read].iloc[:, :2].itertuples()}
        most = np.stack([bits @ weight for bits in rows.values()]).argmax(0)
        lead = np.stack([*rows.values()])[most].T  # (fixations, categories)
        for (encoder, layer), bits in {**rows, (TOGETHER, None): self.together}.items():
            found = self.ratios(weight * bits[:, None], weight)
            behind = self.ratios(weight * (lead - bits[:, None]), weight)
            about = {"category": names, "encoder": encoder, "layer": layer, "share": share}
            told = {f"behind_{end}": behind[end] for end in ("low", "high")}
            told = {"behind": behind["value"], **told, "limit": limit}
            parts.append(pd.DataFrame(about).join(found).assign(**told))
        table = pd.concat(parts, ignore_index=True)
        return table.assign(of_limit=table["value"] / table["limit"].where(table["limit"] > 0))


def _networks(study: Study, encoders: Sequence[str]) -> Mapping[str, Encoder]:
    """Return encoders by name; the study's own has its weights."""
    wanted = encoders or [study.encoder]
    return {
        name: study.pretrained if name == study.encoder else build_encoder(name) for name in wanted
    }


def evenly(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the names, first and last among them, evenly.

    Raises ValueError for none at all.
    """
    if most < 1:
        raise ValueError(f"each is {most}; at least 1 layer of each encoder is needed")
    at = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [names[k] for k in at]
