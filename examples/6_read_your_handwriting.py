"""Read a picture of your own: python examples/6_read_your_handwriting.py photo.jpg …"""

import sys
from pathlib import Path

from lenet import Reader, draw_steps

pictures = [Path(name) for name in sys.argv[1:]]
if not pictures:
    pictures = sorted((Path(__file__).parent / "pictures").glob("[0-9]*"))

reader = Reader()  # the shipped networks: trained to read other people's pens and paper
for picture in pictures:
    reading = reader.read(picture)
    doubt = f", rejected: {reading.reason}" if reading.rejected else ""
    print(f"{picture.name}: {reading.text or 'nothing'} ({reading.confidence:.0%}{doubt})")
    for digit in reading.digits:
        second = sorted(digit.probabilities)[-2]
        print(f"    in the box {digit.box}; the second best answer gets {second:.1%}")

# How a photograph becomes strips of 32 rows and digits of 28×28 pixels, which the networks know.
draw_steps(reader.explain(pictures[0])[1], Path("steps.png"), pictures[0].name)
print("look at steps.png")
