"""What stands under a figure says no more than its intervals, and never "nan"."""

import re
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from saliencykit.analyses.causal_units import sentences as causal_units
from saliencykit.analyses.causal_units.tables import Setup
from saliencykit.analyses.data import sentences as data
from saliencykit.analyses.failures import sentences as failures
from saliencykit.analyses.fine_tuning import sentences as fine_tuning
from saliencykit.analyses.known_truth import sentences as known_truth
from saliencykit.analyses.models import sentences as models
from saliencykit.analyses.planted_photographs import sentences as planted_photographs
from saliencykit.analyses.planted_photographs.tables import KINDS as AT
from saliencykit.analyses.planted_photographs.tables import MEASURES
from saliencykit.analyses.pop_out import sentences as pop_out
from saliencykit.analyses.pretrained_units import sentences as pretrained_units
from saliencykit.analyses.task_or_domain import sentences as task_or_domain
from saliencykit.analyses.unit_explorer import sentences as unit_explorer
from saliencykit.viewing.claims import (
    Sides,
    Span,
    bullets,
    extremes,
    listed,
    mention,
    moved,
    pairs_above,
    percent,
    spans,
)

KINDS = ["person_head", "text", "plant"]
NAN = Span(np.nan, np.nan, np.nan)


def table(columns=("value",), **keys):
    """All combinations of keys, with intervals off 0: 1 [0.5, 1.5], then 2 [1.5, 2.5], …"""
    rows = pd.MultiIndex.from_product(keys.values(), names=keys).to_frame(index=False)
    for name in columns:
        ends = ("low", "high") if len(columns) == 1 else (f"{name}_low", f"{name}_high")
        value = np.arange(1.0, len(rows) + 1)
        rows = rows.assign(**{name: value, ends[0]: value - 0.5, ends[1]: value + 0.5})
    return rows


# What every analysis is asked to put into words: its function, and what that is given.
CHANGES = ("before", "after", "difference")
WHEN = ["before", "after", "change"]
UNITS = table(("mean",), encoder=["pre-trained", "untrained"], category=KINDS)
BEYOND = ("own", "difference")
SURE = {"best": 0.1, "controls": 1.0, "control_1": 1.0, "p_adjusted": 0.01}
COUNTS = UNITS.assign(threshold=1.5, units=3)
STUDY = SimpleNamespace(
    layer="b", read=["a", "b"], unseen=range(9),
    annotated=range(9), pretrained=SimpleNamespace(accuracy=None),
    trainings_beside=3,
)  # fmt: skip
PARTS = ["map", "carried", "fair", "beyond", "rho"]
LOSSES = table(category=[*KINDS, "all categories"], units=["beyond matched", "named", "random"],
               where=["own", "difference"])  # fmt: skip
SCORES = table(("mean",), metric=["nss"], model=["human", "frozen", "fine-tuned", "gbvs",
                                                 "centre prior"])  # fmt: skip
WHO = SCORES["model"].tolist()
MODELS = table(metric=["nss", "ig"], model=WHO).assign(**{"images": 9, "training 1": 1.0})
PAIRS = pd.DataFrame(combinations(WHO, 2), columns=["first", "second"]).assign(
    **{"value": -1.0, "low": -1.5, "high": -0.5, "p_adjusted": 0.5, "training 1": -1.0}
)
ALIKE = ["cka_debiased", "selectivity", "change"]
MEAN = {"training": ["mean"], "task": ["saliency", "scenes"]}
NUMBERS = list(known_truth.NUMBERS)
CASES = {
    data: (
        SimpleNamespace(name="some"),
        pd.DataFrame({"fixations": [9], "observers": 3, "regions": 2}),
        table(category=KINDS).assign(planted=1.0),
        SCORES,
        {"nss": SimpleNamespace(law=SimpleNamespace(limit=2, low=1, high=3, determined=True))},
    ),
    models: (
        MODELS,
        MODELS[MODELS["model"] != "human"],
        PAIRS,
        pd.concat([MODELS.assign(map=name) for name in ("fitted", "raw")]),
        ["frozen", "fine-tuned"],
    ),
    pretrained_units: (
        table(BEYOND, layer=["a", "b"], category=KINDS).assign(**SURE),
        table(BEYOND, best=[5, 10], category=KINDS)
        .assign(layer="b", units=10, **{k: v for k, v in SURE.items() if k != "best"}),
        table(BEYOND, layer=["a", "b"], category=[*KINDS, "all categories"])
        .assign(chance=0.1, **SURE),
        UNITS,
        COUNTS,
        1.5,
        pd.DataFrame({"category": KINDS, "unit": [1, 1, 2]}),
        pd.Series({"pre-trained": 2.0, "untrained": 3.0}),
        STUDY,
        pd.DataFrame({"image": "i", "layer": ["a", "b"], "value": 2.0, "untrained": 1.0,
                      "untrained_most": [1.5, 2.5]}),
    ),
    fine_tuning: (
        table(measure=["share", "region NSS"], what=WHEN, category=KINDS),
        table(measure=["share", "region NSS"], part=["map", "a", "best units"], first=KINDS[:1],
              second=KINDS[1:2]).assign(**{"training 1": 1.0, "training 2": -1.0}),
        table(measure=["region NSS"], what=WHEN, category=KINDS),
        COUNTS.assign(layer="b"),
        1.5,
        9,
        pd.concat([
            table(measure=[fine_tuning.SAME, fine_tuning.ABOVE], what=WHEN[:2],
                  category=[*KINDS, "all categories"]),
            table(measure=[fine_tuning.SAME], what=WHEN[2:], category=["person_head − text"]),
        ]).assign(of=10),
        table(what=WHEN).assign(**{"category": "text", "unit": 7, "training 1": 2.0,
                                   "training 2": 1.0, "image": fine_tuning.OTHER_IMAGES}),
    ),
    pop_out: (
        table(side=["natural", "efficient", "lost"], what=["level", "lead"],
              who=["networks", "classical models", "frozen"]).assign(models=2),
        table(measure=["most_salient"], search=["efficient", "inefficient"], model=["fine-tuned"])
        .assign(arrays=9, chance=0.1),
        table(search=["efficient"], model=["fine-tuned"], feature=["colour", "size"])
        .assign(chance=0.1),
        table(measure=["most_salient"], data=["arrays", "p3", "o3"], model=WHO)
        .assign(arrays=9, chance=0.1),
        ["fine-tuned", "frozen"],
    ),
    task_or_domain: (
        table(**MEAN, epoch=[1, 2]).assign(
            measure=["NSS", "NSS", "accuracy", "accuracy"], chance=0.2, images=9, train=0.1
        ),
        table(**MEAN, layer=["a", "b"], measure=["cka_debiased"]),
        table(CHANGES, **MEAN, category=KINDS),
        table(layer=["a", "b"], measure=ALIKE).assign(
            within=0.9, between=0.8, p=0.002, p_adjusted=0.01, deals=576
        ),
        table(first=["saliency"], second=["scenes", "rotations"], measure=ALIKE),
        STUDY,
    ),
    failures: (
        pd.DataFrame({"image": ["a"], "model": 1.0, "human": 2.0, "gap": 1.0}),
        table(("excess", "people", "beyond"), category=KINDS),
        table(("difference",), side=["natural", "arrays"], model=["plain", "other"])
        .assign(mean=3.0),
        "plain",
    ),
    causal_units: (
        table(first=KINDS, second=KINDS),
        pd.concat([LOSSES.assign(way="to mean"), LOSSES.assign(way="to zero")]),
        LOSSES.assign(k=1),
        table(category=[*KINDS, "all categories"], what=PARTS),
        table(category=KINDS),
        table(measure=["share", "chance", "kappa"]),
        Setup("b", 8, 2, 4.0, 0.5, 0.3, 0.25, 5, 9, 3, []),
    ),
    known_truth: (
        table(number=NUMBERS, world=["nothing", "text × 4"], category=KINDS)
        .assign(favoured=["", "", "", "text", "text", "text"] * 2),
        table(number=NUMBERS, category=KINDS),
        table(number=NUMBERS, control=[known_truth.ALONE, known_truth.BEYOND], world=["up", "down"],
              first=KINDS[:1], second=KINDS[1:2]),
        table(measure=["people", "the map"], together=[1, 3]),
        table(("share",), number=[known_truth.CHANGE, known_truth.READOUTS],
              test=[known_truth.TWO, known_truth.OWN], trainings=[1, 3])
        .assign(share=0.1, worlds=40.0),
        table(number=NUMBERS, images=[40, 80], trainings=[3, 5], category=KINDS),
    ),
    planted_photographs: (
        pd.DataFrame({"category": KINDS, "fixations": 9, "images": 3, "planted": [0, 1, 1]})
        .astype({"planted": bool}),
        table(measure=MEASURES, planted=["text"], dose=[0.25, 1.0, 4.0], category=KINDS),
        table(measure=MEASURES, planted=["text", "plant"], category=KINDS),
        table(measure=MEASURES, planted=["text"], kind=AT),
        pd.DataFrame({"measure": MEASURES, "alarms": 3, "comparisons": 3, "low": 0.3, "high": 1.0}),
    ),
    unit_explorer: (
        table(("mean",), encoder=["one", "other"], category=KINDS).assign(layer="b", unit=3),
    ),
}  # fmt: skip
CLAIMS = (  # what may only be said of an interval that lies off 0
    r"item stand out (more|less) and|finding holds|\bhelps\b|\bhurts\b|raises it most|"
    r"(units of \w+ favour|map favours) (person|text)|they (lead|trail) them|"
    r"it holds|by chance in [a-mo-z]|"
    r"(improves the|costs some) prediction|moved it (further|less far) than scenes did|"
    r"tells (better|worse) than|on average specific|"
    r"the other way round|units add (more|less) to|lead (shrinks|grows)|"
    r"categories\*\*: (person|text)|untrained networks in .*: (more|less)|"
    r"category, (more|less) often|grows in [1-9]|fine-tuning favours (person|text)|the map\.|"
    r"(more|less) than 50|whatever the|"
    r"is favoured at [1-9]|they (cost|carry).*\*\*[1-9]|"
    r"above a world that favours nothing in [1-9]|weight in [1-9]|\(yes\)|"
    r"fine-tuning favoured, (up|down): (person|text)|"
    r"rises with|falls, wrongly|more than others|less, wrongly|(up|down) go |that beyond doubt"
)


def named(sentences):
    return sentences.__name__.split(".")[-2]


def say(sentences, change=lambda given: given):
    return sentences.what_we_see(*map(change, CASES[sentences]))


def unknown(given):
    """Take the numbers of plants out of a table."""
    if not isinstance(given, pd.DataFrame) or "category" not in given:
        return given
    numbers = given.select_dtypes(float)
    return given.assign(**numbers.where(given["category"] != "plant"))


def vague(given):
    """Let every interval reach from far below 0 to far above it, whatever the value."""
    if isinstance(given, pd.DataFrame):
        sides = {"low": -9.0, "high": 9.0}
        found = [c for c in given if c.split("_")[-1] in sides]
        return given.assign(**{c: sides[c.split("_")[-1]] for c in found})
    if isinstance(given, dict):
        wide = {"low": -9.0, "high": 9.0}
        return {key: wide.get(key, value) for key, value in given.items()}
    return given


@pytest.mark.parametrize("sentences", CASES, ids=named)
def test_a_category_without_numbers_is_never_nan(sentences):
    text = say(sentences, unknown)
    assert "nan" not in text.lower()
    assert all(line.startswith("- ") and len(line) > 2 for line in text.splitlines())
    assert not re.search(r" [.;,)]|\(\)|  ", text)  # nothing is left of what was not said


@pytest.mark.parametrize("sentences", CASES, ids=named)
def test_intervals_that_hold_0_decide_nothing(sentences):
    text = say(sentences, vague)
    said = re.search(CLAIMS, text)
    assert not said, said.group()
    if sentences not in (data, unit_explorer):  # which claim nothing of the kind
        assert re.search(CLAIMS, say(sentences))


@pytest.mark.parametrize(
    ("span", "spec", "says"),
    [
        (Span(1.234, 1.1, 1.351), ".2f", "1.23 [1.10, 1.35]"),
        (Span(1.2, -1, 3), "+.1f", "+1.2 [-1.0, +3.0]"),
        (Span(0.123, 0.05, 0.2), ".0%", "12 % [5, 20]"),
        (NAN, ".2f", "not known"),
        (NAN, ".0%", "not known"),
        (Span(1, np.nan, np.nan), ".1f", "1.0 (no interval)"),
        (Span(1, 0.5, 1.5), "more|less|neither", "more"),
        (Span(-1, -1.5, -0.5), "more|less|neither", "less"),
        (Span(9, 0, 20), "more|less|neither", "neither"),
        (Span(-9, -20, 0), "more|less|neither", "neither"),
        (Span(1, np.nan, np.nan), "more|less|neither", "neither"),
        (NAN, "more|less|neither", "neither"),
    ],
)
def test_a_span_is_its_numbers_or_what_they_bear_out(span, spec, says):
    assert format(span, spec) == says


def test_a_span_reads_the_ends_that_belong_to_its_name():
    row = {"value": 1, "low": 0, "high": 2, "after": 3, "after_low": 2.5, "after_high": 4}
    assert Span.of(row) == (1, 0, 2)
    assert Span.of(row, "after") == (3, 2.5, 4)
    assert Span.of(pd.Series(row), "after") == (3, 2.5, 4)
    with pytest.raises(KeyError, match="rho"):
        Span.of(row, "rho")


def test_spans_part_only_where_their_intervals_do():
    one, other = Span(1, 0.5, 1.5), Span(3, 2, 4)
    assert other - one == (2, 0.5, 3.5)
    assert f"{one - other:above|below|undecided}" == "below"
    assert f"{one - Span(3, 1.4, 4):above|below|undecided}" == "undecided"
    assert one - 0.5 == (0.5, 0, 1)


def test_sides_hold_every_name_once_and_the_furthest_first():
    rows = [("a", 1, 0.5, 2), ("e", *NAN), ("b", 3, 2, 4), ("c", -1, -2, -0.5), ("d", 5, -1, 9),
            ("f", 1, np.nan, np.nan)]  # fmt: skip
    found = spans(pd.DataFrame(rows, columns=["category", "value", "low", "high"]))
    sides = Sides.of(found)
    assert [list(side) for side in sides] == [["b", "a"], ["c"], ["d"], ["e", "f"]]
    assert sides.counted == "2 of 4"
    assert sides.too_few == " (too few images of e and f to say)"
    assert Sides.of({"a": found["a"]}).too_few == ""
    most, least = extremes(pd.DataFrame(rows, columns=["category", "value", "low", "high"]))
    assert (most["category"], least["category"]) == ("d", "c")


def test_lists_read_as_people_write_them():
    assert listed(["person_head"]) == "person head"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed([]) == "none"
    assert listed({"gbvs": Span(1, 0, 2)}, ".0f") == "GBVS 1 [0, 2]"
    assert mention("Less for {}.", ["a", "b"]) == "Less for a and b."
    assert mention("Less for {}.", []) == ""


def test_bullets_join_lines_and_drop_what_says_nothing():
    text = """
        - One
          long -0.5 line.
        -
        - {}
        - Two - and no more.
    """
    assert bullets(text.format("")) == "- One long -0.5 line.\n- Two - and no more."


def test_numbers_without_intervals():
    assert (percent(0.125), percent(0.125, 1), percent(np.nan)) == ("12 %", "12.5 %", "not known")
    assert (moved(1, 2.845), moved(np.nan, 1)) == ("1.00 → 2.85", "not known → 1.00")
    assert pairs_above(COUNTS, 1.5) == "pre-trained 9, untrained 9"
