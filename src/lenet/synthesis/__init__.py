"""Synthetic training images from a seed: augmentation, glyph variants, negatives, segmentation artefacts."""
