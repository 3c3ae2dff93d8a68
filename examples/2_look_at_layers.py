"""What the network is: which shape leaves each layer, how many weights it has, and where they are."""

import torch

from lenet import RECIPES, LeNet, load_data

model = LeNet(RECIPES["d2l"].model)  # the network of the textbook: sigmoid, average pooling
images = load_data("digits", "test").images[:4]

# `trace` runs the layers one by one and keeps what leaves each of them.
for name, output in model.trace(images).items():
    print(f"{name:10} {tuple(output.shape)}")

# Where the 61,706 weights are: most of them are in the first dense layer, not in the convolutions.
for name, layer in model.named_children():
    if count := sum(parameter.numel() for parameter in layer.parameters()):
        print(f"{name:10} {count:6,} weights")
print(f"{'together':10} {model.config.parameters:6,}")

# An untrained network knows nothing: each class gets about a tenth.
probabilities = model.probabilities(images)
assert torch.allclose(probabilities.sum(dim=1), torch.ones(4))
print(probabilities[0])
