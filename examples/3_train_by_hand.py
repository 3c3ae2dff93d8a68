"""How it learns: a loop that is yours. `train` yields an epoch at a time; stopping early is `break`."""

from lenet import RECIPES, evaluate, load_data, make_model, train
from lenet.data.imageset import split_stratified

data = load_data("digits", "train")
rest, held_out = split_stratified(data.labels, 200, seed=0)  # every class in proportion
learning, validation = data.subset(rest), data.subset(held_out)

recipe = RECIPES["quick"].override({"epochs": 20})
model = make_model(recipe, seed=0)  # the same seed, the same first weights, the same end
for epoch in train(model, learning, recipe, seed=0, validation=validation):
    print(f"{epoch.epoch:2}  train {epoch.train_loss:.3f}  validation {epoch.validation_accuracy:.1%}")
    if epoch.validation_accuracy > 0.96:
        break  # good enough for a first look; nothing has to be tidied up

print(f"test {evaluate(model, load_data('digits', 'test')).accuracy:.1%}")
