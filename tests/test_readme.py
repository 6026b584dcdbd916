"""The README's numbers are those of the committed tables, and its pictures are there."""

import re

import pandas as pd
import pytest

from saliencykit.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(profile, name):
    return pd.read_csv(ROOT / "figures" / profile / f"{name}.csv")


def number(row, value, low, high):
    return f"{row[value]:.2f} [{row[low]:.2f}, {row[high]:.2f}]"


def claims(profile):
    """Every number that the README states about a profile, formatted as it states it."""
    best = table(profile, "02_best_units")
    told = best[(best.encoder == "pre-trained") & best.difference.notna()]
    top = told.loc[told.difference.idxmax()]
    control = best[(best.encoder == "untrained") & (best.category == top.category)].iloc[0]
    yield f"{(told.difference_low > 0).sum()} of {len(told)} categories"
    yield f"{top.category.replace('_', ' ')}, {number(top, 'mean', 'low', 'high')}"
    yield f"against {number(control, 'mean', 'low', 'high')}"

    change = table(profile, "03_change").set_index("category")
    for category in ("person_head", "text"):
        row = change.loc[category]
        yield f"{row.before:.2f} → {row.after:.2f}"
    pair = table(profile, "03_favoured_by_layer")
    layer = {"toy": "conv5_3", "osie": "features.13"}[profile]
    yield number(pair[pair.layer == layer].iloc[0], "value", "low", "high")
    yield f"{(pair.low > 0).sum()} of {len(pair)} layers"

    scores = table(profile, "01_scores")
    nss = scores[scores.metric == "nss"].set_index("model")
    for model in ("human", "fine-tuned", "frozen", "centre prior"):
        yield number(nss.loc[model], "mean", "low", "high")
    share = 100 * nss.loc["fine-tuned", "mean"] / nss.loc["human", "mean"]
    yield f"{share:.0f} % of the human ceiling"


@pytest.mark.parametrize("profile", ["toy", "osie"])
def test_numbers_are_those_of_the_tables(profile):
    text = " ".join(README.split())
    missing = [claim for claim in claims(profile) if claim not in text]
    assert not missing


def test_pictures_are_there():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) >= 4
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_no_photograph_is_committed():
    ignored = (ROOT / ".gitignore").read_text()
    assert "figures/*/*_photos*.png" in ignored
    assert not [p for p in re.findall(r"\(([^)]+)\)", README) if "_photos" in p]


def test_every_figure_has_its_table():
    for profile in ("toy", "osie"):
        pictures = list((ROOT / "figures" / profile).glob("*.png"))
        assert len(pictures) >= 10
        assert all(picture.with_suffix(".csv").is_file() for picture in pictures)
