"""Positions as a tracker wrote them → pixels of image files, or an error if that cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...reading.pictures import image_size
from ...reading.positions import fractions
from .fates import KEPT, LOST, OFF_IMAGE, OFF_SCREEN
from .screen import Screen, Units, nowhere

MOST = 0.5  # of the positions are to lie in the image: of people who look at pictures nearly all do
STRAY = 0.05  # of the positions may lie off the screen, where trackers lose the gaze


def put_on_images(
    looks: pd.DataFrame, files: Mapping[str, Path], screen: Screen, table: Path, anyway: bool
) -> np.ndarray:
    """Turn x and y of fixations into pixels of their image files; return what becomes of each."""
    sizes = {name: image_size(files[name])[::-1] for name in looks["image"].unique()}
    own = np.array([sizes[name] for name in looks["image"]], dtype=np.float64).reshape(-1, 2)
    xy = looks[["x", "y"]].to_numpy()
    if screen.on_screen and not anyway:
        _check_shown(list(sizes), np.array(list(sizes.values()), dtype=np.float64), screen)
    fate, image = _places(xy, own, screen)
    _check_possible(xy, own, fate, screen, table, anyway)
    looks[["x", "y"]] = image
    return fate


def _places(xy: np.ndarray, own: np.ndarray, screen: Screen) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of positions (N, 2), and where on the image they are, in its pixels."""
    image, on_screen = screen.pixels(xy, own)
    outside = ((image < 0) | (image >= own)).any(1)
    beyond = np.zeros(len(xy), dtype=bool)
    if on_screen is not None:
        beyond = ((on_screen < 0) | (on_screen >= np.asarray(screen.size))).any(1)
    fates = np.select([screen.lost(xy), beyond, outside], [LOST, OFF_SCREEN, OFF_IMAGE], KEPT)
    return fates, image


def _check_possible(
    xy: np.ndarray, own: np.ndarray, fate: np.ndarray, screen: Screen, table: Path, anyway: bool
) -> None:
    """Raise ValueError if positions can't be what they are said to be, with what they may be."""
    there = ~nowhere(xy)
    if not there.any():
        raise ValueError(f"{table}: no row has a position.")
    (left, top), (right, bottom) = xy[there].min(0), xy[there].max(0)
    of = "" if screen.size is None else " of a screen of {:g}×{:g}".format(*screen.size)
    read = (
        f"{table}: x runs from {left:g} to {right:g}, y from {top:g} to {bottom:g}. Read as "
        f"{screen.units}{of}, "
    )
    if screen.units in (Units.SCREEN, Units.IMAGE) and fractions(*xy[there].T):
        raise ValueError(
            f"{read}all lie in one corner. Are they --units {Units.OF_IMAGE}, or {Units.OF_SCREEN}?"
        )
    inside = (fate[there] == KEPT).mean()
    if inside < MOST and not anyway:
        raise ValueError(
            f"{read}only {inside:.0%} lie inside their image.{_advice(xy, own, screen)} --anyway "
            "imports them as they are."
        )
    off, n = int((fate[there] == OFF_SCREEN).sum()), int(there.sum())
    if off > max(1, STRAY * n) and not anyway:  # one alone tells nothing
        raise ValueError(
            f"{read}{off} of {n} ({off / n:.0%}) lie off the screen.{_advice_on_screen(xy, screen)}"
            " --anyway leaves them out."
        )


def _check_shown(names: Sequence[str], own: np.ndarray, screen: Screen) -> None:
    """Raise ValueError if an image, of those `own` (N, 2) large, did not fit on the screen."""
    shown = own if screen.shown is None else np.broadcast_to(screen.shown, own.shape)
    corner = np.broadcast_to(screen.corner(shown), own.shape)
    beyond = ((corner < 0) | (corner + shown > np.asarray(screen.size))).any(1)
    if beyond.any():
        k = int(beyond.argmax())
        at = "" if screen.at is None else " with its corner at {:g},{:g}".format(*screen.at)
        size = "{:g}×{:g}".format(*screen.size or ())
        raise ValueError(
            f"{names[k]}, {shown[k, 0]:g}×{shown[k, 1]:g} large{at}, reaches beyond the screen of "
            f"{size}. Is --screen right{'' if screen.at is None else ', and --image-at'}? If the "
            "image was made to fit, say how large it was: --shown WxH. --anyway imports it so."
        )


def _advice_on_screen(xy: np.ndarray, screen: Screen) -> str:
    """What option is wrong where positions lie off the screen, though most are on their image."""
    there = xy[~nowhere(xy)]
    if screen.units == Units.DEGREES:
        return " Are --distance, --screen-size or --pixels-per-degree right?"
    if (there < 0).any(1).mean() > STRAY:
        return " Does another place than the screen's top left corner count as (0, 0)?"
    _, on_screen = screen.pixels(there, there)
    assert on_screen is not None  # since they are off it
    width, height = np.quantile(on_screen, 1 - STRAY, axis=0)
    return f" Is --screen larger? 95 % of them lie within {width:.0f}×{height:.0f} pixels."


def _advice(xy: np.ndarray, own: np.ndarray, screen: Screen) -> str:
    """What options would put most positions into their images."""
    there = ~nowhere(xy)
    for units in (Units.OF_IMAGE, Units.OF_SCREEN, Units.IMAGE, Units.SCREEN):
        counts_from_screen = units in (Units.OF_SCREEN, Units.SCREEN)
        if units == screen.units or (counts_from_screen and screen.size is None):
            continue
        at = screen.at if counts_from_screen else None
        fate, _ = _places(xy, own, replace(screen, units=units, at=at))
        if (share := (fate[there] == KEPT).mean()) > 1 - (1 - MOST) / 2:
            return f" As --units {units}, {share:.0%} would."
    if screen.units != Units.DEGREES and (np.nan_to_num(xy) < 0).any() and np.nanmax(xy) < 90:
        return " Are they --units degrees, or does another place than a corner count as (0, 0)?"
    if screen.size is None:
        return (
            " Are they --units pixels-of-screen, with --screen WxH, or was the image --shown WxH?"
        )
    return " Are --screen, --image-at and --shown right?"
