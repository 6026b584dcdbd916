"""Over- and under-predicted categories, where the model is perfect and where it is not."""

import numpy as np
import pytest
import torch

from saliencykit.analyses.failures import tables
from saliencykit.datasets import Fixations, Region, SaliencyDataset
from saliencykit.evaluation import Predictor

SIZE = (36, 48)
KINDS = ("bright", "dim", "dull")


class Drawn(SaliencyDataset):
    """Images of a few squares each, and people whose fixations are drawn from a known density."""

    name, categories = "drawn", KINDS

    def __init__(self, n=60, seed=0, people=8, each=6):
        self.names = [f"d{i:02d}" for i in range(n)]
        rng = np.random.default_rng([seed, 7])
        self.truth, self._regions, self._seen = [], [], []
        for _ in range(n):
            density, regions = np.full(SIZE, 0.05), []
            for k, place in enumerate(rng.permutation(12)[:4]):
                y, x = 12 * (place // 4), 12 * (place % 4)
                kind, mask = KINDS[k % 3], torch.zeros(SIZE, dtype=torch.bool)
                mask[y + 2 : y + 10, x + 2 : x + 10] = True
                density[mask.numpy()] += {"bright": 2.0, "dim": 0.6, "dull": 0.1}[kind]
                regions.append(Region(kind, mask=mask))
            density *= np.exp(0.5 * rng.standard_normal(SIZE))
            density /= density.sum()
            self.truth.append(torch.tensor(density))
            self._regions.append(regions)
            spots = rng.choice(density.size, people * each, p=density.ravel())
            y, x = np.divmod(spots, SIZE[1])
            who = np.arange(people).repeat(each)
            self._seen.append(Fixations.of(x + 0.5, y + 0.5, who))

    def size_of(self, i):
        return SIZE

    def fixations(self, i):
        return self._seen[i]

    def regions(self, i):
        return self._regions[i]


def found(data, change=lambda m: m, halvings=4):
    model = Predictor(lambda i: change(data.truth[i]), {"test": "truth"})
    return tables.by_region([model, model], data, halvings)


@pytest.mark.slow
def test_a_perfect_model_is_told_of_no_category():
    """Five per cent of intervals may miss 0; the two-sided verdict errs less often."""
    told, raw = [], []
    for seed in range(30):
        table = tables.excess([found(Drawn(seed=seed), halvings=2)], own_images=False, n=300)
        assert len(table) == 4
        told.append(table["verdict"] != 0)
        raw.append((table["excess_low"] > 0) | (table["excess_high"] < 0))
    assert np.mean(told) <= 0.05
    assert np.mean(raw) <= 0.1  # of 120, four worlds' worth of categories hang together


@pytest.mark.parametrize("change", [lambda m: 1 + 100 * m, torch.log])
def test_the_scale_of_a_map_is_nothing(change):
    data = Drawn(n=20)
    same, other = found(data), found(data, change)
    assert np.allclose(same.model, other.model, atol=0.02)
    assert np.array_equal(same.people, other.people)


def test_a_model_that_misses_a_kind_is_told_so():
    data = Drawn()
    model = [t.clone() for t in data.truth]
    for i, one in enumerate(model):
        for region in data.regions(i):
            if region.category == "dim":
                one[region.mask] *= 0.05
    blind = Predictor(lambda i: model[i], {"test": "blind"})
    table = tables.excess([tables.by_region([blind, blind], data, 4)], own_images=False)
    verdict = table.set_index("category")["verdict"]
    assert verdict["dim"] == -1
    assert verdict.drop("dim").min() >= 0


def test_shares_are_those_of_brute_force():
    data = Drawn(n=20)
    shares = found(data, halvings=1)
    rng = np.random.default_rng([0, 0])
    for i in range(20):
        part = rng.permutation(8) % 2
        seen = data.fixations(i)
        keep = torch.tensor(part[seen.observer.numpy()] == 0)
        for c, kind in enumerate(KINDS):
            masks = [r.mask for r in data.regions(i) if r.category == kind]
            mask = torch.stack(masks).any(0)
            inside = mask[seen.y.long(), seen.x.long()][keep].float().mean()
            assert shares.people[i, c] == pytest.approx(float(inside))
    for of in (shares.people, shares.other, *shares.model):
        assert np.allclose(of.sum(1), 1)


def test_regions_drawn_around_fixations_are_chosen_by_people_who_are_not_counted():
    data = Drawn(n=20)
    data.around_gaze = True
    chosen = found(data)
    assert chosen.shown[:, :3].mean() < 0.95  # dull ones are looked past by a third of the people
    assert chosen.shown[:, 3].all()
    assert np.allclose(chosen.people.sum(1), 1)


def test_ratios_are_resampled_whole():
    shares = found(Drawn(n=20))
    times = np.random.default_rng(0).integers(0, 3, (5, 20)).astype(float)
    excess = shares.excess(times)["excess"]
    for b in range(5):
        model, people = times[b] @ shares.model[1], times[b] @ shares.people
        assert np.allclose(excess[b, 1], 100 * (model - people) / people)


def test_each_training_with_its_own_images():
    data = Drawn(n=60)
    parts = [data.subset(names) for names in (data.names[:30], data.names[30:])]
    for k, part in enumerate(parts):
        rows = slice(30 * k, 30 * k + 30)
        part.truth, part._regions, part._seen = (
            of[rows] for of in (data.truth, data._regions, data._seen)
        )
    both = [tables.by_region([lambda i, p=p: p.truth[i]], p, 2) for p in parts]
    table = tables.excess(both, own_images=True)
    assert (table["images"] == 60).any()
    assert table["excess_se_images"].isna().all()
    assert table["excess_low"].notna().all()


def test_few_images_have_no_interval():
    data = Drawn(n=15)
    table = tables.excess([found(data)], own_images=False, n=50)
    assert len(table) == 4
    assert table[["excess_low", "people_high", "beyond_low"]].isna().all(axis=None)
    assert (table["verdict"] == 0).all()
