"""The trainings of 1989 to 1998 as recipes; docs/classic.md says what the papers leave open."""

from dataclasses import replace

from lenet.models.config import MODELS
from lenet.training.recipe import Recipe

LENET5_1998 = Recipe(
    name="lenet5-1998",
    source="LeCun et al. 1998, section III: LeNet-5 and its training, without distortions",
    published={"test_accuracy": 0.9905, "distorted": "test accuracy .992 with distorted images in addition"},
    model=MODELS["lenet5-1998"],
    data="mnist",
    epochs=20,
    batch_size=500,  # each image is a step
    optimizer="sdlm",
    lr=5e-4,
    schedule="1998",
)
LENET4_1998 = replace(
    LENET5_1998,
    name="lenet4-1998",
    source="LeCun et al. 1998, section III.C: LeNet-4, trained as LeNet-5",
    published={"test_accuracy": 0.989},
    model=MODELS["lenet4-1998"],
    loss="bipolar-squared-error",
)
LENET1_1998 = replace(
    LENET4_1998,
    name="lenet1-1998",
    source="LeCun et al. 1998, section III.C: LeNet-1, the network of 1990; digits of 16×16 pixels",
    published={"test_accuracy": 0.983},
    model=MODELS["lenet1-1998"],
    lr=7e-4,
)

LENET_1989 = Recipe(
    name="lenet-1989",
    source="LeCun et al. 1989, the network of zip codes and its training; MNIST's images in 16×16 pixels",
    published={"zip_code_digits": "train accuracy .9986, test accuracy .95"},
    model=replace(MODELS["lenet-1989"], initialisation="fan-in"),
    data="mnist",
    epochs=23,
    batch_size=500,  # each image is a step
    optimizer="sdlm",
    lr=2e-4,
    schedule="cosine",
    loss="bipolar-squared-error",
)
