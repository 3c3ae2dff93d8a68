"""What a data set is: images as bytes, labels as numbers, and the names of the classes.

`digits` comes with the install. With `mnist` or `fashion-mnist` at hand, change the name below.
"""

from lenet import load_data

train, test = load_data("digits", "train"), load_data("digits", "test")
print(train.images.shape, train.images.dtype)  # (N, 1, H, W), one channel; bytes, 0 is paper, 255 is ink
print(train.labels.shape, train.labels.dtype)  # (N,)
print(f"{len(train):,} images to learn from, {len(test):,} to measure with")

for label, name in enumerate(train.classes):
    print(name, f"{(train.labels == label).sum():4} images")

# One image, as the network gets it: 28 rows of 28 numbers.
image, label = train.images[0, 0], int(train.labels[0])
print(f"\nthis is a {train.classes[label]}")
for row in image[::2]:
    print("".join(" .:oO@"[int(pixel) * 5 // 255] * 2 for pixel in row[::2]))
