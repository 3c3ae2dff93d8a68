"""How strongly training images are distorted: settings only, so that recipes load without torch."""

from dataclasses import asdict, dataclass

from lenet.errors import RecipeError


@dataclass(frozen=True)
class Distortions:
    """Strengths of the random distortions of a batch; zero leaves that one out.

    The planar affine ones are those of LeCun et al. 1998, section III.C; elastic ones are Simard et al. 2003.
    Those from `pen` on change the ink where it lies.
    """

    degrees: float = 0.0
    """Rotation, uniform in ± this many degrees."""
    scale: float = 0.0
    """Size, uniform in 1 ± this share, for width and height together."""
    shear: float = 0.0
    """Horizontal shear, uniform in ± this (tangent of the slant)."""
    shift: float = 0.0
    """Shift, uniform in ± this share of the side, for each direction."""
    elastic: float = 0.0
    """Elastic deformation: standard deviation of the displacement in pixels."""
    flip: bool = False
    """Mirror half of the images left to right (only for data sets where a mirrored image is still one)."""
    aspect: float = 0.0
    """Width against height, uniform in 1 ± this share."""
    pen: float = 0.0
    """Strokes made thinner or thicker, uniform in ± this many pixels."""
    blur: float = 0.0
    """Half of the images blurred, by a Gaussian of up to this standard deviation in pixels."""
    coarseness: float = 0.0
    """A third of the batches reduced by up to this share of the side, and enlarged again."""
    noise: float = 0.0
    """Half of the images with normal noise on them, of up to this standard deviation of full ink."""
    cover: float = 0.0
    """A fifth of the images with a blank strip, as wide as up to this share of the side."""
    fading: float = 0.0
    """Half of the images with paler ink, by up to this share."""
    rulings: float = 0.0
    """The chance of a printed line, for each of four beside the writing and two across it."""
    paper: float = 0.0
    """Four tenths of the images on paper that is uneven by up to this share of full ink."""

    def __post_init__(self) -> None:
        limits = {
            "degrees": 180, "scale": 0.9, "shear": 2, "shift": 1, "elastic": 28, "aspect": 0.9, "pen": 2,
            "blur": 10, "coarseness": 0.9, "noise": 1, "cover": 0.9, "fading": 0.9,
            "rulings": 1, "paper": 0.9,
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
