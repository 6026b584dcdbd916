"""Who predicts fixations how well, and who better than whom, in sentences: notebook 01."""

from collections.abc import Collection, Iterator, Sequence

import pandas as pd

from ...dissection import singles
from ...evaluation import CENTRE
from ...evaluation.people import MANY
from ...intervals import RATE
from ...metrics import METRICS
from ...viewing.claims import Span, Spans, bullets, mention, percent, spans
from ...viewing.plots import only
from ...viewing.style import label

HUMAN = "human"
LAYERS = ", one layer"  # ends the names of networks that read the deepest alone


class Gaps:
    """Differences in NSS between any two models: `Evaluations.pairwise`, to be asked either way."""

    def __init__(self, pairs: pd.DataFrame):
        self.rows = {(row["first"], row["second"]): row for _, row in pairs.iterrows()}

    def row(self, first: str, second: str) -> tuple[pd.Series, int]:
        """Return the row of two models, and 1 if it tells first minus second, -1 if the reverse."""
        turned = (first, second) not in self.rows
        return self.rows[(second, first) if turned else (first, second)], -1 if turned else 1

    def span(self, first: str, second: str) -> Span:
        """Return by how much `first` scores above `second`."""
        row, sign = self.row(first, second)
        value, low, high = Span.of(row)
        return Span(value, low, high) if sign > 0 else Span(-value, -high, -low)

    def sure(self, first: str, second: str) -> bool:
        """Whether they differ beyond chance, all pairs considered."""
        return bool(self.row(first, second)[0]["p_adjusted"] <= RATE)

    def same_sign(self, first: str, second: str) -> str:
        """Return "4 of 5": in how many trainings the sign is that of the mean."""
        row, _ = self.row(first, second)
        own = singles(row.to_frame().T).astype(float).iloc[0].dropna()
        return f"{int((own * row['value'] > 0).sum())} of {len(own)}"

    def better(self, models: Collection[str], than: str) -> list[str]:
        """Return those of `models` that score higher beyond chance."""
        return [m for m in models if self.sure(m, than) and self.span(m, than).value > 0]

    def worse(self, models: Collection[str], than: str) -> list[str]:
        """Return those of `models` that score lower beyond chance."""
        return [m for m in models if self.sure(m, than) and self.span(m, than).value < 0]


def what_we_see(
    table: pd.DataFrame,
    shares: pd.DataFrame,
    pairs: pd.DataFrame,
    both: pd.DataFrame,
    networks: Sequence[str],
) -> str:
    """Words under 01_models: who scores what, who beats whom, and what fine-tuning brings.

    table: `tables.with_limit`; shares: `tables.shares`; pairs: `Evaluations.pairwise` on NSS; both:
    `tables.of_both`; networks: the models that learned from fixations.
    """
    scored, gaps = only(table, metric="nss"), Gaps(pairs)
    nss, of_human = spans(scored, by="model"), spans(only(shares, metric="nss"), by="model")
    shown = [*networks, CENTRE]
    rows = [f"{m} {nss[m]:.2f} or {of_human[m]:.0%} of human" for m in shown]
    classic = [m for m in nss if m not in (*shown, HUMAN, MANY)]
    count, images = len(singles(scored).columns), int(scored["images"].max())
    no_contradiction = (
        "Scoring above people, as {}, is no contradiction: the others' blurred fixations are few "
        "and noisy, so leaving one observer out bounds what infinitely many people would predict "
        "from below."
    )
    return bullets(f"""
        - NSS on {images} images; of networks {_trainings(count)}: {_people(nss)};
          {"; ".join(rows)}.
          {mention(no_contradiction, gaps.better([*networks, *classic], HUMAN))}
        - {" ".join(_gains(gaps, networks))}
        - {_classical(classic, nss, gaps) if classic else ""}
        - {_bits(both, shares, networks, classic)}
        - Of the {len(pairs)} pairs of models and people, {(pairs["p_adjusted"] <= RATE).sum()}
          differ in NSS beyond chance (Student's t over images and trainings, {percent(RATE)} false
          discovery rate).
    """)


def _people(of: Spans) -> str:
    """Say what people score, and how far they are from infinitely many, where that is known."""
    human, limit = of[HUMAN], of.get(MANY)
    if limit is None:
        return f"human {human:.2f}"
    return (
        f"human {human:.2f}, {percent(human.value / limit.value)} of the limit {limit:.2f} that "
        "infinitely many people would reach"
    )


def _trainings(count: int) -> str:
    if count == 1:
        return "one training, so that no interval knows what another would bring"
    return f"the mean over {count} trainings, which intervals cover"


def _gains(gaps: Gaps, networks: Sequence[str]) -> Iterator[str]:
    """Say what fine-tuning brings, training by training, and what reading one layer costs."""
    gain = gaps.span("fine-tuned", "frozen")
    yield (
        f"Fine-tuning the encoder {gain:helps|hurts|is not shown to help or hurt}: {gain:.2f} NSS "
        "more than the frozen readout of the same seed, on the same images, of this sign in "
        f"{gaps.same_sign('fine-tuned', 'frozen')} trainings."
    )
    if f"fine-tuned{LAYERS}" in networks:
        gain = gaps.span(f"fine-tuned{LAYERS}", f"frozen{LAYERS}")
        cost = gaps.span("fine-tuned", f"fine-tuned{LAYERS}")
        yield (
            f"Read at the deepest layer alone it {gain:helps|hurts|is not shown to help or hurt}: "
            f"{gain:.2f}. Fine-tuned, several layers "
            f"{cost:score more than|score less than|are not told apart from} one: {cost:.2f}."
        )


def _classical(classic: Sequence[str], nss: Spans, gaps: Gaps) -> str:
    """Say how classical models lie between the centre prior and the network."""
    ranked = sorted(classic, key=lambda m: -nss[m].value)
    above = gaps.better(ranked, CENTRE)
    between = [m for m in gaps.worse(ranked, "fine-tuned") if m in above]
    as_good = [m for m in ranked if m not in gaps.worse(ranked, "fine-tuned")]
    not_above = [m for m in ranked if m not in above]
    no_better = (
        "Not shown to be better than the centre prior: {}. A classical model knows the image and "
        "nothing of where people tend to look; people look at the middle, so a prior that never "
        "sees the image starts with an advantage."
    )
    best, worst = ranked[0], ranked[-1]
    return f"""Of the {len(classic)} classical models, which never saw a fixation, {label(best)}
        scores most, {nss[best]:.2f}, and {label(worst)} least, {nss[worst]:.2f};
        {len(between)} of them lie beyond chance above the centre prior and below the fine-tuned
        network. {mention("Not shown to be worse than the fine-tuned network: {}.", as_good)}
        {mention(no_better, not_above)}"""


def _bits(
    both: pd.DataFrame, shares: pd.DataFrame, networks: Sequence[str], classic: Sequence[str]
) -> str:
    """Say what densities fitted to the maps gain, and on how many metrics who is first."""
    gained = only(both, metric="ig")
    fitted, raw = (spans(only(gained, map=name), by="model") for name in ("fitted", "raw"))
    of_human = spans(only(shares, metric="ig"), by="model")
    best = sorted(classic, key=lambda m: -fitted[m].value)[:1]
    rows = [
        f"{label(m)} {fitted[m]:.2f} or {of_human[m]:.0%} of human, its map as it is {raw[m]:.2f}"
        for m in [*networks, *best]
    ]
    metrics = both["metric"].nunique()
    first = [sum(w == "fine-tuned" for w in _winners(both, name)) for name in ("fitted", "raw")]
    return f"""Information gain over the centre prior, in bits, of densities fitted to each model's
        maps (blur, rising non-linearity, centre bias) on training images: {_people(fitted)};
        {"; ".join(rows)}. With the map that each metric asks for, the fine-tuned network has the
        best mean on {first[0]} of {metrics} metrics; with maps as they are, on {first[1]}."""


def _winners(both: pd.DataFrame, name: str) -> Iterator[str]:
    """Yield, metric by metric, which model's mean is best."""
    chosen = only(both, map=name)
    for metric, rows in chosen[~chosen["model"].isin((HUMAN, MANY))].groupby("metric"):
        ranked = rows.set_index("model")["value"]
        yield str(ranked.idxmax() if METRICS[metric].better == "higher" else ranked.idxmin())
