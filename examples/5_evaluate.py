"""How good it is: accuracy, each class, what is taken for what, and the hardest images."""

from pathlib import Path

from lenet import draw_confusion, draw_hardest, evaluate, load, load_data

checkpoint = load("mnist")  # weights that come with the package, trained on MNIST
data = load_data("digits", "test")  # other people's digits, scanned at 8×8: never seen in training
evaluation = evaluate(checkpoint, data)

print(f"{evaluation.count} images, accuracy {evaluation.accuracy:.1%}, loss {evaluation.loss:.3f}")
for row in evaluation.per_class:
    print(f"{row.name}: {row.count} images, recall {row.recall:.0%}, precision {row.precision:.0%}")

worst = evaluation.hardest[0]
print(f"hardest: image {worst.index} is {worst.label}, read as {worst.predicted} ({worst.probability:.0%})")

draw_confusion(evaluation, Path("confusion.png"))
draw_hardest(evaluation, data, Path("hardest.png"))
print("look at confusion.png and hardest.png")
