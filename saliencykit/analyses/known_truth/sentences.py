"""Sentences about a world of known truth: notebook 08."""

import pandas as pd

from ...dissection.readout_maps import MAP
from ...intervals import RATE
from ...viewing.claims import number, verdict
from ...viewing.style import label

GOAL = 0.8  # rank correlation, or share of worlds, that is called reliable


def _row(table: pd.DataFrame, layer: str, control: str, **more: object) -> pd.Series:
    asked = {"layer": layer, "control": control, **more}
    return table[(table[list(asked)] == pd.Series(asked)).all(axis=1)].iloc[0]


def recovered(dose: pd.DataFrame, found: pd.DataFrame) -> str:
    """Words on how well planted factors are recovered, by measure.

    dose: `Recovery.dose`; found: `evaluation.truth.power` of fine-tuned networks.
    """
    deepest = dose.loc[dose["layer"] != MAP, "layer"].iloc[-1]
    measures = {
        "the map, beyond the control": (MAP, "flat"),
        "the map by itself": (MAP, "before"),
        f"units of {deepest}, beyond the control": (deepest, "flat"),
        f"units of {deepest} before and after, as in notebook 03": (deepest, "before"),
    }
    rows = {name: _row(dose, *key) for name, key in measures.items()}
    said = "; ".join(
        f"{name} {number(row['rho'], row['low'], row['high'])}" for name, row in rows.items()
    )
    ours = _row(dose, MAP, "flat")
    reached = "Yes" if ours["low"] >= GOAL else "Mostly" if ours["rho"] >= GOAL else "Partly"
    told = reached if ours["low"] > 0 else "Not decided"
    return (
        "- **Is what was planted found?** Rank correlation of planted weight and recovered "
        f"favouring: {said}. {told}, from the map beyond the control ({GOAL} is the goal): there "
        f"the favoured category gains most in {_times(found, 'first', 'images')} worlds, and is "
        f"found beyond what retraining does in {_times(found, 'found', 'networks')}."
    )


def _times(found: pd.DataFrame, what: str, by: str) -> str:
    """Return "9 of 10": in how many worlds the map, beyond the control, shows the favoured one."""
    row = _row(found, MAP, "flat", what=what, by=by)
    return f"{row['found']} of {row['tests']}"


def flipped(table: pd.DataFrame, worlds: tuple[str, str]) -> str:
    """Words on whether the sign flips when the weights do: `Recovery.favouring`."""
    first, second = (label(table[k].iloc[0]) for k in ("first", "second"))
    right, wrong = [], []
    for (layer, control), rows in table.groupby(["layer", "control"], sort=False):
        up, down = (rows[rows["world"] == world].iloc[0] for world in worlds)
        name = ("the map" if layer == MAP else f"units of {layer}") + (
            " beyond the control" if control == "flat" else ""
        )
        (right if up["low"] > 0 and down["high"] < 0 else wrong).append(name)
    spans = [_row(table, MAP, "flat", world=world) for world in worlds]
    up, down = (number(r["value"], r["low"], r["high"]) for r in spans)
    missed = f" It does not, or not beyond doubt, for {', '.join(wrong)}." if wrong else ""
    return (
        f"- **Does it flip?** {first.capitalize()} minus {second} in the map, beyond the control: "
        f"{up} where observers favour {first}, {down} where they favour {second}. The sign flips, "
        f"both intervals beyond 0, for {len(right)} of {len(right) + len(wrong)} measures.{missed}"
    )


def default_world(order: pd.DataFrame, pair: pd.DataFrame, layered: pd.DataFrame) -> str:
    """Words on toyworld as it comes, where one layer may mislead.

    order: `Recovery.order`; pair: `Recovery.favouring` of that world; layered: `by_layer`.
    """
    deepest = layered["layer"].iloc[-1]
    names = pair["first"].iloc[0], pair["second"].iloc[0]
    planted = layered.drop_duplicates("category").set_index("category")["planted"]
    sides = []
    for layer, what in ((deepest, f"units of {deepest}"), (MAP, "the map")):
        one = _row(pair, layer, "before")
        told = verdict(
            one["low"], one["high"], f"{label(names[0])} is favoured",
            f"{label(names[1])} is favoured",
            "neither is favoured beyond doubt",
        )  # fmt: skip
        span = number(one["value"], one["low"], one["high"])
        rho = _row(order, layer, "before")
        sides.append(
            f"by {what}, {told} ({span}), and the rank correlation over all categories is "
            f"{number(rho['rho'], rho['low'], rho['high'])}"
        )
    wide = layered.pivot(index="category", columns="layer", values="value")
    shares = [
        f"{100 * wide.loc[name, deepest] / wide.loc[name].sum():.0f} % of {label(name)}"
        for name in names
    ]
    best = _row(order, MAP, "flat")
    return (
        f"- **The default world**, planted {label(names[0])} {planted[names[0]]:g}, "
        f"{label(names[1])} {planted[names[1]]:g}, without a control: {'; '.join(sides)}. "
        f"{deepest} makes {shares[0]} and {shares[1]} in the map, and what its units gain is "
        "that much of the answer. Beyond the control, the map's rank correlation is "
        f"{number(best['rho'], best['low'], best['high'])}."
    )


def false_alarms(table: pd.DataFrame) -> str:
    """Words on what is found where nothing was planted: `evaluation.truth.alarm_table`."""
    tests = {
        "without a control, as in notebook 03": ("before", "images"),
        "beyond the control, by resampling images": ("flat", "images"),
        "beyond the control, by how much retrained networks differ": ("flat", "networks"),
    }
    lines = []
    for text, (control, by) in tests.items():
        chosen = table[(table["control"] == control) & (table["by"] == by)]
        found, of = int(chosen["found"].sum()), int(chosen["tests"].sum())
        lines.append(f"{text} {found} of {of} ({100 * found / max(1, of):.0f} %)")
    return (
        f"- **Where nothing was planted**, categories found at a {100 * RATE:.0f} % false "
        f"discovery rate, over all networks and measures: {'; '.join(lines)}. Resampling images "
        "holds the trained networks fixed: it says how sure the numbers are of *these* networks, "
        "not of what they were taught."
    )


def power(found: pd.DataFrame) -> str:
    """Words on how many images it takes: `evaluation.truth.power` of frozen readouts."""
    lines = []
    for what, by, text in (
        ("first", "images", "gains most"),
        ("found", "networks", "is found beyond what retraining does"),
    ):
        chosen = found[(found["what"] == what) & (found["by"] == by)]
        most = chosen.sort_values(["training", "dissected"]).iloc[-1]
        span = f"{100 * most['share']:.0f} % [{100 * most['low']:.0f}, {100 * most['high']:.0f}]"
        largest = f"{most['training']} training and {most['dissected']} dissected images"
        worst = chosen.groupby("training")["share"].min().sort_index()[::-1].cummin()
        enough = worst[worst >= GOAL]
        lines.append(
            f"it {text} in {100 * GOAL:.0f} % of worlds or more from {enough.index.min()} training "
            f"images on, whether {_span(chosen)} are dissected, and in {span} with {largest}"
            if len(enough)
            else f"it {text} in {span} of worlds with {largest}: more would be needed"
        )
    return f"- **How many images?** One category planted, frozen readouts: {'; '.join(lines)}."


def _span(table: pd.DataFrame) -> str:
    return f"{table['dissected'].min()} or {table['dissected'].max()}"


def advice(order: pd.DataFrame, alarms: pd.DataFrame) -> str:
    """Words on which measure and which test to trust.

    order: `Recovery.order` of a world that favours all categories differently; alarms:
    `alarm_table`.
    """
    deepest = order.loc[order["layer"] != MAP, "layer"].iloc[-1]
    ours, theirs = (_row(order, layer, "before") for layer in (MAP, deepest))
    units, tell = f"units of {deepest}", "what is favoured (rank correlation in the default world"
    better = verdict(
        ours["low"] - theirs["high"],
        ours["high"] - theirs["low"],
        f"the model's map tells better than {units} {tell}",
        f"{units} tell better than the model's map {tell}",
        f"the model's map and {units} tell about as well {tell}",
    )
    flat = alarms[alarms["control"] == "flat"].groupby("by")[["found", "tests"]].sum()
    rates = 100 * flat["found"] / flat["tests"]
    test = "retraining" if rates["networks"] < rates["images"] else "resampling images"
    both = " and ".join(number(r["rho"], r["low"], r["high"]) for r in (ours, theirs))
    return (
        f"- **So**, without a control world, as on photographs, {better}: map and units {both}). "
        f"Whether two networks differ is better judged by {test} (false alarms: retraining "
        f"{rates['networks']:.0f} %, resampling images {rates['images']:.0f} %)."
    )
