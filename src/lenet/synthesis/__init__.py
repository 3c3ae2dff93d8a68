"""What is drawn or distorted from a seed: augmentation, glyphs, negatives, segmentation artefacts."""
