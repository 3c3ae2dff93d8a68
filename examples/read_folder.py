"""Read a folder of pictures, and show those with the lowest confidence.

    python examples/read_folder.py [FOLDER]

`lenet predict FOLDER --out results.csv` writes the same rows to a file, and can be interrupted and resumed.
Here each row is used as it arrives; memory does not grow with the number of pictures.
"""

import heapq
import sys

from lenet import find_pictures, read_in_bulk

SHOWN = 3


def main(folder: str) -> None:
    count = rejected = failed = 0
    doubtful: list[tuple[float, str, str]] = []  # a heap of the lowest confidences so far
    for row in read_in_bulk(find_pictures([folder]), "reader"):
        count += 1
        if "error" in row:
            failed += 1
            print(f"not read: {row['error']}")
            continue
        rejected += row["rejected"]
        heapq.heappush(doubtful, (-row["confidence"], row["picture"], row["text"]))
        if len(doubtful) > SHOWN:
            heapq.heappop(doubtful)
    print(f"{count} pictures, {rejected} rejected, {failed} not read")
    for confidence, picture, text in sorted(doubtful, reverse=True):
        print(f"{-confidence:6.1%}  {text or '-'}  {picture}")


if __name__ == "__main__":  # the worker processes import this file
    main(sys.argv[1] if len(sys.argv) > 1 else "examples/pictures")
