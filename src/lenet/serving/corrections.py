"""Keeps corrected pictures as a folder of class folders, which `lenet train --data FOLDER` takes."""

from hashlib import sha256
from io import BytesIO
from pathlib import Path

from PIL import Image

from lenet.batch.buckets import NamedContent
from lenet.errors import ServingError
from lenet.files import write_bytes
from lenet.images.decoding import Picture, decode
from lenet.serving.limits import Limits, Refusal

MAX_LABEL = 100  # characters of a class that becomes the name of a folder
SPLITS = ("train", "test")  # a folder of this name would not be read as a class


class Corrections:
    """A folder of pictures that people labelled, one folder a class."""

    def __init__(self, folder: Path, classes: tuple[str, ...], limits: Limits) -> None:
        """Raises ServingError when the folder cannot be made, or a class cannot be the name of a folder."""
        for label in classes:
            if not _is_folder_name(label):
                raise ServingError(f"the class {label!r} cannot be the name of a folder; leave --keep out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServingError(f"{folder}: {error.strerror}; name another folder with --keep") from None
        self._folder = folder
        self._classes = classes
        self._limits = limits

    def keep(self, picture: Picture, label: str) -> str:
        """Decode a picture, write its pixels as PNG, and return the name of the file within the folder.

        The original bytes are not kept. Equal pixels with equal labels have one file. Raises Refusal 422 for
        an unknown label and 507 when the folder is full, and PictureError.
        """
        if label not in self._classes:
            raise Refusal(
                422, f"no class is called {label[:80]!r}; the classes are {', '.join(self._classes)}"
            )
        image = Image.fromarray(decode(picture).pixels)
        red, green, blue = image.split()
        if red.tobytes() == green.tobytes() == blue.tobytes():
            image = red
        buffer = BytesIO()
        image.save(buffer, "png")
        content = buffer.getvalue()
        name = f"{label}/{sha256(content).hexdigest()[:32]}.png"
        if not (self._folder / name).exists():
            if sum(1 for _ in self._folder.glob("*/*")) >= self._limits.kept_files:
                message = (
                    f"the folder of corrections has {self._limits.kept_files:,} pictures and takes no more"
                )
                raise Refusal(507, message)
            write_bytes(self._folder / name, content)
        return name


def keep_correction(_: object, corrections: Corrections, name: str, content: bytes, label: str) -> str:
    """`Corrections.keep` as a function of a worker, whose reader it does not need."""
    try:
        return corrections.keep(NamedContent(content, name), label)
    except OSError as error:
        raise Refusal(507, f"the picture cannot be written: {error.strerror}") from None


def _is_folder_name(label: str) -> bool:
    """True for a name that every system takes, and that the loader of folders reads as a class."""
    return (
        0 < len(label) <= MAX_LABEL
        and label.isprintable()
        and not label.startswith(".")
        and label == label.strip().rstrip(".")
        and not set(label) & set('/\\:*?"<>|')
        and label not in SPLITS
    )
