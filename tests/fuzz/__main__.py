"""`make fuzz`: so many inputs of each kind, a table of what came of them, 1 if any is not good."""

import argparse
import os
import sys
from collections import Counter

import pandas as pd
from tqdm import tqdm

from . import harness


def main(arguments: list[str] | None = None) -> int:
    """Run the trials, print the table and what is wrong, and return the exit status."""
    known = harness.kinds()
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("number", type=int, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0, help="that of the first input")
    parser.add_argument("--kind", choices=sorted(known), action="append", help="all if not given")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--limit", type=float, default=harness.LIMIT, help="seconds for each")
    told = parser.parse_args(arguments)
    seeds = range(told.seed, told.seed + told.number)
    found = {}
    for kind in told.kind or known:
        with tqdm(total=told.number, desc=kind, disable=None) as bar:
            jobs = min(told.jobs, told.number)
            found[kind] = harness.run(known[kind], seeds, jobs, told.limit, bar.update)
    print(table(found).to_string())
    for line in (bad := complaints(found)):
        print(line)
    return int(bool(bad))


def table(found: dict[str, dict[int, harness.Told]]) -> pd.DataFrame:
    """Counts of each outcome, a row a kind."""
    counts = {kind: Counter(t.outcome for t in trials.values()) for kind, trials in found.items()}
    rows = {
        kind: {"tried": counted.total(), **{name: counted[name] for name in harness.OUTCOMES}}
        for kind, counted in counts.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def complaints(found: dict[str, dict[int, harness.Told]]) -> list[str]:
    """What is not good: seeds by kind and outcome, how to run one again, the first's traceback."""
    lines = []
    for kind, trials in found.items():
        for outcome in harness.OUTCOMES:
            seeds = [s for s, t in sorted(trials.items()) if t.outcome == outcome]
            if seeds and outcome not in harness.GOOD:
                some = ", ".join(map(str, seeds[:20])) + (" …" if len(seeds) > 20 else "")
                lines.append(
                    f"{kind}: {outcome} at {some}; "
                    f"the first again: make fuzz N=1 SEED={seeds[0]} KIND={kind}"
                )
                lines += [trials[seeds[0]].text] if trials[seeds[0]].text else []
    return lines


if __name__ == "__main__":
    sys.exit(main())
