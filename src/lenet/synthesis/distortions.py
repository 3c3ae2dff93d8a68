"""The settings of the random distortions of training images. No torch here, so that recipes load fast."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from lenet.errors import RecipeError

OLD_NAMES = {"rulings": "ruled_lines"}  # in older run folders and checkpoints


@dataclass(frozen=True)
class Distortions:
    """Strengths of the random distortions of a batch; zero turns a distortion off.

    The affine ones follow LeCun et al. 1998, section III.C; the elastic one follows Simard et al. 2003.
    Those from `pen` on change the ink and move nothing.
    """

    degrees: Annotated[float, "Rotation, uniform in ± this many degrees."] = 0.0
    scale: Annotated[float, "Size, uniform in 1 ± this share, for width and height together."] = 0.0
    shear: Annotated[float, "Horizontal shear, uniform in ± this (tangent of the slant)."] = 0.0
    shift: Annotated[float, "Shift, uniform in ± this share of the side, for each direction."] = 0.0
    elastic: Annotated[float, "Elastic deformation: standard deviation of the displacement in pixels."] = 0.0
    flip: Annotated[
        bool,
        "Mirror half of the images left to right (only for data sets where a mirrored image is still one).",
    ] = False
    aspect: Annotated[float, "Width against height, uniform in 1 ± this share."] = 0.0
    pen: Annotated[float, "Strokes made thinner or thicker, uniform in ± this many pixels."] = 0.0
    blur: Annotated[
        float, "Half of the images blurred, by a Gaussian of up to this standard deviation in pixels."
    ] = 0.0
    coarseness: Annotated[
        float, "A third of the batches reduced by up to this share of the side, and enlarged again."
    ] = 0.0
    noise: Annotated[
        float, "Half of the images with normal noise on them, of up to this standard deviation of full ink."
    ] = 0.0
    cover: Annotated[
        float, "A fifth of the images with a blank strip, as wide as up to this share of the side."
    ] = 0.0
    fading: Annotated[float, "Half of the images with paler ink, by up to this share."] = 0.0
    ruled_lines: Annotated[
        float, "The chance of a printed line, for each of four beside the writing and two across it."
    ] = 0.0
    paper: Annotated[
        float, "Four tenths of the images on paper that is uneven by up to this share of full ink."
    ] = 0.0

    def __post_init__(self) -> None:
        limits = {
            "degrees": 180, "scale": 0.9, "shear": 2, "shift": 1, "elastic": 28, "aspect": 0.9, "pen": 2,
            "blur": 10, "coarseness": 0.9, "noise": 1, "cover": 0.9, "fading": 0.9,
            "ruled_lines": 1, "paper": 0.9,
        }  # fmt: skip
        for name, limit in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= limit:
                raise RecipeError(f"{name} is {value!r}; it must be a number from 0 to {limit}")
        if not isinstance(self.flip, bool):
            raise RecipeError(f"flip is {self.flip!r}; it must be true or false")

    @property
    def changes_ink(self) -> bool:
        """True when any strength from `pen` on is not zero."""
        strengths = asdict(self)
        return any(list(strengths.values())[list(strengths).index("pen") :])

    @property
    def is_none(self) -> bool:
        """True when every strength is zero."""
        return self == Distortions()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Distortions":
        """The settings that `asdict` gives. Raises TypeError and RecipeError on anything else."""
        return cls(**{OLD_NAMES.get(name, name): value for name, value in values.items()})
