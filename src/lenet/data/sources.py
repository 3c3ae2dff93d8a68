"""The data sets known by name: their content, mirrors, and checksums.

Pure Python, so that listing them needs neither torch nor a network. Sources of the checksums:

- MNIST and Fashion-MNIST: SHA-256 of the unpacked IDX, computed from the complete official files, so that a
  copy compressed again is recognised; SHA-256 of the packed files as tensorflow-datasets lists them
  (url_checksums/mnist.txt, fashion_mnist.txt).
- KMNIST and the EMNIST archive: SHA-256 from tensorflow-datasets (url_checksums/kmnist.txt, emnist.txt).
- QMNIST: MD5 from torchvision (datasets/mnist.py); no other checksums are published.

The mirrors are those of the same two projects that still answer. The original site of MNIST does not. GitHub
and Google come last: some countries block them.
"""

import difflib
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Literal

from lenet.errors import DataError

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class SourceFile:
    """One IDX file of a data set."""

    name: str
    """The published name of the unpacked file; packed copies end in `.gz`."""
    shape: tuple[int, ...]
    packed: str = ""
    """`algorithm:digest` of the packed file as published; empty for a file in a bundle."""
    sha256: str = ""
    """The digest of the unpacked file; empty if none is published."""
    value_bytes: int = 1

    @property
    def size(self) -> int:
        """The bytes of the unpacked file: the header and the values."""
        return 4 + 4 * len(self.shape) + self.value_bytes * prod(self.shape)

    @property
    def max_packed(self) -> int:
        """The maximum bytes of a packed copy: gzip adds little to data that it cannot compress."""
        return self.size + self.size // 1000 + 1024


@dataclass(frozen=True)
class Bundle:
    """One zip archive that holds the files of several data sets."""

    urls: tuple[str, ...]
    packed: str
    size: int
    folder: str
    """The folder of the files in the archive."""


@dataclass(frozen=True)
class Source:
    """A data set known by name."""

    name: str
    train: int
    """Number of training images."""
    test: int
    """Number of test images."""
    classes: tuple[str, ...]
    licence: str
    mirrors: tuple[str, ...] = ()
    """URLs of folders, tried in this order."""
    files: dict[Split, tuple[SourceFile, SourceFile]] = field(default_factory=dict)
    """Images and labels of each split; empty for data that are part of the install."""
    bundle: Bundle | None = None
    flips: bool = False
    """True when an image mirrored left to right keeps its class."""
    transposed: bool = False
    """True when the files hold each image transposed."""
    first_label: int = 0
    """The label of the first class in the files."""

    @property
    def all_files(self) -> tuple[SourceFile, ...]:
        """Images and labels of both splits."""
        return tuple(file for pair in self.files.values() for file in pair)


def spell_source(name: str) -> str:
    """A data set's name as it is spelt here: `MNIST` and `FashionMNIST` are known; other names come back."""
    plain = {_letters(known): known for known in SOURCES}
    return name if name in SOURCES else plain.get(_letters(name), name)


def resolve_data(name: str) -> str:
    """A data set's name as it is spelt here; for data of one's own the path that is right from any folder."""
    return str(Path(name).resolve()) if name not in SOURCES and Path(name).exists() else spell_source(name)


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def find_source(name: str) -> Source:
    """The data set called `name`, whatever its capitals and punctuation. Raises DataError, with a hint."""
    spelt = spell_source(name)
    if spelt in SOURCES:
        return SOURCES[spelt]
    near = difflib.get_close_matches(name.casefold(), SOURCES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose {', '.join(SOURCES)}"
    raise DataError(f"no data set is called {name!r}; {hint}")


_SIDE = 28  # pixels, as `images.framing.SIDE`, which cannot be imported without numpy
DIGITS = tuple("0123456789")
_CAPITALS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_EMNIST = Bundle(
    urls=("https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",),
    packed="sha256:fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    size=561_753_746,
    folder="gzip",
)


def _mnist_files(
    packed: tuple[str, str, str, str], unpacked: tuple[str, str, str, str] = ("", "", "", "")
) -> dict[Split, tuple[SourceFile, SourceFile]]:
    """The four files that MNIST and its drop-in replacements have; training first, images first."""
    counts: dict[Split, int] = {"train": 60_000, "test": 10_000}
    files: dict[Split, tuple[SourceFile, SourceFile]] = {}
    for place, (split, prefix) in enumerate(zip(SPLITS, ("train", "t10k"), strict=True)):
        count, first = counts[split], 2 * place
        images = f"{prefix}-images-idx3-ubyte", (count, _SIDE, _SIDE), packed[first], unpacked[first]
        labels = f"{prefix}-labels-idx1-ubyte", (count,), packed[first + 1], unpacked[first + 1]
        files[split] = SourceFile(*images), SourceFile(*labels)
    return files


def _emnist(part: str, train: int, test: int, classes: tuple[str, ...], first_label: int = 0) -> Source:
    files: dict[Split, tuple[SourceFile, SourceFile]] = {}
    for split, count in zip(SPLITS, (train, test), strict=True):
        prefix = f"emnist-{part}-{split}"
        images = SourceFile(f"{prefix}-images-idx3-ubyte", (count, _SIDE, _SIDE))
        files[split] = images, SourceFile(f"{prefix}-labels-idx1-ubyte", (count,))
    return Source(
        name=f"emnist-{part}",
        train=train,
        test=test,
        classes=classes,
        licence="none stated; NIST, from Special Database 19",
        files=files,
        bundle=_EMNIST,
        transposed=True,
        first_label=first_label,
    )


_ALL = (
    Source(
        name="digits",
        train=1_437,
        test=360,
        classes=DIGITS,
        licence="CC BY 4.0",  # UCI, Optical Recognition of Handwritten Digits; bundled with scikit-learn
    ),
    Source(
        name="mnist",
        train=60_000,
        test=10_000,
        classes=DIGITS,
        licence="CC BY-SA 3.0",
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files=_mnist_files(
            packed=(
                "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
            unpacked=(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
    ),
    Source(
        name="fashion-mnist",
        train=60_000,
        test=10_000,
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        licence="MIT",
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        files=_mnist_files(
            packed=(
                "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
            unpacked=(
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        flips=True,
    ),
    Source(
        name="kmnist",
        train=60_000,
        test=10_000,
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        licence="CC BY-SA 4.0",
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        files=_mnist_files(
            packed=(
                "sha256:51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                "sha256:e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                "sha256:edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                "sha256:20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            ),
        ),
    ),
    _emnist("digits", 240_000, 40_000, DIGITS),
    _emnist("letters", 124_800, 20_800, _CAPITALS, first_label=1),
    # Eleven lower-case letters that do not look like their capitals have their own classes (Cohen 2017).
    _emnist("balanced", 112_800, 18_800, DIGITS + _CAPITALS + tuple("abdefghnqrt")),
    Source(
        name="qmnist",
        train=60_000,
        test=60_000,
        classes=DIGITS,
        licence="BSD 3-clause",
        mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
        # Labels have eight columns: the class, then writer, field and other properties (Yadav 2019).
        files={
            "train": (
                SourceFile(
                    "qmnist-train-images-idx3-ubyte",
                    (60_000, _SIDE, _SIDE),
                    packed="md5:ed72d4157d28c017586c42bc6afe6370",
                ),
                SourceFile(
                    "qmnist-train-labels-idx2-int",
                    (60_000, 8),
                    packed="md5:0058f8dd561b90ffdd0f734c6a30e5e4",
                    value_bytes=4,
                ),
            ),
            "test": (
                SourceFile(
                    "qmnist-test-images-idx3-ubyte",
                    (60_000, _SIDE, _SIDE),
                    packed="md5:1394631089c404de565df7b7aeaf9412",
                ),
                SourceFile(
                    "qmnist-test-labels-idx2-int",
                    (60_000, 8),
                    packed="md5:5b5b05890a5e13444e108efe57b788aa",
                    value_bytes=4,
                ),
            ),
        },
    ),
)

SOURCES: dict[str, Source] = {source.name: source for source in _ALL}
