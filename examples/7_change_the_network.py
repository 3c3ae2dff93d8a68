"""Change one thing at a time: the exercises of the textbook, on small data, each with three seeds."""

from statistics import mean, stdev

from lenet import RECIPES, evaluate, load_data, make_model, train

data, test = load_data("digits", "train"), load_data("digits", "test")
plain = RECIPES["quick"].override({"epochs": 3, "pooling": "avg", "activation": "tanh"})
variants = {
    "as it is": {},
    "max pooling": {"pooling": "max"},
    "ReLU": {"activation": "relu"},
    "3×3 kernels": {"kernel_size": 3},
    "twice the maps": {"channels": (12, 32)},
    "one dense layer less": {"hidden": (120,)},
}
for name, changes in variants.items():
    recipe = plain.override(changes)
    accuracies = []
    for seed in range(3):
        model = make_model(recipe, seed)
        for _ in train(model, data, recipe, seed=seed):
            pass
        accuracies.append(evaluate(model, test).accuracy)
    spread = stdev(accuracies)
    print(f"{name:21} {recipe.model.parameters:7,} weights  {mean(accuracies):.1%} ± {spread:.1%}")
