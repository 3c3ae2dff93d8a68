"""Pictures and pixels: decoding, MNIST's framing, corruptions. Knows no network and no data set."""
