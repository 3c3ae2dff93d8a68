"""How strongly training images are distorted: settings only, so that recipes load without torch."""

from dataclasses import dataclass

from lenet.errors import RecipeError


@dataclass(frozen=True)
class Distortions:
    """Strengths of the random distortions of a batch; zero leaves that one out.

    The planar affine ones are those of LeCun et al. 1998, section III.C; elastic ones are Simard et al. 2003.
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

    def __post_init__(self) -> None:
        limits = {"degrees": 180, "scale": 0.9, "shear": 2, "shift": 1, "elastic": 28}
        for name, limit in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= limit:
                raise RecipeError(f"{name} is {value!r}; it must be a number from 0 to {limit}")
        if not isinstance(self.flip, bool):
            raise RecipeError(f"flip is {self.flip!r}; it must be true or false")

    @property
    def is_none(self) -> bool:
        """True when every strength is zero."""
        return self == Distortions()
