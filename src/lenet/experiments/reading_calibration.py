"""Fits the thresholds for readings: composes pictures of held-out digits and reads them."""

from dataclasses import replace
from typing import TypeVar

from lenet.data.imageset import ImageSet
from lenet.errors import CheckpointError, DataError
from lenet.models.checkpoint import Checkpoint
from lenet.models.line import LineCheckpoint
from lenet.models.line_config import DIGITS
from lenet.reading.calibration import measure_readings, summarise_accepted
from lenet.reading.reader import Reader
from lenet.synthesis.lines import compose_pictures
from lenet.training.recipe import Recipe
from lenet.training.recipes import READER
from lenet.training.start import hold_out_images
from lenet.uncertainty.reading_rejection import CARD_KEY

AnyCheckpoint = TypeVar("AnyCheckpoint", Checkpoint, LineCheckpoint)


def find_held_out(checkpoint: Checkpoint | LineCheckpoint, train: ImageSet) -> ImageSet:
    """The images of the training set `train` that the checkpoint's training held out.

    Raises CheckpointError when its card does not say which, or the training held out none.
    """
    if isinstance(
        checkpoint, LineCheckpoint
    ):  # its lines were composed of what the recipe `reader` learns from
        recipe, seed = READER, 0
    else:
        values, kept = checkpoint.card.get("recipe"), checkpoint.card.get("seed")
        if not isinstance(values, dict) or not isinstance(kept, int):
            raise CheckpointError("the checkpoint does not say which images its training held out; train one")
        recipe, seed = Recipe.from_dict(values), kept
    _, held_out = hold_out_images(train, recipe, seed)
    if held_out is None:
        raise CheckpointError("the training held out no images to calibrate on; train with `validation=5000`")
    return held_out


def calibrate_readings(
    checkpoint: AnyCheckpoint, held_out: ImageSet, singles: int = 4000, strings: int = 6000, seed: int = 0
) -> AnyCheckpoint:
    """The same network with curves for readings of pictures on its card; the weights stay the same.

    Args:
        checkpoint: a line network, or a network that names digits cut out of pictures.
        held_out: images of digits that it was not trained on.
        singles: the number of pictures of one digit.
        strings: the number of pictures of numbers and amounts.
        seed: of the pictures.

    Raises CheckpointError for a network that reads full images, whose card has its curve from training, and
    for one of other classes than digits; DataError for no pictures.
    """
    if isinstance(checkpoint, Checkpoint) and checkpoint.reads_whole_pictures:
        raise CheckpointError("the checkpoint reads full images, which have no strings to calibrate on")
    if held_out.classes != DIGITS:
        raise CheckpointError("pictures are composed of digits, and the checkpoint has other classes")
    if min(singles, strings) < 0 or not singles + strings:
        raise DataError("there are no pictures to calibrate on; raise `singles` or `strings`")
    pictures = compose_pictures(
        held_out.images[:, 0].numpy(), held_out.labels.numpy(), singles, strings, seed
    )
    curves = summarise_accepted(measure_readings(Reader(checkpoint), pictures))
    return replace(checkpoint, card={**checkpoint.card, CARD_KEY: curves})
