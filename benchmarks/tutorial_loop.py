"""Examples a second of our loop beside the tutorials' own way, in turn in one process.

    python benchmarks/tutorial_loop.py

The tutorials' way, as their pages write it: a Dataset that turns one array into a Pillow image, a tensor and
standardised pixels at each access, a shuffling DataLoader, the same network in plain torch, and running sums
of loss and accuracy. Both train the same recipe on the same images with the same number of threads; each
time covers whole epochs, from the first index to the last metric. Results go to
benchmarks/results/tutorial-loop.json.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as lenet does, before torch is loaded

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

import lenet
from lenet.bench.machine import describe_machine
from lenet.data.imageset import ImageSet
from lenet.training.start import make_model

PAIRS = 7
IMAGES = 20_000


class TutorialDataset(Dataset):
    """What torchvision's data sets and transforms do at each access, written with Pillow alone."""

    def __init__(self, data: ImageSet, mean: float, std: float) -> None:
        self.images, self.labels, self.mean, self.std = data.images, data.labels, mean, std

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.images[index, 0].numpy())
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        pixels = pixels.view(1, picture.height, picture.width).float().div(255)
        return (pixels - self.mean) / self.std, int(self.labels[index])


def train_as_tutorials(data: ImageSet, recipe: lenet.Recipe) -> float:
    """One epoch of the textbook loop; examples a second."""
    network = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    dataset = TutorialDataset(data, recipe.model.pixel_mean, recipe.model.pixel_std)
    loader = DataLoader(dataset, batch_size=recipe.batch_size, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr)
    criterion = nn.CrossEntropyLoss()
    began = time.perf_counter()
    loss_sum, right, count = 0.0, 0.0, 0
    for images, labels in loader:
        optimizer.zero_grad()
        logits = network(images)
        loss = criterion(logits, labels)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(labels)
        right += (logits.argmax(dim=1) == labels).sum().item()
        count += len(labels)
    return count / (time.perf_counter() - began)


def train_as_we_do(data: ImageSet, recipe: lenet.Recipe) -> float:
    """One epoch of `lenet.train`; examples a second."""
    model = make_model(recipe, seed=0)
    began = time.perf_counter()
    for _ in lenet.train(model, data, recipe, device="cpu"):
        pass
    return len(data) / (time.perf_counter() - began)


def main() -> None:
    recipe = lenet.RECIPES["d2l-relu"].override({"epochs": 1})
    data = lenet.load_data(recipe.data, "train").subset(torch.arange(IMAGES))
    train_as_tutorials(data, recipe), train_as_we_do(data, recipe)  # warm up
    pairs = []
    for _ in range(PAIRS):
        pairs.append((train_as_we_do(data, recipe), train_as_tutorials(data, recipe)))
        print(f"ours {pairs[-1][0]:,.0f}  tutorials' {pairs[-1][1]:,.0f} examples/s", file=sys.stderr)
    ratios = [ours / theirs for ours, theirs in pairs]
    result = {
        "what": "examples/s of training, ours beside the tutorials' loop",
        "command": "python benchmarks/tutorial_loop.py",
        "recipe": recipe.name,
        "images": IMAGES,
        "pairs": [{"ours": ours, "tutorials": theirs} for ours, theirs in pairs],
        "ours_median": statistics.median(ours for ours, _ in pairs),
        "tutorials_median": statistics.median(theirs for _, theirs in pairs),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "machine": describe_machine(),
    }
    file = Path(__file__).parent / "results" / "tutorial-loop.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{file}: {result['ratio_median']:.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
