"""What the best units of several networks say, in sentences: notebook 09."""

import pandas as pd

from ...viewing.claims import Sides, Span, bullets, listed, spans
from ...viewing.style import label


def what_we_see(table: pd.DataFrame) -> str:
    """Words on the best unit of each category in each network, and how the first two compare.

    table: `UnitExplorer.table`.
    """
    networks = dict(iter(table.groupby("encoder", sort=False)))
    lines = [_most_selective(name, rows) for name, rows in networks.items()]
    if len(networks) > 1:
        one, other, *_ = networks
        ours, theirs = (spans(networks[name], "mean") for name in (one, other))
        found = Sides.of({c: ours[c] - theirs[c] for c in ours if c in theirs})
        lines.append(f"""- The best unit of the {one} network is more selective than that of the
            {other} one, their intervals apart, for {listed(found.above)}; less selective for
            {listed(found.below)}.""")
    return bullets("\n".join(lines))


def _most_selective(name: str, table: pd.DataFrame) -> str:
    top = table.loc[table["low"].idxmax()]  # of the best guesses, the surest
    at = table["layer"].value_counts(sort=False)
    return f"""- **{name}**: the most surely selective unit answers to {label(top["category"])}
        (unit {top["unit"]} of {top["layer"]}, region NSS {Span.of(top, "mean"):.2f}); {at.max()} of
        {len(table)} categories have their best unit in {at.idxmax()}."""
