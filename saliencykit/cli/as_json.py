"""What commands answer to programs: `--json`."""

import json
import math
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Answer in JSON, for programs; null for what is no number.")
]


def say(answer: object) -> None:
    """Print an answer as JSON, which knows no NaN and nothing infinite: null stands for them."""
    typer.echo(json.dumps(_numbers(answer), indent=1, allow_nan=False))


def _numbers(answer: object) -> object:
    if isinstance(answer, dict):
        return {name: _numbers(value) for name, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [_numbers(value) for value in answer]
    return None if isinstance(answer, float) and not math.isfinite(answer) else answer
