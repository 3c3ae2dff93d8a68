"""The plan of a run, recipe.json: what is trained, fixed when the run begins."""

from dataclasses import asdict, dataclass
from typing import Any

from lenet.errors import RecipeError
from lenet.training.randomness import check_seed
from lenet.training.recipe import Recipe

MOST_THREADS = 4096
SLICES = 8  # of each batch, where several processes may share it
CORRECTIONS = "corrections"  # as the data of a plan: the folder of this name in the run


@dataclass(frozen=True)
class Plan:
    """What a run trains: fixed when the run begins. Raises RecipeError on invalid values."""

    recipe: Recipe
    seed: int
    device: str
    threads: int
    data_sha256: str
    initial_sha256: str | None = None  # where the run begins with the weights of a checkpoint
    teachers_sha256: tuple[str, ...] = ()  # of the checkpoints that it learns from
    slices: int = 1  # of each batch, whose gradients are computed one by one

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if type(self.threads) is not int or not 1 <= self.threads <= MOST_THREADS:
            raise RecipeError(f"threads is {self.threads!r}; it must be a number from 1 to {MOST_THREADS}")
        if not isinstance(self.device, str):
            raise RecipeError(f"device is {self.device!r}; it must be a name, such as cpu")
        if not isinstance(self.data_sha256, str):
            raise RecipeError(f"data_sha256 is {self.data_sha256!r}; it must be a hash")
        if not isinstance(self.initial_sha256, str | None):
            raise RecipeError(f"initial_sha256 is {self.initial_sha256!r}; it must be a hash")
        object.__setattr__(self, "teachers_sha256", tuple(self.teachers_sha256))  # JSON gives a list
        if not all(isinstance(digest, str) for digest in self.teachers_sha256):
            raise RecipeError("teachers_sha256 must be a list of hashes")
        if type(self.slices) is not int or self.slices not in (1, SLICES):
            raise RecipeError(f"slices is {self.slices!r}; it must be 1 or {SLICES}")
        if self.slices > 1 and self.recipe.optimizer == "sdlm":
            raise RecipeError(
                "sdlm takes one image after another, which processes cannot share; leave torchrun out"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what a run has not is not mentioned, as in older versions."""
        values = {**asdict(self), "recipe": self.recipe.to_dict()}
        if self.slices == 1:
            del values["slices"]
        if not self.teachers_sha256:
            del values["teachers_sha256"]
        return values
