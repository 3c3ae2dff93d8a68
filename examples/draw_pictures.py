"""Draw the handwritten digits in `examples/pictures`: ten pens, papers and lights, the same bytes each time.

    python examples/draw_pictures.py [FOLDER]

The first character of a file's name is the digit written on it.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline

# Each digit is one or two strokes through points (x, y) in a box 1 high, y downwards, as a hand would go.
STROKES = {
    0: [[(0.36, 0.03), (0.12, 0.22), (0.05, 0.58), (0.22, 0.94), (0.50, 0.84), (0.62, 0.44), (0.52, 0.10),
         (0.34, 0.02)]],
    1: [[(0.06, 0.26), (0.20, 0.14), (0.30, 0.02)], [(0.30, 0.02), (0.27, 0.35), (0.24, 0.68), (0.20, 0.99)]],
    2: [[(0.08, 0.24), (0.20, 0.05), (0.44, 0.04), (0.56, 0.24), (0.44, 0.52), (0.20, 0.80), (0.03, 0.96)],
        [(0.03, 0.96), (0.24, 0.91), (0.44, 0.94), (0.66, 0.92)]],
    3: [[(0.10, 0.13), (0.32, 0.02), (0.52, 0.15), (0.46, 0.36), (0.26, 0.45)],
        [(0.26, 0.45), (0.52, 0.52), (0.58, 0.76), (0.36, 0.96), (0.06, 0.88)]],
    4: [[(0.30, 0.02), (0.20, 0.28), (0.04, 0.58)], [(0.04, 0.58), (0.32, 0.60), (0.66, 0.56)],
        [(0.50, 0.24), (0.47, 0.60), (0.42, 0.99)]],
    5: [[(0.16, 0.04), (0.14, 0.22), (0.11, 0.42)],
        [(0.11, 0.42), (0.34, 0.36), (0.55, 0.50), (0.54, 0.78), (0.32, 0.97), (0.05, 0.88)],
        [(0.16, 0.05), (0.36, 0.05), (0.58, 0.02)]],
    6: [[(0.48, 0.02), (0.24, 0.24), (0.08, 0.60), (0.18, 0.93), (0.42, 0.95), (0.54, 0.74), (0.40, 0.55),
         (0.20, 0.62), (0.10, 0.76)]],
    7: [[(0.04, 0.08), (0.28, 0.07), (0.60, 0.04)], [(0.60, 0.04), (0.44, 0.36), (0.31, 0.66), (0.24, 0.99)]],
    8: [[(0.52, 0.14), (0.34, 0.02), (0.14, 0.14), (0.20, 0.36), (0.44, 0.54), (0.54, 0.78), (0.34, 0.97),
         (0.10, 0.84), (0.18, 0.60), (0.42, 0.40), (0.54, 0.20), (0.50, 0.12)]],
    9: [[(0.54, 0.22), (0.36, 0.03), (0.12, 0.16), (0.12, 0.42), (0.32, 0.48), (0.52, 0.28), (0.55, 0.16)],
        [(0.55, 0.16), (0.53, 0.46), (0.46, 0.74), (0.38, 0.99)]],
}  # fmt: skip
FINER = 4  # strokes are drawn this much larger, then averaged down, which makes their edges smooth


def draw_ink(
    digit: int, size: tuple[int, int], *, height: int, pen: float, left: int, top: int
) -> np.ndarray:
    """How much ink lies on each pixel: (height, width) of the picture, 0..1."""
    page = Image.new("L", (size[0] * FINER, size[1] * FINER))
    brush = ImageDraw.Draw(page)
    for points in STROKES[digit]:
        path = np.array(points) * height + (left, top)
        along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        for step, (x, y) in enumerate(CubicSpline(along, path)(np.linspace(0, along[-1], 300))):
            # A hand presses a little harder in the middle of a stroke.
            radius = FINER * pen / 2 * (0.85 + 0.25 * np.sin(np.pi * step / 300))
            brush.circle((x * FINER, y * FINER), radius, fill=255)
    return np.asarray(page.resize(size, Image.Resampling.BOX), dtype=float) / 255


def paint(ink: np.ndarray, colour: tuple[int, ...], paper: tuple[int, ...] | np.ndarray) -> np.ndarray:
    """Lay ink of one colour on paper: (h, w, 3), 0..255."""
    cover = ink[:, :, None]
    return cover * np.array(colour) + (1 - cover) * np.broadcast_to(paper, (*ink.shape, 3))


def light(size: tuple[int, int], x: float, y: float, fall: float) -> np.ndarray:
    """A lamp over (x, y), in parts of the picture; `fall` of the light is lost at the far corner."""
    across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return (1 - fall * np.hypot(across - x, down - y) / np.sqrt(2))[:, :, None]


def grain(size: tuple[int, int], strength: float, seed: int) -> np.ndarray:
    """The paper's and the camera's grain."""
    return np.random.default_rng(seed).normal(0, strength, (size[1], size[0], 1))


def to_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def main(folder: Path) -> None:
    """Draw all ten pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    wide, tall, white = (320, 240), (240, 320), (255, 255, 255)

    ink = draw_ink(7, tall, height=190, pen=7, left=60, top=60)
    to_image(paint(ink, (30, 50, 170), white)).save(folder / "7-blue-ink.png", optimize=True)

    ink = draw_ink(3, tall, height=170, pen=8, left=70, top=70)
    pixels = paint(ink, (40, 60, 160), (245, 228, 140)) * light(tall, 0.1, 0.1, 0.6) + grain(tall, 2, seed=3)
    to_image(pixels).save(folder / "3-yellow-paper.jpg", quality=80)

    ink = draw_ink(5, wide, height=170, pen=12, left=110, top=35)
    chalk = ink * np.clip(0.85 + grain(wide, 0.25, seed=5)[:, :, 0], 0, 1)
    pixels = paint(chalk, (235, 235, 225), (40, 66, 54)) * light(wide, 0.9, 0.2, 0.35) + grain(
        wide, 3, seed=6
    )
    to_image(pixels).save(folder / "5-blackboard.jpg", quality=70)

    ink = draw_ink(2, (200, 200), height=150, pen=12, left=45, top=25)
    layers = np.dstack([np.zeros((200, 200, 3)), ink * 255])
    to_image(layers).save(folder / "2-transparent.png", optimize=True)

    ink = draw_ink(8, wide, height=60, pen=5, left=262, top=168)
    to_image(paint(ink, (20, 20, 20), white)).save(folder / "8-off-centre.png", optimize=True)

    ink = draw_ink(4, tall, height=180, pen=9, left=70, top=70)
    pixels = paint(ink, (25, 25, 30), (226, 222, 214)) * light(tall, 0.5, 0.0, 0.3) + grain(tall, 2, seed=4)
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: the camera was held upright, the sensor lay on its side
    turned = to_image(pixels).transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "4-sideways.jpg", quality=80, exif=exif)

    ink = draw_ink(9, tall, height=150, pen=6, left=80, top=80)
    pencil = ink * np.clip(0.45 + grain(tall, 0.12, seed=9)[:, :, 0], 0, 1)
    to_image(paint(pencil, (70, 70, 75), (244, 243, 240))).save(folder / "9-pencil.jpg", quality=80)

    ink = draw_ink(6, tall, height=190, pen=26, left=70, top=60)
    to_image(paint(ink, (205, 60, 60), (120, 150, 110))).save(folder / "6-red-on-green.png", optimize=True)

    ink = draw_ink(0, wide, height=120, pen=7, left=120, top=60)
    form = Image.new("RGB", wide, white)
    ImageDraw.Draw(form).rectangle((70, 30, 250, 210), outline=(60, 60, 60), width=4)
    to_image(paint(ink, (20, 30, 110), np.asarray(form))).save(folder / "0-in-a-box.png", optimize=True)

    ink = draw_ink(1, tall, height=170, pen=8, left=100, top=70)
    shadow = np.where(np.arange(tall[1]) > 150, 0.55, 1.0)
    shadow = np.convolve(np.pad(shadow, 6, mode="edge"), np.full(13, 1 / 13), mode="valid")[:, None, None]
    pixels = paint(ink, (35, 35, 40), (228, 220, 208)) * shadow + grain(tall, 2, seed=1)
    to_image(pixels).save(folder / "1-hard-shadow.jpg", quality=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
