"""Who is good on natural images and who on search arrays, in sentences: notebook 04."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ...viewing.claims import Span, bullets, listed
from ...viewing.style import label

WEAK = 0.3  # a correlation below this is called so (Cohen 1988: medium from here on)


def what_we_see(
    table: pd.DataFrame,
    spans: Mapping[str, tuple[float, float, float]],
    features: pd.DataFrame,
    arrays: int,
    networks: Sequence[str],
) -> str:
    """Words under 04_pop_out (F3).

    table, spans: `evaluation.popout.orders`; features: `by_condition` over "feature"; networks: the
    models that learned from fixations.
    """
    natural, odd = (table.loc[table[side].idxmax()] for side in ("natural", "arrays"))
    gained, others, rho = (Span(*spans[k]) for k in ("networks", "classical", "correlation"))
    ours = features[features["model"].isin(networks)]
    highest = ours.groupby("feature", sort=False)["low"].max()  # by the network best at it
    seen, unseen = list(highest.index[highest > 0]), list(highest.index[highest <= 0])
    no_kind = ["no kind of search"]
    weak = f"{rho:, if weakly|, if weakly|}" if abs(rho.value) < WEAK else ""
    better = "holds" if rho.high < 0 else "holds in part"  # the paper's order is upside down
    finding = better if gained.low > 0 else f"{gained:holds|is the other way round|is not decided}"
    return bullets(f"""
        - Best on natural images is {label(natural["model"])}, {Span.of(natural, "natural"):.2f}
          (NSS); best on the {arrays} search arrays is {label(odd["model"])},
          {Span.of(odd, "arrays"):.2f} (GSI).
        - **The paper's third finding {finding} here**: networks stand
          {gained:better|worse|neither surely better nor worse} among the models on natural images
          than on arrays, by {gained:.1f} ranks of {len(table)}; the others by
          {others:.1f}.
        - Rank correlation of the two orders: {rho:.2f}; on the whole, models that predict fixations
          better find the odd item {rho:better|worse|neither surely better nor worse}{weak}.
        - To some network the odd item is more salient than the others in
          {listed(seen or no_kind)}; to none in {listed(unseen or no_kind)}.
    """)
