"""`python -m benchmarks [NAME …] [--threads N]`: ratios beside their targets; exit 1 on a miss.

One thread unless told otherwise: with two on a busy machine, waiting for the other decides.
"""

import argparse
import os
import sys

import torch

from . import (  # noqa: F401 (rooms register their benchmarks)
    BENCHMARKS,
    cache,
    classical,
    dissection,
    explorer,
    metrics,
    reading,
    training,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    functions = {name: BENCHMARKS[name] for name in asked.names or BENCHMARKS}
    print(f"torch {torch.__version__}, threads: {torch.get_num_threads()}, ", end="")
    print(f"load {os.getloadavg()[0]:.1f}. Medians over rounds, both sides alternating.")
    print(f"{'ratio':>8} {'at most':>8} {'ours/ms':>9} {'other/ms':>9}  what")
    met = True
    for name, function in functions.items():
        for row in function():
            target = "" if row.target is None else f"{row.target:.2f}"
            times = f"{row.ours * 1e3:9.2f} {row.other * 1e3:9.2f}"
            missed = "" if row.met else "  MISSED"
            print(f"{row.ratio:8.4f} {target:>8} {times}  {name}: {row.what}{missed}", flush=True)
            met &= row.met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
