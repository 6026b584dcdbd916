"""Earth mover's distance: against the whole linear program, one dimension, and its axioms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

from saliencykit import metrics
from saliencykit.metrics import transport

quick = settings(max_examples=25, deadline=None)
masses = st.integers(0, 3) | st.floats(0, 5, width=32).map(lambda v: round(v, 4))


def maps(*shape):
    return hnp.arrays(np.float64, shape, elements=masses)


def share(values):
    values = values if values.any() else np.ones_like(values)
    return (values / values.sum()).ravel()


def whole_program(p, q, place):
    """Every pair of cells a variable, nothing cancelled."""
    n = len(p)
    cost = np.linalg.norm(place[:, None] - place, axis=-1).ravel()
    rows = np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))
    return linprog(cost, A_eq=np.concatenate(rows), b_eq=np.concatenate([p, q])).fun


def places(height, width):
    return np.stack(np.indices((height, width)), -1).reshape(-1, 2)


@quick
@given(maps(3, 4), maps(3, 4))
def test_equals_the_whole_linear_program(a, b):
    expected = whole_program(share(a), share(b), places(3, 4))
    assert metrics.emd(a, b).item() == pytest.approx(expected, abs=1e-6)


@quick
@given(maps(1, 23), maps(1, 23))
def test_equals_wasserstein_distance_on_a_line(a, b):
    along = np.arange(23)
    expected = wasserstein_distance(along, along, share(a), share(b))
    assert metrics.emd(a, b).item() == pytest.approx(expected, abs=1e-6)
    assert metrics.emd(a.T, b.T).item() == pytest.approx(expected, abs=1e-6)


@quick
@given(maps(6, 5), maps(6, 5), maps(6, 5))
def test_is_a_distance(a, b, c):
    ab, bc, ac = (metrics.emd(*pair).item() for pair in ((a, b), (b, c), (a, c)))
    assert metrics.emd(b, a).item() == pytest.approx(ab, abs=1e-6)
    assert metrics.emd(a, 3 * a).item() == pytest.approx(0, abs=1e-12)
    assert metrics.emd(a, a) == 0
    assert ac <= ab + bc + 1e-6
    assert ab <= np.hypot(5, 4)


def test_moving_a_point_costs_its_way():
    here, there = np.zeros((2, 20, 30))
    here[3, 4] = 5.0
    there[3 + 12, 4 + 16] = 1.0
    assert metrics.emd(here, there).item() == pytest.approx(20, rel=1e-9)


@pytest.mark.parametrize("size", [(48, 64), (50, 70), (33, 64)])
def test_a_coarser_grid_measures_in_pixels_of_the_map(size):
    here, there = np.zeros((2, *size))
    here[10:15, 5:15] = 1
    there[20:25, 45:55] = 1
    way, cell = np.hypot(10, 40), max(size) / 32
    assert metrics.emd(here, there).item() == pytest.approx(way, abs=cell)
    assert metrics.emd(here, there, grid=70).item() == pytest.approx(way, rel=1e-6)


@pytest.mark.parametrize(("n_in", "n_out"), [(10, 10), (10, 5), (10, 4), (7, 3), (5, 1)])
def test_shrinking_keeps_mass_and_its_centre(n_in, n_out):
    weights = transport.area_weights(n_in, n_out)
    torch.testing.assert_close(weights.sum(0), torch.ones(n_in, dtype=torch.float64))
    torch.testing.assert_close(
        weights.sum(1), torch.full((n_out,), n_in / n_out, dtype=torch.float64)
    )
    assert (weights >= 0).all()


def test_fine_grids_are_solved_to_the_end(monkeypatch):
    """POT's own limit of pivots stops early on large programs, with a warning and a wrong cost."""
    rng = np.random.default_rng(0)
    a, b = metrics.density((rng.random((2, 12, 16)) > 0.95).astype(float), 1.5).numpy()
    expected = whole_program(a.ravel(), b.ravel(), places(12, 16))
    assert metrics.emd(a, b).item() == pytest.approx(expected, rel=1e-6)
    monkeypatch.setattr(transport, "PIVOTS", 10)
    stopped = pytest.raises(RuntimeError, match="no earth mover's distance was found: numItermax")
    with pytest.warns(UserWarning, match="numItermax"), stopped:
        metrics.emd(a, b)


def test_nan_zeros_negatives_and_a_grid_of_nothing():
    a = np.random.default_rng(0).random((2, 6, 8))
    a[0, 1, 1] = np.nan
    assert metrics.emd(a, np.ones((6, 8))).isnan().tolist() == [True, False]
    assert metrics.emd(np.ones((6, 8)), a).isnan().tolist() == [True, False]
    assert metrics.emd(np.zeros((6, 8)), np.ones((6, 8))) == 0
    shifted = a[1] - a[1].min()
    assert metrics.emd(a[1] - 7, a[1]).item() == pytest.approx(metrics.emd(shifted, a[1]).item())
    with pytest.raises(ValueError, match="grid must be at least 1"):
        metrics.emd(a, a, grid=0)
