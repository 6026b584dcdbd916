"""Notebook 01: scores over trainings, who differs from whom, what figures and words say of it."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saliencykit.analyses.models import figures, sentences, tables
from saliencykit.evaluation import (
    Evaluation,
    Evaluations,
    Kind,
    ObserverCurve,
    Predictor,
    evaluate,
    prior_maps,
    summary,
)
from saliencykit.intervals import IMAGES, crossed, nested, of_images, p_of, resampled
from saliencykit.metrics import PowerLaw
from saliencykit.models import CentrePrior
from saliencykit.study import Trained
from tests.conftest import Blobs

KINDS = {"classic": Kind.CLASSICAL, "frozen": Kind.NETWORK, "fine-tuned": Kind.NETWORK}


def part(values, images, kinds=KINDS, metric="nss"):
    """An evaluation: model → its score on each image."""
    rows = [
        (m, image, metric, v)
        for m, own in values.items()
        for image, v in zip(images, own, strict=True)
    ]
    scores = pd.DataFrame(rows, columns=["model", "image", "metric", "value"])
    return Evaluation(scores, {}, {m: kinds[m] for m in values})


def shared(trainings=3, images=20, seed=0):
    """Trainings on the same images: what `Evaluations` makes of them, and the values by model."""
    rng = np.random.default_rng(seed)
    values = {m: rng.normal(2, 1, (trainings, images)) for m in KINDS}
    values["classic"][:] = values["classic"][0]
    names = [f"i{k:02d}" for k in range(images)]
    parts = [part({m: v[k] for m, v in values.items()}, names) for k in range(trainings)]
    return Evaluations.of(parts), values


def folds(trainings=5, images=20, seed=0):
    """Trainings each with images of its own."""
    rng = np.random.default_rng(seed)
    values = {m: rng.normal(2, 1, (trainings, images)) for m in KINDS}
    names = [[f"i{s}{k:02d}" for k in range(images)] for s in range(trainings)]
    parts = [part({m: v[s] for m, v in values.items()}, names[s]) for s in range(trainings)]
    return Evaluations.of(parts), values


def test_trainings_on_the_same_images_are_crossed():
    found, values = shared()
    assert not found.own_images
    assert (found.trainings, found.networks) == (3, ["frozen", "fine-tuned"])
    assert np.array_equal(found.grid("frozen"), values["frozen"])
    assert np.array_equal(found.grid("classic"), values["classic"][:1])  # told once
    table = found.summary().set_index("model")
    again = resampled(20, 1000, 0)[1:]
    expected = crossed(values["frozen"].mean(1), values["frozen"].mean(0)[again].mean(1), 20)
    row = table.loc["frozen"]
    assert row[["value", "low", "high"]].tolist() == pytest.approx([*map(float, expected[:3])])
    assert row["sd_trainings"] == pytest.approx(values["frozen"].mean(1).std(ddof=1))
    assert row[["training 1", "training 3"]].tolist() == pytest.approx(
        values["frozen"].mean(1)[[0, 2]]
    )
    assert np.isnan(table.loc["classic", ["sd_trainings", "training 1"]].astype(float)).all()
    assert table["images"].tolist() == [20, 20, 20]


def test_trainings_with_images_of_their_own_are_nested_and_others_are_not():
    found, values = folds()
    assert found.own_images
    assert len(found.images) == 100
    table = found.summary().set_index("model")
    expected = nested(values["frozen"].mean(1))
    row = table.loc["frozen", ["value", "low", "high"]].tolist()
    assert row == pytest.approx([*map(float, expected[:3])])
    classic = of_images(values["classic"].reshape(1, -1))
    assert table.loc["classic", "low"] == pytest.approx(float(classic.low))
    gap = found.difference("frozen", "classic")
    expected = nested((values["frozen"] - values["classic"]).mean(1))
    assert gap["high"] == pytest.approx(float(expected.high))
    theirs = stats.ttest_1samp((values["frozen"] - values["classic"]).mean(1), 0)
    assert gap["p"] == pytest.approx(theirs.pvalue)
    assert gap["images"] == table.loc["classic", "images"] == 100


def test_two_networks_are_compared_training_by_training():
    """What a seed does to both is no doubt about their difference."""
    found, values = shared(images=30)
    seeds = np.array([[-5.0], [0], [5]])
    parts = [
        part(
            {"frozen": values["frozen"][k] + s, "fine-tuned": values["frozen"][k] + s + 1},
            found.images,
        )
        for k, s in enumerate(seeds)
    ]
    gap = Evaluations.of(parts).difference("fine-tuned", "frozen")
    assert gap[["value", "low", "high"]].tolist() == pytest.approx([1, 1, 1])
    assert gap["p"] == 0


def test_an_image_that_one_lacks_is_left_out():
    names = [f"i{k:02d}" for k in range(20)]
    own = np.arange(20.0)
    lacking = np.where(own == 7, np.nan, own - 1)
    found = Evaluations.of([part({"frozen": own, "classic": lacking}, names)])
    gap = found.difference("frozen", "classic")
    assert (gap["images"], gap["value"]) == (19, 1)
    assert found.summary().set_index("model").loc["classic", "images"] == 19


def test_fewer_than_sixteen_images_have_neither_interval_nor_p():
    for few, enough in ((shared, IMAGES), (folds, -(-IMAGES // 5))):
        unknown, told = (few(images=n)[0].pairwise() for n in (enough - 1, enough))
        assert unknown[["low", "high", "p", "p_adjusted"]].isna().all(axis=None)
        assert unknown["value"].notna().all()
        assert told[["low", "high", "p", "p_adjusted"]].notna().all(axis=None)


@given(st.integers(0, 10_000), st.integers(1, 5), st.booleans())
def test_p_is_below_five_per_cent_where_the_interval_excludes_0(seed, trainings, own_images):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.3, 1, (trainings, 20)) + rng.normal(0, 0.2, (trainings, 1))
    found = of_images(values, own_images)
    p = p_of(found, 20)
    if np.isnan(found.low):
        assert np.isnan(p)
    else:
        assert (p < 0.05) == (found.low > 0 or found.high < 0)


def test_p_of_one_training_is_that_of_a_t_test_over_images():
    values = np.random.default_rng(0).normal(0.3, 1, (1, 60))
    theirs = stats.ttest_1samp(values[0], 0).pvalue
    assert float(p_of(of_images(values, n=20_000), 60)) == pytest.approx(theirs, rel=0.15)
    assert float(p_of(of_images(np.zeros((1, 60))), 60)) == 1  # two that are one


def test_differences_that_are_not_there_are_rarely_found():
    """Networks of one kind: what seeds and images do is all there is."""
    alarms = {False: 0, True: 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, 0.3, (5, 1)) + rng.normal(0, 1, (5, 40))
        alone = noise + rng.normal(0, 1, 40)
        for own_images, values in ((False, alone), (True, noise)):
            alarms[own_images] += p_of(of_images(values, own_images, n=200), 40) < 0.05
    assert alarms[False] / 200 <= 0.07
    assert alarms[True] / 200 == pytest.approx(0.05, abs=0.04)


def test_pairs_are_in_the_models_order_and_adjusted_over_all():
    found, _ = shared()
    pairs = found.pairwise()
    assert pairs[["first", "second"]].to_numpy().tolist() == [
        ["classic", "frozen"],
        ["classic", "fine-tuned"],
        ["frozen", "fine-tuned"],
    ]
    adjusted = stats.false_discovery_control(pairs["p"].to_numpy())
    assert pairs["p_adjusted"].tolist() == pytest.approx(adjusted)


def test_a_share_is_the_ratio_of_means_with_the_interval_of_a_ratio():
    rng = np.random.default_rng(0)
    human = rng.normal(4, 1, 200)
    own = 0.8 * human + rng.normal(0, 0.4, (1, 200))
    people = pd.DataFrame({"model": "human", "metric": "nss", "value": human})
    names = [f"i{k:03d}" for k in range(200)]
    found = Evaluations.of([part({"frozen": own[0]}, names)]).beside(people.assign(image=names))
    row = found.shares().iloc[0]
    assert row["value"] == pytest.approx(own.mean() / human.mean())
    drawn = resampled(200, 4000, 1)[1:]
    ratios = own[0][drawn].mean(1) / human[drawn].mean(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    assert row["high"] - row["low"] == pytest.approx(high - low, rel=0.1)


def test_learning_curves_of_all_trainings():
    curves = [
        pd.DataFrame({"epoch": [1, 2], "train": [1.0, 2], "validation": [0.5 + k, 1.0 + k]})
        for k in range(3)
    ]
    table = tables.learning(
        {"frozen": [Trained(None, curve, k, None) for k, curve in enumerate(curves)]}
    )
    shown = table.query("images == 'validation'")
    assert shown["value"].tolist() == [1.5, 2.0]
    assert shown["sd_trainings"].tolist() == [1, 1]
    assert shown[["training 1", "training 3"]].iloc[1].tolist() == [1, 3]
    assert table[["low", "high", "se_images"]].isna().all(axis=None)
    lines = summary(
        pd.DataFrame({"model": "human", "image": ["a", "b"], "metric": "nss", "value": 3})
    )
    figure = figures.learning_curves(table, lines)
    drawn = [line.get_ydata() for line in figure.axes[0].lines]
    assert any(np.array_equal(y, [1.5, 2.0]) for y in drawn)
    assert sum(np.array_equal(y, [2.5, 3.0]) for y in drawn) == 1  # the third training, faint
    plt.close(figure)


@pytest.fixture(scope="module")
def evaluated():
    data = Blobs(20)
    flat = Predictor(lambda i: torch.arange(64.0).expand(48, 64) + i, {"test": "flat"})
    parts = []
    for k in range(3):
        noise = torch.rand(48, 64, generator=torch.Generator().manual_seed(k))
        best = Predictor(
            lambda i, noise=noise: data.image(i)[0] + 20 * noise, {"best": k}, Kind.NETWORK
        )
        prior = {"centre prior": prior_maps(CentrePrior(), data)}
        parts.append(evaluate({**prior, "flat": flat, "best": best}, data, ("nss", "cc")))
    people = pd.DataFrame({"model": "human", "image": data.names, "metric": "nss", "value": 9.0})
    return data, Evaluations.of(parts).beside(people)


def test_score_table_orders_models_and_draws_people_as_a_line(evaluated):
    table = evaluated[1].summary()
    figure = figures.score_table(table)
    first = figure.axes[0]
    assert [t.get_text() for t in first.get_yticklabels()] == ["best", "flat"]
    lines = {line.get_label(): line.get_xdata()[0] for line in first.lines}
    assert lines["human"] == pytest.approx(9)
    row = table[table["metric"] == "nss"].set_index("model")
    assert lines["centre prior"] == pytest.approx(row.loc["centre prior", "value"])
    drawn = [line.get_xdata()[0] for line in first.lines if line.get_marker() == "|"]
    assert set(row.loc["best", ["training 1", "training 2", "training 3"]]) <= set(drawn)
    plt.close(figure)


def test_people_s_limit_is_a_line_where_it_is_known(evaluated):
    table, law = evaluated[1].summary(), PowerLaw(12, 3, 0.5, 11, 13, True)
    curve = ObserverCurve(pd.DataFrame(), law, torch.zeros(3))
    loose = dataclasses.replace(curve, law=dataclasses.replace(law, determined=False))
    assert tables.with_limit(table, {"nss": loose}).equals(table)
    figure = figures.score_table(tables.with_limit(table, {"nss": curve}))
    lines = {line.get_label(): line.get_xdata()[0] for line in figure.axes[0].lines}
    assert lines["human, n → ∞"] == 12
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["best", "flat"]
    plt.close(figure)


def test_pairs_matrix_prints_only_what_is_significant(evaluated):
    table = evaluated[1].pairwise().assign(p_adjusted=0.5)
    table.loc[table.index[0], "p_adjusted"] = 0.01
    figure = figures.pairs(table)
    assert sorted(t.get_text() for t in figure.axes[0].texts) == sorted(
        f"{value:+.2f}".replace("-", "−") for value in (table.value[0], -table.value[0])
    )
    assert figure.axes[0].get_yticklabels()[0].get_text() == "human"  # best first
    plt.close(figure)


def test_maps_of_images_show_every_model_s_map_and_score(evaluated):
    data, found = evaluated[0], evaluated[1].first
    figure, table = figures.maps_of_images(data, found, [0, 5])
    assert len(table) == 2 * 3
    told = zip(table["model"], table["image"], strict=True)
    assert table["nss"].tolist() == [found.score(m, i) for m, i in told]
    written = " ".join(axis.get_xlabel() for axis in figure.axes)
    assert f"best\n{found.score('best', 'b05'):.2f}" in written
    plt.close(figure)


MEANS = {"centre prior": 0.9, "gbvs": 1.5, "aim": 0.7, "frozen": 2, "fine-tuned": 3, "human": 4}


def say(means=MEANS, unsure=(), gain=1.0, half=0.2, own=(1.1, 0.8, 1.1)):
    """The words, where all pairs differ but for those in `unsure`."""
    rows = [(m, "nss", v, v - 0.1, v + 0.1, 100, v, v, v) for m, v in means.items()]
    singles = ["training 1", "training 2", "training 3"]
    columns = ["value", "low", "high"]
    table = pd.DataFrame(rows, columns=["model", "metric", *columns, "images", *singles])
    shares = table.assign(**{c: table[c] / means["human"] for c in columns})
    shares = shares[shares["model"] != "human"]
    pairs = []
    for k, a in enumerate(means):
        for b in [*means][k + 1 :]:
            gap, ends, told = means[a] - means[b], half, [means[a] - means[b]] * 3
            if (a, b) == ("frozen", "fine-tuned"):
                gap, told = -gain, [-v for v in own]
            p = 0.5 if {a, b} in map(set, unsure) else 0.01
            pairs.append((a, b, gap, gap - ends, gap + ends, p, *told))
    pairs = pd.DataFrame(pairs, columns=["first", "second", *columns, "p_adjusted", *singles])
    gained = table.assign(metric="ig", **{c: table[c] / 2 for c in columns})
    lost = gained.assign(metric="kl", **{c: -table[c] for c in columns})
    fitted = pd.concat([table, gained, lost], ignore_index=True)
    raw = fitted.assign(value=fitted["value"].where(fitted["metric"] != "kl", fitted["value"] * -1))
    both = tables.of_both(raw, fitted)
    shares = pd.concat([shares, shares.assign(metric="ig")], ignore_index=True)
    networks = ["frozen", "fine-tuned"]
    return sentences.what_we_see(table, shares, pairs, both, networks)


def test_words_about_models_say_who_lies_where():
    text = say()
    assert "mean over 3 trainings" in text
    assert "fine-tuned 3.00 [2.90, 3.10] or 75 % [72, 78] of human" in text
    assert "1 of them lie beyond chance above the centre prior and below" in text
    assert "0 of them lie" in say(unsure=[("gbvs", "centre prior")])
    assert "Not shown to be better than the centre prior: AIM." in text
    assert "better than the centre prior: GBVS and AIM" in say(unsure=[("gbvs", "centre prior")])
    assert "Not shown to be worse" not in text
    assert "worse than the fine-tuned network: GBVS" in say(unsure=[("gbvs", "fine-tuned")])
    assert "Of the 15 pairs of models and people, 15 differ" in text
    assert "Scoring above people" not in text
    assert "Scoring above people, as fine-tuned, is" in say(MEANS | {"fine-tuned": 4.05})
    beyond_doubt = say(MEANS | {"fine-tuned": 4.05}, unsure=[("human", "fine-tuned")])
    assert "Scoring above people" not in beyond_doubt
    limit = say(MEANS | {"human, n → ∞": 5})
    assert "human 4.00 [3.90, 4.10], 80 % of the limit 5.00 [4.90, 5.10]" in limit


def test_words_about_fine_tuning_follow_the_interval_and_the_trainings():
    assert "Fine-tuning the encoder helps: 1.00 [0.80, 1.20] NSS" in say()
    assert "of this sign in 3 of 3" in say()
    assert "of this sign in 2 of 3" in say(own=(1.1, -0.1, 1.1))
    assert "encoder hurts: -1.00 [-1.20, -0.80]" in say(gain=-1.0)
    assert "encoder is not shown to help or hurt: 0.10 [-0.10, 0.30]" in say(gain=0.1)


def test_words_about_fitted_densities_say_bits_and_who_is_first():
    text = say()
    assert "human 2.00 [1.95, 2.05]; frozen 1.00 [0.95, 1.05] or 50 % [48, 52] of human" in text
    assert "fine-tuned 1.50 [1.45, 1.55] or 75 % [72, 78] of human, its map as it is 1.50" in text
    assert "GBVS 0.75 [0.70, 0.80]" in text  # the best classical one, not AIM
    assert "AIM 0.35" not in text
    assert "best mean on 3 of 3 metrics; with maps as they are, on 2." in text


def test_fitted_scores_stand_beside_raw_ones_on_the_metrics_that_both_have(evaluated):
    table = evaluated[1].summary()
    nss = table[table["metric"] == "nss"].reset_index(drop=True)
    both = tables.of_both(table, nss.assign(value=nss["value"] + 1))
    assert both["map"].value_counts().to_dict() == {"fitted": 4, "raw": 3}
    assert set(both["metric"]) == {"nss"}
    figure = figures.fitted(both)
    axis = figure.axes[0]
    rings = [a for a in axis.lines if a.get_markerfacecolor() == "none" and len(a.get_xdata())]
    raw = nss.set_index("model")["value"]
    assert [float(line.get_xdata()[0]) for line in rings] == pytest.approx(
        [raw["best"], raw["flat"]]
    )
    plt.close(figure)
