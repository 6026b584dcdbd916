"""Notebooks and profiles small enough to be written by a test."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


def write_notebook(
    folder, stem, *cells, parameters="profile = 'toy'\nvalue = 1.0\nseed = 0", title=""
):
    """A notebook: a title, a cell of parameters, and `cells`; those that are texts become code."""
    first = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    others = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    notebook = new_notebook(cells=[new_markdown_cell(title or f"# {stem}"), first, *others])
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{stem}.ipynb")
    return folder / f"{stem}.ipynb"


def write_profile(folder, name, text):
    (folder / "profiles").mkdir(parents=True, exist_ok=True)
    (folder / "profiles" / f"{name}.yaml").write_text(text, encoding="utf-8")
