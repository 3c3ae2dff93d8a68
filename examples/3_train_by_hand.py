"""Write your own training loop: `train` yields one record per epoch, and `break` stops it early."""

from lenet import RECIPES, evaluate, load_data, make_model, save, split_stratified, train

data = load_data("digits", "train")
rest, held_out = split_stratified(data.labels, 200, seed=0)  # every class in proportion
learning, validation = data.subset(rest), data.subset(held_out)

recipe = RECIPES["quick"].override({"epochs": 20})
model = make_model(recipe, seed=0)  # the same seed gives the same initial weights and the same result
for epoch in train(model, learning, recipe, seed=0, validation=validation):
    print(f"{epoch.epoch:2}  train {epoch.train_loss:.3f}  validation {epoch.validation_accuracy:.1%}")
    if epoch.validation_accuracy > 0.96:
        break  # good enough for a first look; no cleaning up is needed

print(f"test {evaluate(model, load_data('digits', 'test')).accuracy:.1%}")
save(model, "digits.safetensors")  # lenet.load and `lenet predict --checkpoint` read it
