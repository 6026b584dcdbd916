"""What an analysis finds in worlds whose truth is known, in sentences: notebook 08."""

from collections.abc import Sequence

import pandas as pd

from ...dissection.readout_maps import MAP
from ...intervals import RATE
from ...viewing.claims import Span, Spans, bullets, percent, spans
from ...viewing.style import label

GOAL = 0.8  # rank correlation, or share of worlds, that is called reliable
KEYS = ["layer", "control"]


def what_we_see(
    dose: pd.DataFrame,
    tuned: pd.DataFrame,
    pair: pd.DataFrame,
    worlds: Sequence[str],
    order: pd.DataFrame,
    layered: pd.DataFrame,
    alarms: pd.DataFrame,
    readouts: pd.DataFrame,
) -> str:
    """Words under 08_known_truth.

    dose: `Recovery.dose`; tuned, readouts: `power` of fine-tuned networks, of frozen readouts;
    pair: `Recovery.favouring`; worlds: of these, where the first is favoured, the second, and the
    default one; order: `Recovery.order` of the last; layered: `by_layer`; alarms: `alarm_table`.
    """
    up, down, default = (pair[pair["world"] == world] for world in worlds)
    rho, deepest = spans(order, "rho", by=KEYS), layered["layer"].iloc[-1]
    by = dict(iter(readouts.groupby(["what", "by"])))
    sums = alarms.groupby(["control", "by"])[["found", "tests"]].sum()
    return bullets(f"""
        - **Is what was planted found?** {_recovered(spans(dose, "rho", by=KEYS), tuned, deepest)}
        - **Does it flip?** {_flipped(up, down)}
        - **The default world**, {_default_world(rho, default, layered)}
        - **Where nothing was planted**, {_false_alarms(sums)}
        - **How many images?** One category planted, frozen readouts: it gains most
          {_enough(by["first", "images"])}; it is found beyond what retraining does
          {_enough(by["found", "networks"])}.
        - **So**, {_advice(rho[MAP, "before"], rho[deepest, "before"], deepest, sums.loc["flat"])}
    """)


def _recovered(rho: Spans, found: pd.DataFrame, deepest: str) -> str:
    ours = rho[MAP, "flat"]
    reached = "Yes" if ours.low >= GOAL else "Mostly" if ours.value >= GOAL else "Partly"
    worlds = found.set_index([*KEYS, "what", "by"])[["found", "tests"]].loc[(MAP, "flat")]
    first, sure = worlds.loc[("first", "images")], worlds.loc[("found", "networks")]
    return f"""Rank correlation of planted weight and recovered favouring: the map, beyond the
        control {ours:.2f}; the map by itself {rho[MAP, "before"]:.2f}; units of {deepest}, beyond
        the control {rho[deepest, "flat"]:.2f}; units of {deepest} before and after, as the
        paper has it, {rho[deepest, "before"]:.2f}.
        {reached if ours.low > 0 else "Not decided"}, from the map beyond the control ({GOAL} is the
        goal): there the favoured category gains most in {first["found"]} of {first["tests"]}
        worlds, and is found beyond what retraining does in {sure["found"]} of {sure["tests"]}."""


def _flipped(up: pd.DataFrame, down: pd.DataFrame) -> str:
    first, second = (label(up[k].iloc[0]) for k in ("first", "second"))
    up, down = spans(up, by=KEYS), spans(down, by=KEYS)
    missed = [key for key in up if not (up[key].low > 0 and down[key].high < 0)]
    names = ", ".join(f"{at}{' beyond the control' * (c == 'flat')}" for at, c in missed) or "none"
    return f"""{first.capitalize()} minus {second} in the map, beyond the control:
        {up[MAP, "flat"]:.2f} where observers favour {first}, {down[MAP, "flat"]:.2f} where they
        favour {second}. The sign flips, both intervals beyond 0, for {len(up) - len(missed)} of
        {len(up)} measures; not, or not beyond doubt, for {names}."""


def _default_world(rho: Spans, pair: pd.DataFrame, layered: pd.DataFrame) -> str:
    deepest, favoured = layered["layer"].iloc[-1], spans(pair, by=KEYS)
    planted = layered.drop_duplicates("category").set_index("category")["planted"]
    wide = layered.pivot(index="category", columns="layer", values="value")
    names = first, second = pair["first"].iloc[0], pair["second"].iloc[0]
    weights = " and ".join(f"{label(name)} {planted[name]:g}" for name in names)
    parts = " and ".join(
        f"{percent(wide.loc[name, deepest] / wide.loc[name].sum())} of {label(name)}"
        for name in names
    )
    units, whole = favoured[deepest, "before"], favoured[MAP, "before"]
    which = f"{label(first)}|{label(second)}|neither beyond doubt"
    return f"""planted {weights}, without a control: units of {deepest} favour {units:{which}}
        ({units:.2f}), and the rank correlation over all categories is
        {rho[deepest, "before"]:.2f}; the map favours {whole:{which}} ({whole:.2f}), and the rank
        correlation is {rho[MAP, "before"]:.2f}. {deepest} makes {parts} in the map, and what its
        units gain is that much of the answer. Beyond the control, the map's rank correlation is
        {rho[MAP, "flat"]:.2f}."""


def _false_alarms(sums: pd.DataFrame) -> str:
    before, images, networks = (
        f"{found} of {tests} ({percent(found / max(1, tests))})"
        for found, tests in sums.loc[
            [("before", "images"), ("flat", "images"), ("flat", "networks")]
        ].to_numpy()
    )
    return f"""categories found at a {percent(RATE)} false discovery rate, over all networks and
        measures: by resampling images, without a control {before} and beyond the control {images};
        beyond the control, by how much retrained networks differ {networks}.
        Resampling images holds the trained networks fixed: it says how sure the numbers are of
        *these* networks, not of what they were taught."""


def _enough(table: pd.DataFrame) -> str:
    """Say from how many training images on the goal is reached, and what the most of them bring."""
    most = table.sort_values(["training", "dissected"]).iloc[-1]
    reached = f"""in {Span.of(most, "share"):.0%} of worlds with {most["training"]} training and
        {most["dissected"]} dissected images"""
    worst = table.groupby("training")["share"].min().sort_index()[::-1].cummin()
    enough = worst[worst >= GOAL]
    if enough.empty:
        return f"{reached}: more would be needed"
    return f"""in {percent(GOAL)} of worlds or more from {enough.index.min()} training images on,
        whether {table["dissected"].min()} or {table["dissected"].max()} are dissected, and
        {reached}"""


def _advice(ours: Span, theirs: Span, deepest: str, sums: pd.DataFrame) -> str:
    share = sums["found"] / sums["tests"].clip(lower=1)
    better = "retraining" if share["networks"] < share["images"] else "resampling images"
    return f"""without a control world, as on photographs, the model's map tells
        {ours - theirs:better than|worse than|about as well as} units of {deepest} what is favoured
        (rank correlation in the default world: map and units {ours:.2f} and {theirs:.2f}). Whether
        two networks differ is better judged by {better} (false alarms: retraining
        {percent(share["networks"])}, resampling images {percent(share["images"])})."""
