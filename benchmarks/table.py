"""Write docs/results.md from the results that the other scripts here wrote: no figure is typed by hand.

python benchmarks/table.py
"""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "results.md"

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"

HEAD = """# Results

Every figure was measured by the command in its row; `benchmarks/results/` holds what it wrote: each seed,
the path epoch by epoch, the machine and the versions. Mean ± standard deviation over seeds. The test images
chose nothing: figures are those of the last epoch or, where a recipe holds images out of training, of the
best epoch by those.
"""


def main() -> None:
    results = [json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]
    accuracy = [result for result in results if result["what"] == "accuracy"]
    parts = [HEAD, "## Accuracy\n", show_accuracy(accuracy)]
    for result in results:
        if result["what"].startswith("examples/s"):
            parts += ["## Speed of the training loop\n", show_speed(result)]
    machine = accuracy[0]["machine"]
    parts.append(
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, torch {machine['torch']}.\n"
    )
    PAGE.write_text("\n".join(parts))
    before, mark, rest = README.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    README.write_text(f"{before}{mark}\n{show_short(accuracy)}{end}{after}")
    print(PAGE, README)


def show_accuracy(results: list[dict[str, Any]]) -> str:
    rows = ["| recipe | data | seeds | epochs | train loss | train | test | its author's figures | command |"]
    rows.append("|" + "---|" * 9)
    for result in results:
        recipe, summary = result["recipe"], result["summary"]
        loss = summary["train_loss"]
        cells = [
            recipe["name"],
            recipe["data"],
            str(len(result["seeds"])),
            str(recipe["epochs"]),
            f"{loss['mean']:.3f} ± {loss['standard_deviation']:.3f}",
            show_share(summary["train_accuracy"]),
            f"**{show_share(summary['test_accuracy'])}**",
            show_published(recipe["published"]),
            f"`{result['command']}`",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def show_short(results: list[dict[str, Any]]) -> str:
    """The table of the README."""
    rows = [
        "| `lenet train …` | data | test accuracy | seeds | its author's figure |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        recipe = result["recipe"]
        accuracy = show_share(result["summary"]["test_accuracy"])
        published = show_published(recipe["published"]).partition("; loss")[0]
        rows.append(
            f"| `{recipe['name']}` | {recipe['data']} | {accuracy} | {len(result['seeds'])} | {published} |"
        )
    return "\n".join(rows) + "\n"


def show_share(value: dict[str, float]) -> str:
    return f"{100 * value['mean']:.2f} ± {100 * value['standard_deviation']:.2f} %"


def show_published(published: dict[str, Any]) -> str:
    words = {"train_loss": "loss {:.4g}", "train_accuracy": "train {:.2%}", "test_accuracy": "test {:.2%}"}
    words |= {"validation_accuracy": "validation {:.2%}"}
    parts = [words[name].format(value) for name, value in published.items() if name in words]
    parts += [value for value in published.values() if isinstance(value, str)]
    return "; ".join(parts) or "–"


def show_speed(result: dict[str, Any]) -> str:
    return (
        f"`{result['command']}`: {result['images']:,} images of Fashion-MNIST, recipe `{result['recipe']}`, "
        f"{len(result['pairs'])} pairs of runs in turn in one process, "
        f"{result['machine']['threads']} threads: "
        f"**{result['ratio_median']:.2f} times** the tutorials' loop (median of the pairs' ratios; "
        f"{result['ratio_min']:.2f} to {result['ratio_max']:.2f}); medians {result['ours_median']:,.0f} and "
        f"{result['tutorials_median']:,.0f} examples/s.\n"
    )


if __name__ == "__main__":
    main()
