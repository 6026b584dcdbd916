"""`python -m saliencykit` is the `saliencykit` command."""

from .cli import app

app(prog_name="saliencykit")
