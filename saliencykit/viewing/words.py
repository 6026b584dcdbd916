"""What a figure shows, in sentences made from its numbers, so that they cannot contradict it."""

from collections.abc import Sequence

import pandas as pd

from ..datasets import SaliencyDataset
from ..study import CENTRE, Study
from .style import label

LEVEL = 0.05  # false discovery rate at which a difference is called one
SPAN = ["mean", "low", "high"]
NO_CENTRE = (
    "A classical model knows the image and nothing of where people tend to look; people look at "
    "the middle, so a prior that never sees the image starts with an advantage."
)

OTHERS = (
    "the others' blurred fixations are few and noisy, so leaving one observer out bounds what "
    "infinitely many people would predict from below."
)


def number(mean: float, low: float, high: float, digits: int = 2) -> str:
    """Return "1.23 [1.10, 1.35]": a mean with its 95 % interval."""
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def listed(names: Sequence[str]) -> str:
    """Return "a, b and c", as people write a list; "none" if it is empty."""
    names = [label(n) for n in names]
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def verdict(low: float, high: float, more: str, less: str, undecided: str) -> str:
    """Return `more` if the interval lies above 0, `less` if below, `undecided` if it holds 0."""
    return more if low > 0 else less if high < 0 else undecided


def data_set(
    data: SaliencyDataset, table: pd.DataFrame, shown: pd.DataFrame, ceiling: pd.DataFrame
) -> str:
    """Words under 00_data: size, what draws the eye, how well people predict people."""
    most, least = (shown.loc[shown["mean"].agg(pick)] for pick in ("idxmax", "idxmin"))
    human = ceiling[(ceiling["model"] == "human") & (ceiling["metric"] == "nss")].iloc[0]
    prior = ceiling[(ceiling["model"] == "centre prior") & (ceiling["metric"] == "nss")].iloc[0]
    return (
        f"- **{data.name}** holds {len(table):,} images with {table['fixations'].sum():,} "
        f"fixations of up to {table['observers'].max()} observers, and "
        f"{table['regions'].sum():,} annotated regions.\n"
        f"- People look most at **{label(most['category'])}**: "
        f"{number(most['mean'], most['low'], most['high'], 1)} times as often as the regions' area "
        f"would have it; least at {label(least['category'])}: "
        f"{number(least['mean'], least['low'], least['high'], 1)} times.\n"
        f"- The other observers' fixations predict one observer's with NSS "
        f"{number(human['mean'], human['low'], human['high'])}; the centre prior alone reaches "
        f"{number(prior['mean'], prior['low'], prior['high'])}. What lies between is for models "
        "to explain."
    )


def model_scores(
    table: pd.DataFrame, gain: dict[str, float], pairs: pd.DataFrame, images: int
) -> str:
    """Words under 01_models: who scores what, who beats whom, and what fine-tuning brings.

    table: `evaluation.summary`; gain: `evaluation.difference` of fine-tuned and frozen; pairs:
    `evaluation.pairwise` on NSS.
    """
    nss = table[table["metric"] == "nss"].set_index("model")
    human = nss.loc["human", "mean"]
    trained = [m for m in nss.index if m.startswith(("frozen", "fine-tuned"))]
    classic = nss.drop([*trained, "human", CENTRE]).sort_values("mean", ascending=False)
    rows = [
        f"{model} {number(*nss.loc[model, SPAN])}"
        + ("" if model == "human" else f" ({100 * nss.loc[model, 'mean'] / human:.0f} % of human)")
        for model in ["human", *trained, CENTRE]
    ]
    moved = verdict(
        gain["low"],
        gain["high"],
        "Fine-tuning the encoder helps",
        "Fine-tuning the encoder hurts",
        "Whether fine-tuning the encoder helps is not decided by these images",
    )
    beaten = [m for m in nss.index if m != "human" and nss.loc[m, "low"] > human]
    note = f" That {listed(beaten)} exceed people is no contradiction: {OTHERS}" if beaten else ""
    lines = [
        f"- NSS on {images} validation images: {'; '.join(rows)}.{note}",
        f"- {moved}: {number(gain['mean'], gain['low'], gain['high'])} NSS more than the frozen "
        "readout, on the same images.",
    ]
    if len(classic):
        lines.append(_classical(classic, nss))
    told = int((pairs["p_adjusted"] <= LEVEL).sum())
    return "\n".join(
        [
            *lines,
            f"- Of the {len(pairs)} pairs of models and people, {told} differ in NSS beyond chance "
            f"(paired permutation over images, {100 * LEVEL:.0f} % false discovery rate).",
        ]
    )


def _classical(classic: pd.DataFrame, nss: pd.DataFrame) -> str:
    """Return a line on classical models, best first, between the centre prior and the network."""
    best, worst = classic.iloc[0], classic.iloc[-1]
    below = [m for m in classic.index if classic.loc[m, "mean"] <= nss.loc[CENTRE, "mean"]]
    above = [m for m in classic.index if classic.loc[m, "mean"] >= nss.loc["fine-tuned", "mean"]]
    between = len(classic) - len(below) - len(above)
    odd = [f"{listed(below)} score no more than the centre prior"] if below else []
    odd += [f"{listed(above)} score no less than the fine-tuned network"] if above else []
    return (
        f"- Of the {len(classic)} classical models, which never saw a fixation, "
        f"{label(best.name)} scores most, {number(*best[SPAN])}, and {label(worst.name)} least, "
        f"{number(*worst[SPAN])}; {between} of them lie between the centre prior and the "
        f"fine-tuned network{'; ' if odd else ''}{' and '.join(odd)}."
        + (f" {NO_CENTRE}" if below else "")
    )


def pretrained(
    gain: pd.DataFrame,
    shares: pd.DataFrame,
    same: pd.DataFrame,
    counts: pd.DataFrame,
    threshold: float,
    best: pd.DataFrame,
    study: Study,
) -> str:
    """Words under 02_pretrained_units (F1).

    gain: untrained → pre-trained, cross-fitted; same: top means chosen as in the paper; counts:
    `report.counts`; best: each category's most selective unit.
    """
    told = gain[gain["difference"].notna()]
    above = told[told["difference_low"] > 0].sort_values("difference", ascending=False)
    rest = told[told["difference_low"] <= 0]["category"].tolist()
    layer, accuracy = study.layer, study.pretrained.accuracy
    wide = shares.pivot(index="category", columns="encoder", values="share")
    lines = [
        f"- At **{layer}**, object recognition alone makes the ten best units respond more than an "
        f"untrained network's in **{len(above)} of {len(told)}** categories{_too_few(told, gain)}: "
        f"{listed(above['category'].tolist())}."
        + (f" Not shown for {listed(rest)}." if rest else "")
    ]
    if len(above):
        top = above.iloc[0]
        ours, control = 100 * wide.loc[top["category"], ["pre-trained", "untrained"]]
        lines.append(
            f"- The largest gain is {label(top['category'])}: region NSS "
            f"{number(top['after'], top['after_low'], top['after_high'])} against "
            f"{number(top['before'], top['before_low'], top['before_high'])} untrained; "
            f"{ours:.0f} % of the units respond to it beyond chance (untrained {control:.0f} %)."
            + (
                " Beating chance is thus no sign of learning: what stands out on an image drives "
                "random filters too. How strongly the best units respond is."
                if control >= ours
                else ""
            )
        )
    lines.append(
        f"- Units above T = {threshold:g}, over all categories: {_above(counts, threshold)}. The "
        f"ten best units chosen and scored on the same images, as in the paper, average "
        f"{same[same['encoder'] == 'pre-trained']['mean'].mean():.2f} over categories; chosen on "
        f"one half and scored on the other, {told['after'].mean():.2f}."
    )
    unit, times = best["unit"].mode()[0], int(best["unit"].value_counts().max())
    lines.append(
        f"- Selective is not the same as specific: the {len(best)} categories share "
        f"{best['unit'].nunique()} best units"
        + (f", and unit {unit} is the best for {times} of them." if times > 1 else ".")
    )
    if accuracy is not None:
        lines.append(f"- The network was taught to name objects: {100 * accuracy:.1f} % held out.")
    claim = "does not hold" if not len(above) else "holds in part" if rest else "holds"
    lines.append(f"- **The paper's first finding {claim} here**, by this measure and control.")
    return "\n".join(lines)


def _too_few(told: pd.DataFrame, all_of_them: pd.DataFrame) -> str:
    """Return " (too few images of …)" for the categories of which nothing could be told."""
    few = [c for c in all_of_them["category"] if c not in set(told["category"])]
    return f" (too few images of {listed(few)} to say)" if few else ""


def _above(counts: pd.DataFrame, threshold: float) -> str:
    """Return "pre-trained 12, fine-tuned 80": (unit, category) pairs above the threshold."""
    at = counts[counts["threshold"] == threshold].groupby("encoder", sort=False)["units"].sum()
    return ", ".join(f"{encoder} {units}" for encoder, units in at.items())


def fine_tuning(
    change: pd.DataFrame,
    layered: pd.DataFrame,
    counts: pd.DataFrame,
    threshold: float,
    study: Study,
) -> str:
    """Words under 03_fine_tuning (F2): what changed most, and the claimed pair by layer.

    layered: `report.favouring_by_layer`.
    """
    told = change[change["difference"].notna()].sort_values("difference", ascending=False)
    most, least = told.iloc[0], told.iloc[-1]
    pair = layered[layered["layer"] == study.layer].iloc[0]
    span = ["difference", "difference_low", "difference_high"]
    grown = int((told["difference_low"] > 0).sum())
    first, second = label(pair["first"]), label(pair["second"])
    found = verdict(
        pair["low"],
        pair["high"],
        f"**The paper's second finding holds at this layer**: fine-tuning favours {first} over "
        f"{second}",
        f"**At this layer it is the other way round**: fine-tuning favours {second} over {first}",
        f"**The paper's second finding is not decided at this layer**: {first} and {second} "
        "change alike, as far as these images tell",
    )
    more, less = layered[layered["low"] > 0], layered[layered["high"] < 0]
    extreme = layered.loc[layered["value"].abs().idxmax()]
    return (
        f"- On {len(study.unseen)} images that no model learned from, at **{study.layer}**, the "
        f"ten best units' region NSS grows in {grown} of {len(told)} categories"
        f"{_too_few(told, change)}.\n"
        f"- Most for **{label(most['category'])}**: {most['before']:.2f} → {most['after']:.2f}, a "
        f"change of {number(*most[span])}; least for {label(least['category'])}: "
        f"{least['before']:.2f} → {least['after']:.2f}, {number(*least[span])}.\n"
        f"- Units above T = {threshold:g}, over all categories: {_above(counts, threshold)}.\n"
        f"- {found}; the difference of the two changes is "
        f"{number(pair['value'], pair['low'], pair['high'])}.\n"
        f"- Over the {len(layered)} layers: {first} is favoured at {len(more)}, {second} at "
        f"{len(less)}, undecided at the rest; the largest difference is at {extreme['layer']}: "
        f"{number(extreme['value'], extreme['low'], extreme['high'])}."
    )
