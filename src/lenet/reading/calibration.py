"""Reads pictures whose texts are known: what a threshold on the confidence has to be fitted to."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lenet.errors import PictureError
from lenet.images.decoding import Picture
from lenet.reading.reader import Reader
from lenet.uncertainty.risk import summarise_readings


@dataclass(frozen=True)
class MeasuredReading:
    """What became of one picture: how many digits were read, how sure, whether accepted, whether right."""

    digits: int
    confidence: float
    accepted: bool
    right: bool


def measure_readings(reader: Reader, pictures: Iterable[tuple[Picture, str]]) -> list[MeasuredReading]:
    """Read pictures, one by one, and compare them with their texts.

    A picture that is refused, for too many marks, counts as rejected.
    """
    rows = []
    for picture, text in pictures:
        try:
            reading = reader.read(picture)
        except PictureError:
            rows.append(MeasuredReading(0, 0.0, accepted=False, right=False))
            continue
        rows.append(
            MeasuredReading(
                len(reading.digits), reading.confidence, not reading.rejected, reading.text == text
            )
        )
    return rows


def summarise_accepted(rows: Iterable[MeasuredReading]) -> dict[str, Any]:
    """The curves for a card, of readings by a reader without `max_error`.

    Readings that it rejects, such as those of blank pictures, are rejected at every threshold, so they are
    no part of the curves.
    """
    accepted = [row for row in rows if row.accepted]
    return summarise_readings(
        [row.digits for row in accepted],
        [row.confidence for row in accepted],
        [not row.right for row in accepted],
    )
