"""`python -m benchmarks [NAME …]`: print ratios beside their targets; exit 1 if one is missed."""

import os
import sys

import torch

from . import BENCHMARKS, dissection  # noqa: F401 (the room registers its benchmarks)


def main(names: list[str]) -> int:
    functions = {name: BENCHMARKS[name] for name in names or BENCHMARKS}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, ", end="")
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
    sys.exit(main(sys.argv[1:]))
