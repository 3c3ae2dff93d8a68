"""What a trained network sees: which pixels of a digit support the answer, and what each map responds to."""

from pathlib import Path

from lenet import (
    compute_attribution,
    draw_attribution,
    draw_layers,
    draw_patches,
    find_patches,
    find_subjects,
    load,
    load_data,
    trace_maps,
)

PICTURE = Path(__file__).parent / "pictures/7-blue-ink.png"

checkpoint = load("reader")
model, classes = checkpoint.model, checkpoint.classes

# The image that the network is given: the digit, cut out of the picture and made as MNIST's are.
(subject,) = find_subjects(checkpoint, PICTURE, PICTURE.name)
maps = trace_maps(model, subject.image[None])
print({name: tuple(values.shape[1:]) for name, values in maps.items()})

# How much does each logit fall when a patch of the image is covered?
attribution = compute_attribution(model, subject.image)
predicted, rival = classes[attribution.predicted], classes[attribution.rival]
row, column = divmod(int(attribution.occlusion[0].argmax()), 28)
print(f"read as {predicted}; without the ink around row {row}, column {column} its logit falls most")
row, column = divmod(int((attribution.occlusion[0] - attribution.occlusion[1]).argmax()), 28)
print(f"the ink around row {row}, column {column} makes it {predicted} and not {rival}")

# The nine patches of other images that each map of the second convolution responds to most.
patches = find_patches(model, load_data("digits", "test").images, "conv2")
print(f"map 1 responds most to test images {patches.indices[0].tolist()}")

draw_layers(model, [subject], Path("layers.png"), classes=classes)
draw_attribution([subject], [attribution], classes, Path("attribution.png"))
draw_patches([patches], "digits", Path("patches.png"))
print("look at layers.png attribution.png patches.png")
