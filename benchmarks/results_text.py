"""Parts of the page of results that all its sections have: rows of tables, means, the machine."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "docs"))
from catalogue import Say

SPACE = "\N{NO-BREAK SPACE}"  # in a narrow column, mean and deviation stay on one line
UNKNOWN = "not recorded"


def say_paragraphs(text: str, say: Say) -> str:
    """A text whose paragraphs, or lines that begin with a mark, are messages."""
    return "\n\n".join(map(say, text.strip().split("\n\n"))) + "\n"


def write_row(cells: Iterable[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def write_head(cells: Iterable[str]) -> list[str]:
    """The first two rows of a table."""
    cells = list(cells)
    return [write_row(cells), "|" + "---|" * len(cells)]


def name_processor(machine: dict[str, Any], say: Say) -> str:
    """The processor's name, family and model; older files have the name alone."""
    processor = str(machine["processor"])
    if ", family " in processor:
        return processor
    return say("{processor}, family and model not recorded").format(processor=processor)


def show_machine(machine: dict[str, Any], say: Say) -> str:
    """What a section was measured on, in one line."""
    blocks, commit = machine.get("blocks"), machine.get("commit") or say(UNKNOWN)
    values = {**machine, "processor": name_processor(machine, say), "commit": commit}
    message = (
        "Machine: {processor}; cores: {cores}; threads: {threads}; kernel: {blocks}; {system}, "
        "Python {python}, torch {torch}; commit: {commit}."
    )
    return say(message).format(**values | {"blocks": say(blocks or UNKNOWN)}) + "\n"


def show_mean(mean: float, deviation: float, digits: int, seeds: int) -> str:
    """Mean and standard deviation; a single run has none."""
    return f"{mean:.{digits}f}" + f"{SPACE}±{SPACE}{deviation:.{digits}f}" * (seeds > 1)


def show_share(value: dict[str, float], seeds: int) -> str:
    return show_mean(100 * value["mean"], 100 * value["standard_deviation"], 2, seeds) + f"{SPACE}%"
