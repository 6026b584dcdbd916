"""Notebook 10: what holds everywhere, and what hangs on the network or the photographs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from saliencykit.analyses.elsewhere import figures, sentences, tables
from saliencykit.analyses.elsewhere.tables import NETWORK, PHOTOGRAPHS, SHARE, UNITS, Settings
from saliencykit.dissection import Dissection
from saliencykit.findings.lead import EFFICIENT, LEAD, LOST, NATURAL
from saliencykit.intervals import differ
from saliencykit.registry import UnknownNameError
from saliencykit.settings import read_row
from saliencykit.study import Study

# --- Rows ----------------------------------------------------------------------------------------


def test_a_row_is_a_profile_and_what_it_changes():
    row = "toy read=[conv5_3] trainings=2 lr_encoder=1e-4 weights=null encoder=vgg16"
    name, changes = read_row(row)
    assert name == "toy"
    assert changes == {
        "read": ["conv5_3"],
        "trainings": 2,
        "lr_encoder": 1e-4,
        "weights": None,
        "encoder": "vgg16",
    }
    study = Study.from_row(row, trainings=7, epochs=3)  # the row's own go first
    assert (study.profile, study.trainings, study.epochs) == ("toy", 2, 3)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("tyo", "toy"),
        ("toy trainigs=2", "trainings"),
        ("toy trainings", "setting=value"),
        ("toy trainings=few", "a number"),
        ("", "profile"),
    ],
)
def test_a_wrong_row_is_told_before_anything_runs(row, said):
    with pytest.raises((UnknownNameError, ValueError), match=said):
        Settings(["toy", row], {})


def test_settings_are_named_by_network_and_photographs():
    rows = ["osie", "osie data=crowd", "toy", "toy read=[conv5_3]"]
    rows.append("osie data=crowd train_data=osie")
    about = Settings(rows, {}).about
    assert about["network"].tolist() == [
        "mobilenet_v2",
        "mobilenet_v2",
        "toyvgg (toy)",
        "toyvgg (read=[conv5_3])",
        "mobilenet_v2, taught on osie",
    ]
    assert about["photographs"].tolist() == ["osie", "crowd", "toyworld", "toyworld", "crowd"]
    assert about["setting"][0] == "mobilenet_v2 · osie"
    with pytest.raises(ValueError, match="twice"):
        Settings(["toy", "toy"], {})


# --- Do numbers differ? --------------------------------------------------------------------------


def test_differ_is_welch_s_test():
    rng = np.random.default_rng(0)
    groups = [rng.normal(m, s, n) for m, s, n in [(0, 1, 5), (1, 2, 7), (0.5, 0.3, 4)]]
    counts = np.array([len(g) for g in groups])
    variances = np.array([g.var(ddof=1) for g in groups]) / counts
    p = differ([g.mean() for g in groups], (variances, counts))
    assert p == pytest.approx(stats.f_oneway(*groups, equal_var=False).pvalue)
    two = differ([g.mean() for g in groups[:2]], (variances[:2], counts[:2]))
    assert two == pytest.approx(stats.ttest_ind(*groups[:2], equal_var=False).pvalue)


def test_differ_tells_nothing_of_one_or_of_what_is_not_known():
    assert np.isnan(differ([1.0], ([0.1], [5])))
    assert np.isnan(differ([1.0, np.nan], ([0.1, 0.1], [5, 5])))
    assert np.isnan(differ([1.0, 2.0], ([0.0, 0.1], [5, 5])))


def test_differ_alarms_as_seldom_as_it_promises():
    """Four settings that are alike but for their spreads: trainings and images both count."""
    rng, alarms, worlds = np.random.default_rng(1), 0, 2000
    spread, n = np.array([1, 0.5, 2, 1]), np.array([5, 5, 3, 5])
    for _ in range(worlds):
        own = [rng.normal(0, s, k) for s, k in zip(spread, n, strict=True)]
        images = 0.25 * rng.chisquare(99, 4) / 99
        means = [o.mean() for o in own] + 0.5 * rng.standard_normal(4)
        trainings = np.array([o.var(ddof=1) for o in own]) / n
        alarms += differ(means, (images, np.full(4, 100)), (trainings, n)) < 0.05
    assert alarms / worlds < 0.07
    assert alarms  # it can


# --- What differs, and what is said of it --------------------------------------------------------

NETWORKS, PLACES = ("vgg16", "alexnet"), ("osie", "crowd")


def made(values, measure, what, reach=0.1, **spread):
    """A table of four settings: network by network, both photographs."""
    about = [(f"{n} · {p}", n, p) for n in NETWORKS for p in PLACES]
    table = pd.DataFrame(about, columns=tables.ABOUT).assign(measure=measure, what=what)
    values = np.asarray(values, float)
    given = {"value": values, "low": values - reach, "high": values + reach}
    given |= {"se_images": 0.02, "images": 100, "sd_trainings": 0.05, "trainings": 5}
    return table.assign(**given | spread)


def all_tables(text=(0.4, 0.4, -0.3, -0.3), arrays=(-0.4,) * 4):
    controls = {"sd_controls": 0.05, "controls": 10}
    heads = made([1, 1.02, 0.99, 1], "deep", "person_head", **controls)
    return {
        "F1": pd.concat([heads, made(text, "deep", "text", **controls)]).drop(
            columns=["sd_trainings", "trainings"]
        ),
        "F2": pd.concat(
            [
                made([0.5, 0.9, 0.5, 0.9], SHARE, "person_head"),
                made([0.02, 0.01, -0.02, 0.0], UNITS, "person_head"),
            ]
        ),
        "F3": pd.concat(
            [
                made([0.3] * 4, NATURAL, LEAD),
                made(arrays, EFFICIENT, LEAD),
                made([0.7] * 4, LOST, LEAD),
            ]
        ),
        "F4": made([0.2] * 4, "deep", "change").query("photographs == 'osie'"),
    }


def test_what_hangs_on_network_or_photographs_is_found_and_no_more():
    found = tables.hangs_on(all_tables())
    sure = found[found["p_adjusted"] < 0.05]
    told = set(sure[["finding", "what", "on"]].itertuples(index=False, name=None))
    assert told == {("F1", "text", NETWORK), ("F2", "person_head", PHOTOGRAPHS)}
    text = sure[sure["what"] == "text"].iloc[0]
    assert (text["settings"], text["least"], text["most"]) == (2, -0.3, 0.4)
    assert set(found[found["finding"] == "F4"]["on"]) == {NETWORK}  # on OSIE alone
    counted = found.groupby(["finding", "on"]).size().to_dict()
    assert counted == {
        ("F1", NETWORK): 4,
        ("F1", PHOTOGRAPHS): 4,
        ("F2", NETWORK): 4,
        ("F2", PHOTOGRAPHS): 4,
        ("F3", NETWORK): 6,
        ("F3", PHOTOGRAPHS): 6,
        ("F4", NETWORK): 1,
    }


def words(found, same=None):
    same = pd.DataFrame() if same is None else same
    return sentences.what_we_see(found, tables.hangs_on(found), same)


def test_the_text_says_what_holds_everywhere_and_what_does_not():
    text = words(all_tables())
    everywhere = text[text.index("What holds everywhere") : text.index("What hangs on")]
    above, below = everywhere.split("below 0 in all settings asked, ")
    assert "above 0 in all settings asked, F1 person head, " in above
    assert "F3 lead on efficient searches" in below
    assert "text" not in everywhere
    network = text[text.index("What hangs on the network") : text.index("On the photographs")]
    assert "F1 text (osie -0.30 to 0.40, crowd -0.30 to 0.40)" in network
    assert "person head" not in network
    assert (
        "F2 person head (map, share of people's) (vgg16 0.50" in text[text.index("On the photo") :]
    )
    assert "Neither is certain of F2 person head (ten best units, region NSS)" in text
    assert "text in 2 of 4 (less in alexnet · " in text
    assert "turns round, as the paper has it, in 4 of 4" in text


def test_the_text_changes_with_the_numbers():
    text = words(all_tables(text=(0.4, 0.4, 0.4, 0.4), arrays=(0.4, 0.4, -0.4, -0.4)))
    assert "F1 text" in text[text.index("above 0 in all") : text.index("What hangs on")]
    assert "turns round, as the paper has it, in 2 of 4: alexnet · osie and alexnet · crowd" in text


def test_one_setting_tells_nothing_of_others():
    alone = {name: t[t["setting"] == "vgg16 · osie"] for name, t in all_tables().items()}
    text = words(alone)
    assert "1 setting is asked" in text
    assert "nothing is told of what it hangs on" in text
    assert "What holds everywhere" not in text


# --- The same units on two collections -----------------------------------------------------------


def dissected(scores):
    regions = pd.DataFrame(
        {"image": [f"i{k}" for k in range(len(scores))], "category": "person_head", "sure": True}
    ).assign(fixations=5)
    return Dissection({"deep": torch.as_tensor(scores).float()}, regions, ("person_head", "text"))


class Given:
    """A study whose dissection is given."""

    pretrained = None

    def __init__(self, result):
        self.result = result

    def dissect(self, encoder, p_values):
        return self.result


def asked(first, second, network=("vgg16", "vgg16")):
    settings = object.__new__(Settings)
    about = [(f"{n} · {p}", n, p) for n, p in zip(network, PLACES, strict=True)]
    settings.about = pd.DataFrame(about, columns=tables.ABOUT)
    results = (Given(dissected(first)), Given(dissected(second)))
    settings.studies = dict(zip(settings.about["setting"], results, strict=True))
    return settings


def test_units_that_answer_alike_are_told_apart_from_others():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    first, second = (truth + 0.3 * rng.normal(size=(30, 60)) for _ in range(2))
    row = tables.same_units(asked(first, second), "person_head", k=5, n=200).iloc[0]
    want = stats.spearmanr(first.mean(0), second.mean(0)).statistic
    assert row["value"] == pytest.approx(want, abs=1e-4)
    assert row["low"] < row["value"] <= row["high"] + 1e-6
    assert row["low"] > 0.9
    best = [set(np.argsort(-scores.mean(0))[:5]) for scores in (first, second)]
    assert (row["shared"], row["chance"]) == (len(best[0] & best[1]), 25 / 60)
    other = tables.same_units(asked(first, second[:, ::-1].copy()), "person_head", k=5, n=200)
    assert other["value"].iloc[0] < 0.5


def test_other_networks_or_categories_do_not_pair():
    scores = np.random.default_rng(0).normal(size=(20, 8))
    none = tables.same_units(asked(scores, scores, ("vgg16", "alexnet")), "person_head")
    assert none.empty
    assert tables.same_units(asked(scores, scores), "vehicle").empty
    assert words(all_tables(), none)
    same = tables.same_units(asked(scores, scores), "person_head", k=3, n=50)
    text = words(all_tables(), same)
    assert "vgg16 on osie and crowd 1.00" in text
    assert "with 3 of the ten best" in text
    plt.close(figures.same_units(same))


# --- Figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finding", "draw", "panels"),
    [
        ("F1", figures.units, 1),
        ("F2", figures.favoured, 2),
        ("F3", figures.leads, 3),
        ("F4", figures.tasks, 1),
    ],
)
def test_a_forest_has_a_row_a_setting(finding, draw, panels):
    table = all_tables()[finding]
    figure = draw(table)
    assert len(figure.axes) == panels
    rows = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    want = set(table["setting"])
    assert {row.partition(" (")[0] for row in rows} == want
    marks = [line for axis in figure.axes for line in axis.lines if line.get_marker() in "oD"]
    assert sum(len(line.get_xdata()) for line in marks) >= len(table)
    plt.close(figure)
