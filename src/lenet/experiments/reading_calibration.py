"""Fits the thresholds for readings: composes pictures of held-out digits and reads them."""

import numpy as np
import torch

from lenet.data.imageset import ImageSet
from lenet.errors import CheckpointError, DataError
from lenet.images.framing import SIDE
from lenet.models.checkpoint import DIGITS, Checkpoint
from lenet.reading.calibration import measure_readings, summarise_accepted
from lenet.reading.reader import Reader
from lenet.synthesis.glyphs import draw_glyphs
from lenet.synthesis.strings import compose_strings
from lenet.training.randomness import random_stream
from lenet.training.recipe import Recipe
from lenet.training.start import hold_out_images
from lenet.uncertainty.reading_rejection import CARD_KEY

MIN_LENGTH, MAX_LENGTH = 2, 10
GLYPH_SHARE = 0.2  # glyph variants for each held-out digit: other writers' forms of 1, 4, 7 …


def find_held_out(checkpoint: Checkpoint, train: ImageSet) -> ImageSet:
    """The images of the training set `train` that the checkpoint's training held out.

    Raises CheckpointError when its card does not say which, or the training held out none.
    """
    recipe, seed = checkpoint.card.get("recipe"), checkpoint.card.get("seed")
    if not isinstance(recipe, dict) or not isinstance(seed, int):
        raise CheckpointError("the checkpoint does not say which images its training held out; train one")
    _, held_out = hold_out_images(train, Recipe.from_dict(recipe), seed)
    if held_out is None:
        raise CheckpointError("the training held out no images to calibrate on; train with `validation=5000`")
    return held_out


def calibrate_readings(
    checkpoint: Checkpoint, held_out: ImageSet, singles: int = 4000, strings: int = 6000, seed: int = 0
) -> Checkpoint:
    """The same network with curves for readings of pictures on its card; the weights stay the same.

    Args:
        checkpoint: a network that reads digits cut out of pictures.
        held_out: images of digits that it was not trained on.
        singles: the number of pictures of one digit.
        strings: the number of pictures of 2 to 10 digits, equally many of each length.
        seed: of the pictures.

    Raises CheckpointError for a network that reads full images, whose card has its curve from training, and
    DataError for no pictures.
    """
    if checkpoint.reads_whole_pictures:
        raise CheckpointError("the checkpoint reads full images, which have no strings to calibrate on")
    if min(singles, strings) < 0 or not singles + strings:
        raise DataError("there are no pictures to calibrate on; raise `singles` or `strings`")
    images, labels = held_out.images, held_out.labels
    if held_out.classes == DIGITS:
        count = round(GLYPH_SHARE * len(held_out))
        glyphs, names = draw_glyphs(count, (SIDE, SIDE), random_stream(seed, "calibration"))
        images, labels = torch.cat([images, glyphs]), torch.cat([labels, names])
    lengths = [1] * singles + np.resize(np.arange(MIN_LENGTH, MAX_LENGTH + 1), strings).tolist()
    pictures = compose_strings(images[:, 0].numpy(), labels.numpy(), held_out.classes, lengths, seed)
    curves = summarise_accepted(measure_readings(Reader(checkpoint), pictures))
    return Checkpoint(checkpoint.model, {**checkpoint.card, CARD_KEY: curves})
