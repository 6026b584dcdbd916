"""Notebook 10: what holds everywhere, and what hangs on the network or the photographs."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from saliencykit.analyses.elsewhere import figures, sentences, tables
from saliencykit.analyses.elsewhere.tables import HOW, IMAGES, NETWORK, SHARE, UNITS, VARIES, Asked
from saliencykit.dissection import Dissection
from saliencykit.evaluation import Kind, Predictor
from saliencykit.findings.lead import EFFICIENT, LEAD, LOST, NATURAL
from saliencykit.intervals import differ
from saliencykit.registry import UnknownNameError
from saliencykit.settings import read_row
from saliencykit.study import Study
from tests.conftest import Blobs

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
        ("toy epochs=1 epochs=2", "twice"),
    ],
)
def test_a_wrong_row_is_told_before_anything_runs(row, said):
    with pytest.raises((UnknownNameError, ValueError), match=said):
        Asked(["toy", row], {})


def test_settings_say_network_images_and_how():
    changes = ["", "data=crowd", "data=crowd train_data=osie", "read=[features.18]"]
    rows = [f"osie_mobilenet weights=null {change}" for change in changes]
    about = Asked([*rows, "toy"], {}).about
    assert about["network"].tolist() == ["mobilenet_v2, untrained"] * 4 + ["toyvgg"]
    assert about["images_of"].tolist() == ["osie", "crowd", "crowd", "osie", "toyworld"]
    three = "reads features.6, features.13, features.18"
    assert about["how"].tolist() == [
        three,
        three,
        f"{three}, taught on osie",
        "reads the deepest layer",
        "reads conv3_3, conv4_3, conv5_3",
    ]
    assert about["setting"][3] == "mobilenet_v2, untrained · osie · reads the deepest layer"
    assert about["setting"][4] == "toyvgg · toyworld"
    (alone,) = Asked(["osie_mobilenet weights=null train_data=crowd"], {}).about["setting"]
    assert alone == f"mobilenet_v2, untrained · osie · {three}, taught on crowd"
    with pytest.raises(ValueError, match="twice"):
        Asked(["toy", "toy"], {})
    with pytest.raises(UnknownNameError, match="conv5_3"):
        Asked(["toy read=[conv5_4]"], {})


def test_settings_that_differ_in_something_else_say_so():
    rows = ["toy epochs=2", "toy lr_encoder=0.1", "toy read=[conv5_3]", "toy epochs=2 images=9"]
    how = Asked(rows, {}).about["how"]
    three = "reads conv3_3, conv4_3, conv5_3 · images"
    assert how.tolist() == [
        f"{three} 0, epochs 2, lr_encoder 0.001",
        f"{three} 0, epochs 4, lr_encoder 0.1",
        "reads the deepest layer",
        f"{three} 9, epochs 2, lr_encoder 0.001",
    ]


def kept_in(folder, found=None):
    """Write tables as a run of four settings does."""
    found = found or all_tables()
    folder.mkdir(exist_ok=True)
    for name, table in zip(tables.TABLES, found.values(), strict=False):
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    return str(folder)


def asked_of(*settings):
    """Settings as `Asked` has them, of (network, images, how)."""
    about = pd.DataFrame(settings, columns=[*VARIES])
    about.insert(0, "setting", about[NETWORK] + " · " + about[IMAGES])
    return about


DEEPEST = "reads the deepest layer"


def test_what_an_earlier_run_told_stands_beside_under_a_name_of_its_own(tmp_path):
    own = asked_of(("vgg16", "osie", DEEPEST), ("alexnet", "crowd", "reads two layers"))
    kept = tables.Kept(kept_in(tmp_path / "crowd"), own)
    same = f"vgg16 · osie · {DEEPEST} · told by crowd"  # as it reads, but taught alike?
    names = [same, "vgg16 · crowd", "alexnet · osie", f"alexnet · crowd · {DEEPEST}"]
    assert kept.about["setting"].tolist() == names
    assert kept.about["layer"].unique().tolist() == ["deep"]
    new = all_tables()["F2"].iloc[:1].assign(value=0.7, measure=SHARE)
    both = kept.under(new, "10_favoured")
    assert both["setting"].tolist() == ["vgg16 · osie", *names * 2]
    assert both[HOW].tolist()[:3] == [DEEPEST, f"{DEEPEST} · told by crowd", DEEPEST]
    columns = ["value", "low", "high", "se_images", "trainings"]
    before = all_tables()["F2"][columns].to_numpy(float)
    assert both[columns].iloc[1:].to_numpy(float) == pytest.approx(before)
    assert tables.hangs_on({"F2": both}).query("on == @HOW").empty  # one way to read, told twice
    counted = [rows["setting"].tolist() for _, rows in tables.numbers({"F2": both})]
    assert all(same not in names for names in counted)
    assert "vgg16 · osie" in counted[0]
    assert kept.under(new, "10_same_units") is new  # which that run did not write
    nobody = tables.Kept("", own)
    assert nobody.about.empty
    assert nobody.under(new, "10_favoured") is new


def test_the_reference_stands_beside_a_network_of_one_s_own():
    row = "toy encoder=squeezenet1_1 weights=null read=[] layers=[] unit_layer="
    settings = Asked([row], {}, "toy")
    name = "squeezenet1_1, untrained · toyworld"
    assert list(settings.studies) == [name]
    assert settings.about[tables.TOLD_BY].tolist() == [tables.ASKED, "toy", "toy"]
    heads = pd.DataFrame({"setting": [name], "measure": "x", "what": "text", "value": 0.5})
    found = settings.marked([heads.assign(low=0.1, high=0.9)], "10_units")
    assert found[NETWORK].tolist()[:2] == ["squeezenet1_1, untrained", "toyvgg"]
    assert found["se_images"].notna().sum() == len(found) - 1
    text = sentences._asked(settings.about)
    assert "3 settings, 2 of them told by an earlier run (toy)" in text
    again = Asked(["toy"], {}, "toy").about  # asked anew: both are told
    assert again["setting"].tolist()[0] == "toyvgg · toyworld"
    for column in ("setting", HOW):
        assert again[column].str.endswith("told by toy").tolist() == [False, True, False]
    assert "is drawn, not counted" in sentences._asked(again)
    plain = Asked(["toy"], {}).about
    assert "told by" not in sentences._asked(plain)


def test_who_cannot_stand_beside_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(UnknownNameError, match="toy"):
        Asked(["toy"], {}, "tyo")
    with pytest.raises(ValueError, match=r"holds no 10_units\.csv of an earlier run"):
        Asked(["toy"], {}, str(tmp_path))
    kept_in(tmp_path)
    path = tmp_path / "10_favoured.csv"
    path.write_text(path.read_text().replace("0.9,", "many,", 1))
    with pytest.raises(ValueError, match=r"10_favoured.csv.*line 3.*many"):
        Asked(["toy"], {}, str(tmp_path))
    path.write_text("setting,value\na,1\n")
    with pytest.raises(ValueError, match=r"10_favoured.csv, line 1: no column network"):
        Asked(["toy"], {}, str(tmp_path))


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


def described(networks=NETWORKS, places=PLACES):
    rows = [
        (f"{n} · {p}", n, p, "reads the deepest layer", "deep") for n in networks for p in places
    ]
    return pd.DataFrame(rows, columns=["setting", *VARIES, "layer"])


def made(values, measure, what, reach=0.1, **spread):
    """A table of four settings: network by network, both collections."""
    table = described().drop(columns="layer").assign(measure=measure, what=what)
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
        "F4": made([0.2] * 4, "deep", "change", p=0.01).query("images_of == 'osie'"),
    }


def test_what_hangs_on_network_or_photographs_is_found_and_no_more():
    found = tables.hangs_on(all_tables())
    sure = found[found["p_adjusted"] < 0.05]
    told = set(sure[["finding", "what", "on"]].itertuples(index=False, name=None))
    assert told == {("F1", "text", NETWORK), ("F2", "person_head", IMAGES)}
    text = sure[sure["what"] == "text"].iloc[0]
    assert (text["settings"], text["least"], text["most"]) == (2, -0.3, 0.4)
    assert set(found[found["finding"] == "F4"]["on"]) == {NETWORK}  # on OSIE alone
    counted = found.groupby(["finding", "on"]).size().to_dict()
    assert counted == {
        ("F1", NETWORK): 4,
        ("F1", IMAGES): 4,
        ("F2", NETWORK): 4,
        ("F2", IMAGES): 4,
        ("F3", NETWORK): 6,
        ("F3", IMAGES): 6,
        ("F4", NETWORK): 1,
    }


def words(found, same=None, about=None):
    same = pd.DataFrame(columns=["network", "first", "second"]) if same is None else same
    about = described() if about is None else about
    return sentences.what_we_see(found, tables.hangs_on(found), same, about)


def line(text, number):
    (found,) = [row for row in text.splitlines() if row.startswith(f"| {number} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_text_says_what_holds_everywhere_and_what_does_not():
    text = words(all_tables())
    everywhere = text[text.index("In every setting asked") : text.index("Differences in size")]
    above, below = everywhere.split("**Below 0** ")
    assert "**Above 0** F1 person head (4), F2 person head, map (4)" in above
    assert "F3 lead on efficient searches (4)" in below
    assert "text" not in everywhere
    networks = text[text.index("Differences in size") : text.index("between collections")]
    assert "F1 text -0.30 (alexnet) and 0.40 (vgg16), in sign too [osie, reads the" in networks
    assert "person head" not in networks
    assert "F2 person head, map 0.50 (osie) and 0.90 (crowd) [vgg16, reads the" in text
    assert "(2 of 15 comparisons)" in networks
    assert "in 4, they trail on efficient searches, as the paper has it, in 4 (vgg16 · osie" in text
    assert line(text, "F1 text")[:4] == ["F1 text", "2", "2", "0"]
    assert "differ" in line(text, "F1 text")[4]
    assert "no difference found" in line(text, "F1 text")[5]
    assert line(text, "F2 person head, ten best units")[3] == "4"
    assert line(text, "F4 change of selectivity")[-1] == "–"  # asked on OSIE alone


def test_the_text_changes_with_the_numbers():
    text = words(all_tables(text=(0.4, 0.4, 0.4, 0.4), arrays=(0.4, 0.4, -0.4, -0.4)))
    assert line(text, "F1 text")[1] == "4"
    assert "F1 text (4)" in text
    assert "between networks F3 lead on efficient" in text
    assert "in 2 (alexnet · osie and alexnet · crowd)" in text


def test_one_setting_tells_nothing_of_others():
    alone = {name: t[t["setting"] == "vgg16 · osie"] for name, t in all_tables().items()}
    text = words(alone, about=described(["vgg16"], ["osie"]))
    assert "1 setting of **one network on one collection of images**" in text
    assert "No two settings differ in one thing only" in text
    assert "No number lies on one side of 0 in every setting asked" in text
    assert "between" not in text[text.index("| number") :]


def test_nobody_may_be_asked_about_tasks_or_text():
    """Crowd has heads alone and no scenes."""
    found = {name: t[t["images_of"] == "crowd"] for name, t in all_tables().items()}
    found["F1"] = found["F1"].query("what != 'text'")
    text = words(found, about=described(places=["crowd"]))
    assert "text" not in text
    assert "F4" not in text
    plt.close(figures.units(found["F1"]))


def test_tasks_are_asked_of_networks_on_their_own_collection():
    other = object()
    study = SimpleNamespace(train=SimpleNamespace(scenes=("home",)), unseen=other, annotated=other)
    settings = SimpleNamespace(studies={"vgg16 · crowd": study}, marked=lambda parts, name: parts)
    assert tables.tasks(settings) == []


def test_one_training_tells_no_difference():
    found = {"F2": all_tables()["F2"].assign(trainings=1, sd_trainings=np.nan)}
    assert tables.hangs_on(found).empty


def test_a_number_that_settings_share_stands_once():
    settings = Asked(["toy", "toy read=[conv5_3]"], {})
    told = pd.DataFrame({"measure": "m", "what": "w", "value": [1.0], "low": 0.5, "high": 1.5})
    parts = [told.assign(setting=name) for name in settings.studies]
    assert len(settings.marked(parts, "10_units")) == 1
    parts[1]["value"] = 1.0000001  # tables hold six digits
    assert len(settings.marked(parts, "10_units")) == 1
    parts[1]["value"] = 1.1
    assert len(settings.marked(parts, "10_units")) == 2
    assert {"setting", *tables.TOLD} <= set(settings.marked([], "10_units").columns)


# --- The same units on two collections -----------------------------------------------------------


def dissected(scores):
    regions = pd.DataFrame(
        {"image": [f"i{k}" for k in range(len(scores))], "category": "person_head", "sure": True}
    ).assign(fixations=5)
    return Dissection({"deep": torch.as_tensor(scores).float()}, regions, ("person_head", "text"))


class Given:
    """A study whose dissection is given; an untrained network's is noise."""

    pretrained, untrained = "given", "untrained"

    def __init__(self, result):
        self.result = result

    def dissect(self, encoder, p_values):
        scores = self.result.scores["deep"]
        noise = torch.randn(scores.shape, generator=torch.Generator().manual_seed(len(scores)))
        return self.result if encoder == "given" else replace(self.result, scores={"deep": noise})


def asked(first, second, network=("vgg16", "vgg16")):
    settings = object.__new__(Asked)
    about = [(f"{n} · {p}", n, p) for n, p in zip(network, PLACES, strict=True)]
    settings.own = pd.DataFrame(about, columns=["setting", "network", "images_of"])
    settings.kept = tables.Kept("", settings.own)
    results = (Given(dissected(first)), Given(dissected(second)))
    settings.studies = dict(zip(settings.own["setting"], results, strict=True))
    return settings


def test_units_that_answer_alike_are_told_apart_from_others():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=60)
    first, second = (truth + 0.3 * rng.normal(size=(30, 60)) for _ in range(2))
    second = second[:-1]
    row = tables.same_units(asked(first, second), "person_head", k=5, n=200).iloc[0]
    want = stats.spearmanr(first.mean(0), second.mean(0)).statistic
    assert row["value"] == pytest.approx(want, abs=1e-4)
    assert 0.9 < row["low"] < row["value"] < row["high"] <= 1
    assert abs(row["untrained"]) < 0.5
    best = [set(np.argsort(-scores.mean(0))[:5]) for scores in (first, second)]
    assert (row["shared"], row["chance"]) == (len(best[0] & best[1]), 25 / 60)
    other = tables.same_units(asked(first, second[:, ::-1].copy()), "person_head", k=5, n=200)
    assert other["value"].iloc[0] < 0.5


def test_other_networks_or_categories_do_not_pair():
    scores = np.random.default_rng(0).normal(size=(20, 8))
    none = tables.same_units(asked(scores, scores, ("vgg16", "alexnet")), "person_head")
    assert none.empty
    assert tables.same_units(asked(scores, scores), "vehicle").empty
    assert "The same units" not in words(all_tables(), none)
    same = tables.same_units(asked(scores, scores), "person_head", k=3, n=50)
    text = words(all_tables(), same)
    assert "vgg16 on osie and crowd 1.00" in text
    assert "3 of the ten best in common" in text
    plt.close(figures.same_units(same))


# --- Figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finding", "draw", "panels"),
    [
        ("F1", figures.units, 2),
        ("F2", figures.favoured, 1),
        ("F2", figures.favoured_units, 1),
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
    assert {row.partition("\n")[0] for row in rows} == want
    marks = [mark for axis in figure.axes for mark in axis.lines if mark.get_marker() == "o"]
    assert sum(len(mark.get_xdata()) for mark in marks) == panels * len(want)
    plt.close(figure)


def test_who_shares_a_number_has_a_dash_where_only_the_others_are_drawn():
    table = all_tables()["F2"]
    of_units = table["measure"] == tables.UNITS
    alone = table[~of_units | (table["setting"] == table["setting"].iloc[0])]
    figure = figures.favoured_units(alone)
    names = set(table["setting"])
    assert len(figure.axes[0].get_yticklabels()) == len(names)
    assert [text.get_text() for text in figure.axes[0].texts] == ["–"] * (len(names) - 1)
    plt.close(figure)


# --- Taught on other images ----------------------------------------------------------------------


class TaughtElsewhere:
    """A study of images that none of its networks was taught on; they answer with noise."""

    trainings, centre = 2, None
    evaluated_on, _evaluated = Study.evaluated_on, Study._evaluated

    def __init__(self):
        self.annotated = self.unseen = Blobs(6)

    @property
    def evaluated(self):
        raise AssertionError("these are scores on the images that taught them")

    def training(self, number):
        return {"fine-tuned": number}

    def network_maps(self, networks, data):
        return {name: self.noise(seed, data) for name, seed in networks.items()}

    def untaught(self, data):
        return {}

    def noise(self, seed, data):
        def map_of(i):
            return torch.rand(data.size_of(i), generator=torch.Generator().manual_seed(seed + i))

        return Predictor(map_of, seed, Kind.NETWORK)


def test_who_was_taught_elsewhere_is_scored_on_the_images_asked_about(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCYKIT_CACHE", str(tmp_path))
    study = TaughtElsewhere()
    found = tables._natural(study)
    assert list(found.images) == study.annotated.names
    assert "human" in found.models
    assert found.grid("fine-tuned").shape == (2, 6)
