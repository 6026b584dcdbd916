"""What all figures are drawn with: points lie where the tables say, and colours mean one thing."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from saliencykit.models import classical
from saliencykit.viewing import plots, style


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def table():
    numbers = {"value": [1.0, -2.0, 0.5], "low": [0.5, -3.0, -0.5], "high": [2.0, -1.0, 0.75]}
    return pd.DataFrame({"category": ["a", "b", "c"], **numbers})


def test_intervals_are_found_by_name_and_never_negative(table):
    assert plots.reach(table).tolist() == [[0.5, 1.0, 1.0], [1.0, 1.0, 0.25]]
    own = table.assign(value_low=[1.5, -2.5, 0.0], value_high=3.0)  # low lies above the value
    assert plots.reach(own).tolist() == [[0.0, 0.5, 0.5], [2.0, 5.0, 2.5]]


def test_rows_run_downward_and_carry_points_with_their_intervals(table):
    _, (axis,), places = plots.row_panels(table["category"], ["NSS"], apart="c")
    assert places.to_dict() == {"a": 2, "b": 1, "c": -0.4}
    assert [t.get_text() for t in axis.get_yticklabels()] == ["a", "b", "c"]
    assert axis.get_xlabel() == "NSS"
    plots.points(axis, table, table["category"].map(places))
    dots, _, (bars,) = axis.containers[0]
    assert dots.get_xydata().tolist() == [[1, 2], [-2, 1], [0.5, -0.4]]
    assert [s[:, 0].tolist() for s in bars.get_segments()] == [[0.5, 2], [-3, -1], [-0.5, 0.75]]
    _, (axis,) = plots.panels(["one"])
    plots.points(axis, table, range(3), upright=True)
    assert axis.containers[0][0].get_ydata().tolist() == [1, -2, 0.5]


def test_verdicts_are_coloured_by_the_interval(table):
    _, (axis,), places = plots.row_panels(table["category"], [""])
    plots.verdicts(axis, table, places, "value", above="#ff0000", below="#0000ff")
    drawn = {to_hex(c[0].get_color()): c[0].get_xdata().tolist() for c in axis.containers}
    assert drawn == {"#ff0000": [1.0], "#0000ff": [-2.0], "#999999": [0.5]}


@pytest.mark.parametrize(
    ("n", "columns", "grid"),
    [(12, 4, (3, 4)), (9, 4, (3, 3)), (13, 4, (3, 5)), (5, None, (1, 5))],
)
def test_no_panel_stands_alone_if_that_can_be_helped(n, columns, grid):
    figure, axes = plots.panels([f"p{k}" for k in range(n)], "x", "y", columns)
    assert [a.get_title() or a.get_title(loc="left") for a in axes] == [f"p{k}" for k in range(n)]
    assert axes[0].get_gridspec().get_geometry() == grid
    assert sum(a.get_visible() for a in figure.axes) == n
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("x", "y")


def test_a_trace_is_shaded_between_its_limits(table):
    _, (axis,) = plots.panels(["one"])
    plots.trace(axis, [0, 1, 2], table, "value", "red", "it")
    edges = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (-3, 2)
    plots.trace(axis, [0, 1, 2], table, "value", "red", shaded=False)
    assert len(axis.collections) == 1
    assert len(axis.lines) == 2


def test_matrix_prints_where_it_is_told_to():
    pairs = pd.DataFrame({"first": ["a", "b"], "second": ["b", "a"], "value": [1.0, -1.0]})
    axis = plots.differences(pairs, pairs["value"] > 0, "title", digits=2).axes[0]
    assert [(t.get_position(), t.get_text()) for t in axis.texts] == [((1, 0), "+1.00")]
    values = pd.DataFrame([[0.5, np.nan]], index=["m"], columns=["x", "y"])
    axis = plots.matrix(values, values.notna(), "", ".1f", (4, 3), values > 0).axes[0]
    assert [(t.get_text(), t.get_fontweight()) for t in axis.texts] == [("0.5", "bold")]


def test_layers_are_labelled_and_the_chosen_one_is_shaded():
    layers = ["l1", "l2", "l3"]
    _, (axis,) = plots.panels(["one"])
    plots.over_layers(axis, layers, "l2", step=2)
    assert [t.get_text() for t in axis.get_xticklabels()] == ["l1", "l3"]
    (box,) = axis.patches
    assert box.get_x() < 1 < box.get_x() + box.get_width()
    plots.over_layers(axis, layers, "elsewhere")
    assert len(axis.patches) == 1


def test_every_model_has_one_look_in_all_figures():
    names = classical.names()
    looks = style.model_looks([*names, "fine-tuned"])
    told = [m for m in names if m not in style.LOOKS]
    assert len({(looks[m].mark, looks[m].colour) for m in told}) == len(told)
    assert style.model_looks(names[-1:])[names[-1]] == looks[names[-1]]  # whoever else is shown
    assert looks["fine-tuned"] == style.look_of("fine-tuned") == style.Look(style.AFTER)
    assert style.look_of("nobody", style.CLASSICAL).colour == style.CLASSICAL


def test_a_legend_names_each_thing_once():
    figure, axes = plots.panels(["one", "other"])
    for axis in axes:
        for name in ("a", "b", "a"):
            axis.plot([0, 1], label=name)
    texts = style.legend(figure, axes).legends[0].get_texts()
    assert [text.get_text() for text in texts] == ["a", "b"]
    plt.close(figure)


def test_only_and_unique_keep_the_table_s_order(table):
    twice = pd.concat([table, table.assign(value=7.0)])
    assert plots.unique(twice, "category") == ["a", "b", "c"]
    assert plots.only(twice, category="b", value=7.0).index.tolist() == [1]
    assert plots.offsets(1).tolist() == [0]
    assert plots.offsets(3, 0.4).tolist() == [-0.2, 0, 0.2]


def test_small_shares_stand_apart_and_nothing_is_below_zero():
    _, axis = plt.subplots()
    axis.plot([0, 1], [0.0, 1.0])
    plots.by_root(axis, [0, 0.05, 0.2, 1], "{:.0%}")
    assert [t.get_text() for t in axis.get_yticklabels()] == ["0%", "5%", "20%", "100%"]
    zero, small, _, whole = axis.transData.transform([(0, y) for y in (0, 0.04, 0.2, 1)])[:, 1]
    assert (small - zero) / (whole - zero) == pytest.approx(0.2)
    assert axis.get_ylim() == (0, 1)


def test_names_at_the_ends_of_lines_do_not_touch():
    figure, axis = plt.subplots(figsize=(4, 2))
    axis.set_ylim(0, 1)
    ends = {"lowest": 0.1, "same": 0.5, "almost": 0.51, "as well": 0.49}
    plots.name_ends(axis, ends | {"nowhere": np.nan}, dict.fromkeys(ends, "r"))
    figure.canvas.draw()
    boxes = {t.get_text(): Text.get_window_extent(t) for t in axis.texts}  # without their lines
    order = sorted(boxes, key=lambda name: boxes[name].y0)
    assert order == ["lowest", "as well", "same", "almost"]
    assert all(boxes[low].y1 <= boxes[high].y0 for low, high in pairwise(order))
    assert {t.get_text(): t.xy[1] for t in axis.texts} == pytest.approx(ends)
    assert all(box.x0 > axis.bbox.x1 for box in boxes.values())
    plots.name_ends(axis, {}, {})
    assert len(axis.texts) == len(ends)
