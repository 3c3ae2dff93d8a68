"""Curves: while it trains, of one training, and of several in one picture."""

from pathlib import Path

from lenet import RECIPES, draw_curves, load_data, make_model, plot_runs, save_figure, show_progress, train

data, test = load_data("digits", "train"), load_data("digits", "test")
histories = {}
for activation in ("relu", "sigmoid"):
    recipe = RECIPES["quick"].override({"epochs": 6, "activation": activation})
    epochs = train(make_model(recipe, seed=0), data, recipe, test=test)
    histories[activation] = list(show_progress(epochs))  # a line an epoch here, a picture in a notebook

draw_curves(histories["relu"], Path("relu.png"), "ReLU")
save_figure(plot_runs(histories, "the same recipe with two activations"), Path("both.png"))
print("look at relu.png and both.png")
