"""Notebooks and profiles small enough to be written by a test."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


def write_notebook(folder, stem, *cells, parameters="profile = 'toy'\nvalue = 1.0\nseed = 0"):
    """A notebook: a title, a cell of parameters, and `cells`."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = new_notebook(
        cells=[new_markdown_cell(f"# {stem}"), first, *map(new_code_cell, cells)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{stem}.ipynb")
    return folder / f"{stem}.ipynb"


def write_profile(folder, name, text):
    (folder / "profiles").mkdir(parents=True, exist_ok=True)
    (folder / "profiles" / f"{name}.yaml").write_text(text, encoding="utf-8")
