"""The unit explorer as a page without code: what `saliencykit explore` serves with Voilà.

Voilà runs a notebook for whoever opens the page, and shows what its cells answer. The page is a
copy of the notebook that keeps its title, its widget and, below it, the last section's text;
everything computed before is one silent cell.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from ..paths import NOTEBOOKS, cache_root
from ..settings import read_profile
from .executing import KEEPING_MEMORY
from .profiles import assign, find_notebooks

SILENT = "%%capture"


def page(
    name: str, profile: str, overrides: Mapping[str, str] = {}, folder: Path = NOTEBOOKS
) -> Path:
    """Write the page of notebook `name` with a profile's parameters; return where.

    Raises as `profiles.find_notebooks`, `settings.read_profile` and `profiles.assign`.
    """
    (notebook,) = find_notebooks([name], folder)
    (parameters,) = assign([notebook], read_profile(profile, folder), overrides, folder)
    content = load_notebook_node(str(notebook))
    filled = parameterize_notebook(content, parameters, kernel_name="python3", language="python")
    filled.cells = _shown(filled)
    path = cache_root().resolve() / "pages" / profile / notebook.name
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(filled, path)
    return path


def _shown(notebook: NotebookNode) -> list[NotebookNode]:
    """Title, a silent cell of all code but the last cell's, the last cell, its section's text."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    silent = "\n\n".join([SILENT, *(cell.source for cell in code[:-1])])
    title, *_ = texts[0].source.splitlines()
    return [new_markdown_cell(title), new_code_cell(silent), code[-1], texts[-1]]


def serve(path: Path, port: int = 8866, browser: bool = True) -> int:
    """Serve a page on this machine's `port` until interrupted; return Voilà's exit status.

    Figures that the notebook draws go to the cache, not to those committed.
    """
    command = [sys.executable, "-m", "voila", str(path), f"--port={port}", "--theme=light"]
    command += ["--VoilaExecutor.timeout=0", *([] if browser else ["--no-browser"])]
    figures = {"SALIENCYKIT_FIGURES": str(path.parent / "figures")}
    return subprocess.run(command, env={**os.environ, **KEEPING_MEMORY, **figures}).returncode
