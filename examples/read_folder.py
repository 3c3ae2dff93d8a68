"""Read a folder of pictures, and look at what the reader is least sure of.

    python examples/read_folder.py [FOLDER]

`lenet predict FOLDER --out results.csv` does the first half, and can be interrupted. Here the rows are used
as they come, one at a time, however many pictures there are.
"""

import heapq
import sys

from lenet.batch.folders import find_pictures
from lenet.batch.pool import read_in_bulk

SHOWN = 3


def main(folder: str) -> None:
    count = rejected = failed = 0
    doubtful: list[tuple[float, str, str]] = []  # a heap of the least sure so far
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


if __name__ == "__main__":  # the readers are processes of their own, and begin by importing this file
    main(sys.argv[1] if len(sys.argv) > 1 else "examples/pictures")
