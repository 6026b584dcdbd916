"""Studies that nobody made: what they would say, drawn from how trainings and images differ.

A pool of trainings, all measured on the same images, tells how much another training, and other
images, change a number. So studies with any number of either can be drawn, and it is counted how
often they find an effect, or find it again on some of their images.
"""

import numpy as np

from ..dissection import OverTrainings, over_trainings

STUDIES = 400  # drawn to tell a power
AGAIN, CHOICES = 60, 15  # studies that are thinned, and random choices of images in each


def studies(
    pool: OverTrainings,
    trainings: int,
    share: float,
    own_images: bool,
    jointly: bool,
    repeats: int | None = None,
    spread: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what studies say of numbers that are 0: values and intervals' reach, (repeats, K) each.

    pool: trainings, all on the same images, of which a study differs as these differ, and over
    images as these do when they are resampled; trainings: how many a study has; share: how many
    times as many images as the pool has; own_images: whether these are dealt out to the trainings;
    jointly: whether the K intervals hold together; repeats: how many (None: `STUDIES`); spread: how
    many times as much trainings differ as the pool's do.
    """
    draw = _Drawing(pool, trainings, own_images, STUDIES if repeats is None else repeats)
    return draw.told(spread * draw.trained() + draw.other_images(share), share, jointly)


def found_again(
    pool: OverTrainings,
    effects: np.ndarray,
    trainings: int,
    share: float,
    own_images: bool,
    jointly: bool,
    kept: float,
    repeats: int | None = None,
) -> np.ndarray:
    """Return in what share of random choices of its images a study says again what it says, (R, K).

    Of studies (see `studies`) which say `effects` (K,) on all of their images. kept: what share of
    the images is chosen, `CHOICES` times in each study, whose trainings remain.
    """
    draw = _Drawing(pool, trainings, own_images, AGAIN if repeats is None else repeats)
    whole = draw.trained() + draw.other_images(share)
    whole = whole - whole.mean(1, keepdims=True)
    hits = []
    for _ in range(CHOICES):
        part = whole + draw.other_images(share * kept / (1 - kept))
        values, reach = draw.told(part, share * kept, jointly)
        hits.append(np.where(np.isnan(reach), np.nan, _beyond(values, effects, reach)))
    return np.mean(hits, 0)


def _beyond(values: np.ndarray, effects: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Tell where an interval about effect and error lies on the effect's side of 0."""
    return np.sign(effects) * values + np.abs(effects) > reach


class _Drawing:
    """Draws trainings and images of studies that differ as a pool's do."""

    def __init__(self, pool: OverTrainings, trainings: int, own_images: bool, repeats: int):
        self.own, draws = pool.values[:, 0], pool.values[:, 1:]
        self.images, self.trainings = pool.images, trainings
        self.own_images, self.repeats = own_images, repeats
        # What other images do to one training is more than what they do to the mean of all.
        self.seen = draws.reshape(-1, draws.shape[-1]) if own_images else draws.mean(0)
        of = np.repeat(self.own, draws.shape[1], 0) if own_images else draws.mean(0).mean(0)
        self.seen, self.rng = self.seen - of, np.random.default_rng(0)

    def trained(self) -> np.ndarray:
        """Return by how much trainings differ from their mean, (R, S, K)."""
        apart = (self.own - self.own.mean(0)) / np.sqrt(max(1, len(self.own) - 1))
        return self.rng.standard_normal((self.repeats, self.trainings, len(self.own))) @ apart

    def other_images(self, times: float) -> np.ndarray:
        """Return what other images do, if so many times as many: (R, S, K), or to all (R, 1, K)."""
        number = self.trainings if self.own_images else 1
        which = self.rng.integers(len(self.seen), size=(self.repeats, number))
        return self.seen[which] * np.sqrt(number / times)

    def told(self, each: np.ndarray, share: float, jointly: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return means and reach of intervals, (R, K), of numbers (R, S, K) on some images."""
        images = np.floor(self.images * share + 1e-9)
        draws = None if self.own_images else self.seen / np.sqrt(share)
        if jointly:
            found = [over_trainings(one, draws, images, jointly) for one in each]
            values = np.stack([one.value for one in found])
            return values, np.stack([one.high for one in found]) - values
        found = over_trainings(
            each.swapaxes(0, 1), draws if draws is None else draws[:, None], images
        )
        return found.value, found.high - found.value
