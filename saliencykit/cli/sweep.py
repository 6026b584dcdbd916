"""The command that computes a grid of studies, here or on a cluster."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

HELP = """Compute a grid of trainings: encoders × data sets × tasks × seeds, here or on a cluster.

GRID is a YAML file that says a profile (or several) and settings, each with one value or a list of
them; all are combined. A cell is one training with what is measured of it, kept in the cache: those
that are there are read, the others computed, each in one thread, as many at a time as there are
cores (or GPUs). The same command goes on where it was broken off, with what failed too; failures
are told at the end, and the exit status is then 1. All numbers go to one long table, cells.csv (and
cells.parquet, where pyarrow is installed), in figures/sweeps/<grid's name>/.

--on slurm submits as many jobs as cells are missing, each of which goes on with the next cell until
none is left, and follows them; Ctrl-C leaves them running, and the same command finds them again. A
job that meets its time limit is put into the queue again and goes on from its last epoch.
docs/cluster.md tells more.

\b
A grid:
  profile: [toy, "toy encoder=alexnet weights=imagenet read=[] layers=[]"]
  data: [toyworld, osie]
  trainings: 5
  networks: [frozen, fine-tuned]
  measures: [scores, units]

\b
Examples:
  saliencykit sweep grid.yaml --dry-run            which cells, and what is known of their cost
  saliencykit sweep grid.yaml                      on all cores
  saliencykit sweep grid.yaml --on slurm --partition gpu --gpus 1 --minutes 120
  saliencykit sweep grid.yaml --status             how far it is; without GRID, of all grids
"""


class Where(StrEnum):
    """Where cells are computed."""

    LOCAL = "local"
    SLURM = "slurm"


def sweep(
    grid: Annotated[Path | None, typer.Argument(help="YAML file, as shown above.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells, with state and cost; run nothing.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="The same; without GRID, of all grids swept before.")
    ] = False,
    on: Annotated[Where, typer.Option(help="This machine, or a cluster.")] = Where.LOCAL,
    jobs: Annotated[
        int | None, typer.Option(help="Cells at a time: as many as cores, or GPUs, if left out.")
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Then draw notebook 10 of the grid's studies.")
    ] = False,
    partition: Annotated[str | None, typer.Option(help="SLURM: the partition.")] = None,
    gpus: Annotated[int, typer.Option(help="SLURM: GPUs of a job.", min=0)] = 0,
    minutes: Annotated[int, typer.Option(help="SLURM: a job's time limit.", min=1)] = 240,
    memory: Annotated[float, typer.Option(help="SLURM: a job's memory, GB.", min=0.1)] = 8.0,
    more: Annotated[
        list[str] | None,
        typer.Option("--slurm", metavar="NAME=VALUE", help="SLURM: another option of sbatch."),
    ] = None,
) -> None:
    """Compute a grid: `HELP` is what users read."""
    from ..running.runner import NotebookFailedError
    from ..sweeps import sweeping
    from ..sweeps.slurm import Cluster
    from .figures import pairs

    if grid is None:
        if not status:
            raise ValueError("Name the file of a grid, or ask --status of all.")
        typer.echo(sweeping.statuses())
        return
    if dry_run or status:
        typer.echo(sweeping.listing(grid))
        return
    asked = Cluster(partition, gpus, minutes, memory, pairs(more))
    failed = sweeping.sweep(grid, asked if on == Where.SLURM else None, jobs, typer.echo)
    if failed:
        lines = [f"{cell}: {sweeping.last_line(told)}" for cell, told in failed.items()]
        typer.echo("\n".join([f"{len(failed)} cells failed:", *lines]), err=True)
        typer.echo("The same command tries them again.", err=True)
        raise typer.Exit(1)
    if figures:
        try:
            typer.echo(f"Figures of notebook 10: {sweeping.draw(grid, typer.echo)}")
        except NotebookFailedError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None
