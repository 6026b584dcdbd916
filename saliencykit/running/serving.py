"""The unit explorer as a page without code: what `saliencykit explore` serves with Voilà.

Voilà runs a notebook for whoever opens the page, and shows what its cells answer. The page is a
copy of the notebook that keeps its title, its widget and, below it, the last section's text;
everything computed before is one silent cell.
"""

import os
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from ..paths import NOTEBOOKS, for_children
from ..settings import read_profile
from .executing import ALONE, KEEPING_MEMORY, ends_in_order, private_folder
from .profiles import assign, find_notebooks

SILENT = "%%capture"
SOCKET = len("voila_xxxxxxxx/kernel-00000000-0000-0000-0000-000000000000-ipc-5")


def explore(
    name: str,
    profile: str,
    overrides: Mapping[str, str],
    port: int,
    browser: bool,
    folder: Path = NOTEBOOKS,
    **settings: object,
) -> None:
    """Serve notebook `name` as a page, with a profile's parameters, until we are told to end.

    On this machine's `port`, or the next free one; the address, which holds the key to it, is
    printed, and with `browser` opened. Page, kernels and what they need lie in a folder of their
    own. `settings` are those of `server.Explorer`. Raises as `page`, and OSError if no port is free
    or `port` is not ours to take.
    """
    with ends_in_order(), private_folder(SOCKET) as own:
        served = page(name, profile, overrides, own, folder)
        os.environ.update(_environment(own))
        from .server import Explorer  # finds Jupyter's folders in the environment

        with chdir(own):  # nothing that Jupyter looks for in the current folder is there
            Explorer.serve(served, port, browser, **settings)


def page(
    name: str,
    profile: str,
    overrides: Mapping[str, str],
    own: Path,
    folder: Path = NOTEBOOKS,
) -> Path:
    """Write the page of notebook `name` with a profile's parameters into folder `own`.

    Returns where. Raises as `profiles.find_notebooks`, `settings.read_profile` and
    `profiles.assign`.
    """
    (notebook,) = find_notebooks([name], folder)
    (parameters,) = assign([notebook], read_profile(profile, folder), overrides, folder)
    content = load_notebook_node(str(notebook))
    filled = parameterize_notebook(content, parameters, kernel_name="python3", language="python")
    filled.cells = _shown(filled)
    nbformat.write(filled, own / notebook.name)
    return own / notebook.name


def _shown(notebook: NotebookNode) -> list[NotebookNode]:
    """Title, a silent cell of all code but the last cell's, the last cell, its section's text."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    silent = "\n\n".join([SILENT, *(cell.source for cell in code[:-1])])
    title, *_ = texts[0].source.splitlines()
    return [new_markdown_cell(title), new_code_cell(silent), code[-1], texts[-1]]


def _environment(own: Path) -> dict[str, str]:
    """What kernels inherit, and where Jupyter looks: `own` in place of its users' folders.

    Figures that the notebook draws go there too, not to those committed. The kernel is this very
    interpreter: a `python3` kernelspec elsewhere may be that of another Python.
    """
    from ipykernel.kernelspec import write_kernel_spec

    write_kernel_spec(own / "data" / "kernels" / "python3", **ALONE)
    return {
        **KEEPING_MEMORY,
        **for_children(),
        "SALIENCYKIT_FIGURES": str(own / "figures"),
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTER_CONFIG_PATH": "",
        "JUPYTER_PATH": str(own / "data"),  # before all others
    }
