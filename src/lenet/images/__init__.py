"""Decoding of pictures, MNIST's framing, corruptions. Imports no network and no data set."""
