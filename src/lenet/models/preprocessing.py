"""Pixels on their way to the first convolution: scaled to 0..1, fitted in size, their contrast normalised.

The network does this itself, with settings of its configuration, so that training, reading and every export
see the same numbers.
"""

import torch
from torch import Tensor
from torch.nn import functional

from lenet.errors import ModelError
from lenet.models.config import Fit, LeNetConfig
from lenet.models.filters import MIN_CONTRAST, gaussian_rows


def prepare_images(images: Tensor, config: LeNetConfig) -> Tensor:
    """Images as the first convolution sees them: fitted, with their contrast normalised, standardised.

    Takes and raises what `fit_pixels` does; returns floats (N, 1, input_size, input_size).
    """
    pixels = fit_within(images, config)
    if config.contrast_sigma:
        pixels = normalise_contrast(pixels, config.contrast_sigma)
    if (config.pixel_mean, config.pixel_std) != (0, 1):  # else two passes for nothing
        pixels = (pixels - config.pixel_mean) / config.pixel_std
    return pixels


def fit_within(images: Tensor, config: LeNetConfig) -> Tensor:
    """Pixels 0..1 (N, 1, input_size, input_size), blank in the margin. Raises what `fit_pixels` does."""
    pixels = fit_pixels(images, config.input_size - 2 * config.margin, config.fit)
    return functional.pad(pixels, (config.margin,) * 4) if config.margin else pixels


def fit_pixels(images: Tensor, side: int, fit: Fit) -> Tensor:
    """Pixels 0..1, padded or resized to a square.

    Args:
        images: (N, 1, H, W), bytes 0..255 or floats 0..1, light ink on black.
        side: of the square, in pixels.
        fit: whether smaller images are padded with 0 or resized; larger ones are resized.

    Returns:
        Floats (N, 1, side, side). Raises ModelError on other shapes and on whole numbers other than bytes,
        whose range nobody knows.
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ModelError(f"images have the shape {tuple(images.shape)}; (N, 1, H, W) is needed")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ModelError(f"images are {images.dtype}; bytes 0..255 or floats 0..1 are needed")
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images
    height, width = pixels.shape[2:]
    if (height, width) == (side, side):
        return pixels
    if fit == "pad" and height <= side and width <= side:
        top, left = (side - height) // 2, (side - width) // 2
        return functional.pad(pixels, (left, side - width - left, top, side - height - top))
    return functional.interpolate(pixels, (side, side), mode="bilinear", align_corners=False, antialias=True)


def normalise_contrast(pixels: Tensor, sigma: float) -> Tensor:
    """Local contrast normalisation: how far each pixel is from the mean around it, in standard deviations.

    After Jarrett, Kavukcuoglu, Ranzato and LeCun 2009, "What is the best multi-stage architecture for object
    recognition?", section 2: subtractive, then divisive, weighted by a Gaussian.

    Args:
        pixels: floats (N, 1, H, W), 0 to 1.
        sigma: standard deviation, in pixels, of the Gaussian that weighs the pixels around.

    Returns:
        Floats (N, 1, H, W); the same to rounding for pixels with anything added, and, where there is
        contrast enough, for pixels times anything.
    """
    down, across = (torch.from_numpy(gaussian_rows(side, sigma)).to(pixels) for side in pixels.shape[2:])
    difference = pixels - down @ pixels @ across.T
    deviation = (down @ difference.square() @ across.T).clamp(min=MIN_CONTRAST**2).sqrt()
    return difference / deviation
