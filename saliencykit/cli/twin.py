"""The command that draws a world like one's own data."""

from typing import Annotated

import typer

from . import completing
from .figures import Parameters, Profile, pairs

HELP = """Draw a toyworld like a data set, and tell what 03 can show on these data.

Before more eyes are tracked, or more networks trained: how large must an effect be to be found,
and how many trainings and images would do? Image by image a scene is drawn that holds things of the
same categories, as large, for as many observers who look at each as often. There the truth is
known, so it is seen how often the intervals of notebook 03 are wrong; and by how networks and
images differ there, which effects studies with more of either would find. Last it is seen whether
the twin is right: what your own images say is asked again of some of them.

Runs notebook 03 with your settings, and its twin; so a figure, 03_twin, and a paragraph stand at
the end of it. All is cached: what 03 has trained is not trained again. If the data cannot be
matched, the figure that is off is named before anything is trained.

\b
Examples:
  saliencykit twin                                        of toyworld itself, to see what it tells
  saliencykit twin --data osie --profile osie_mobilenet
  saliencykit twin --data crowd --profile osie -p encoder squeezenet1_1 -p epochs 16
"""


def twin(
    data: Annotated[
        str | None,
        typer.Option(
            help="Whose twin, if not that of the profile's data: see `saliencykit datasets`.",
            autocompletion=completing.data,
        ),
    ] = None,
    profile: Profile = "toy",
    parameter: Parameters = None,
    trainings: Annotated[
        int | None,
        typer.Option(help="Fine-tuned networks in the twin, twice as many as 03 has unless told."),
    ] = None,
    readouts: Annotated[
        int,
        typer.Option(
            help="Frozen readouts there, which tell how often intervals are wrong.", min=1
        ),
    ] = 60,
) -> None:
    """Draw a twin: `HELP` is what users read."""
    from ..paths import FIGURES, NOTEBOOKS
    from ..running.gallery import PAGE
    from ..running.profiles import assign, find_notebooks
    from ..running.runner import NotebookFailedError, run, summary
    from ..settings import read_profile
    from ..study import Study
    from ..worlds.twin import Twins, enough

    overrides = pairs(parameter) | ({"data": data} if data else {})
    if given := {"twin", "twin_readouts"} & overrides.keys():
        raise ValueError(f"-p {min(given)} is --trainings or --readouts here")
    [asked] = assign(find_notebooks(["03"]), read_profile(profile), overrides, NOTEBOOKS)
    study = Study.from_profile(profile, **asked.get("changes", {}))
    number = 2 * study.trainings if trainings is None else enough(trainings, study.trainings)
    Twins(study).matched()
    overrides |= {"twin": str(number), "twin_readouts": str(readouts)}
    try:
        outcomes, _ = run(["03"], profile, overrides, say=typer.echo)
    except NotebookFailedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(summary(outcomes))
    folder = FIGURES.resolve() / profile
    typer.echo(f"The twin: {folder / '03_twin.png'}; what it says: {folder / PAGE}")
