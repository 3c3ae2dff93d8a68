"""Write the pages of results and the tables of the READMEs from the results of the other scripts here.

    python benchmarks/table.py

Every number comes from a file in benchmarks/results/; none is typed by hand.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from lenet.training.recipes import RECIPES

sys.path.append(str(Path(__file__).parents[1] / "docs"))
from catalogue import Say, translate

from results_classic import show_classic
from results_reading import (
    show_adapt,
    show_corruptions,
    show_pictures,
    show_promises,
    show_readers,
    show_rejection,
    show_strings,
)
from results_scale import show_cluster, show_serving
from results_speed import (
    show_bulk,
    show_exports,
    show_kernel,
    show_kills,
    show_page,
    show_peers,
    show_speed,
    show_sprint,
)
from results_text import (
    UNKNOWN,
    name_processor,
    say_paragraphs,
    show_machine,
    show_mean,
    show_share,
    write_head,
    write_row,
)

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "results.md"

README = Path(__file__).parents[1] / "README.md"
CHINESE_README = README.with_name("README.zh-CN.md")
BEGIN, END = "<!-- results -->", "<!-- /results -->"

HEAD = """# Results

The command of each section measured its values. `benchmarks/results/` holds the files that the commands
wrote: every seed, the values of every epoch, the machine and the versions. `python benchmarks/table.py`
generates this page from those files.

± is the standard deviation over the seeds. "Not recorded" means that the result file does not contain the
value.
"""

ACCURACY = """Test accuracy is the share of the data set's official 10,000 test images that the network
classifies correctly. The network is that of the last epoch. Where a recipe holds images out of training
(`lenet5-tanh`, `reader`), it is the network of the epoch with the best accuracy on those images. Test images
select no epoch.

The value of `reader` may be slightly too high. The accuracy of each candidate on the test images was known
when the shipped weights of `reader` were selected.
[The explanation](explanation.md#how-the-weights-of-reader-were-selected) gives the details.

The column "printed by the source" gives what the recipe's source printed. The sources of `d2l-relu` and
`classic-sigmoid` print no value. The `lab3` row compares two different measurements. The source continued
from earlier epochs and evaluated its checkpoint 5. Our run starts from initial weights, trains for the number
of epochs in the table, and evaluates the last epoch. The source of `lenet5-tanh` validated on the test set.
Our run holds 5,000 training images out for validation and evaluates the test images once.
"""


def main() -> None:
    PAGE.write_text(write_page(), "utf-8")
    PAGE.with_suffix(".zh.md").write_text(translate("docs/results.md", write_page), "utf-8")
    replace_table(README, show_short(str))
    replace_table(CHINESE_README, translate("README.md", show_short))
    print(PAGE, README)


def write_page(say: Say = str) -> str:
    """The whole page as Markdown."""
    results = {file.stem: json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))}
    parts = [say_paragraphs(HEAD, say), f"## {say('Accuracy')}\n", say_paragraphs(ACCURACY, say)]
    parts += [show_accuracy(read_accuracy(), say), show_machines(read_accuracy(), say)]
    for name, (title, show) in SECTIONS.items():
        if name in results:
            # A result of parts that were measured at different times has a machine for each.
            result = results[name]
            machine = result.get("machine") or result["pictures"]["machine"]
            machine |= name_commits(result, say)
            parts += [f"## {say(title)}\n", show(result, say), show_machine(machine, say)]
    return "\n".join(parts)


def name_commits(result: dict[str, Any], say: Say) -> dict[str, str]:
    """What stands for the commit of a file whose trainings have commits of their own; else nothing."""
    entries = result.get("entries", [])
    commits = {entry["commit"] for entry in (entries.values() if isinstance(entries, dict) else entries)}
    named = say("{count} different ones, each beside its training in the result file")
    if len(commits) > 1:
        return {"commit": named.format(count=len(commits))}
    return {"commit": commits.pop()} if commits else {}


def read_accuracy() -> list[dict[str, Any]]:
    """The measured accuracies, in the order of the recipes."""
    results = (json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json")))
    accuracy = [result for result in results if result.get("what") == "accuracy"]
    return sorted(accuracy, key=lambda result: list(RECIPES).index(result["recipe"]["name"]))


def replace_table(readme: Path, table: str) -> None:
    """Put the table between the marks of a README."""
    before, mark, rest = readme.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    readme.write_text(f"{before}{mark}\n{table}{end}{after}", "utf-8")


def show_machines(results: list[dict[str, Any]], say: Say) -> str:
    """The machines of several results, each with its recipes."""
    recipes: dict[str, list[str]] = {}
    for result in results:
        recipes.setdefault(show_machine(result["machine"], say), []).append(f"`{result['recipe']['name']}`")
    line = say("{recipes}. {machine}")
    return "".join(
        "- " + line.format(recipes=say(", ").join(names), machine=machine)
        for machine, names in recipes.items()
    )


def show_accuracy(results: list[dict[str, Any]], say: Say) -> str:
    columns = ("recipe", "data", "seeds", "epochs", "test accuracy", "printed by the source")
    rows, notes = write_head(map(say, (*columns, "training loss", "training accuracy"))), []
    for result in results:
        recipe, summary = result["recipe"], result["summary"]
        seeds, loss = len(result["seeds"]), summary["train_loss"]
        cells = [
            recipe["name"],
            recipe["data"],
            str(seeds),
            str(recipe["epochs"]),
            f"**{show_share(summary['test_accuracy'], seeds)}**",
            show_published(recipe["published"], say),
            show_mean(loss["mean"], loss["standard_deviation"], 3, seeds),
            show_share(summary["train_accuracy"], seeds),
        ]
        rows.append(write_row(cells))
        also = [
            say("Also printed ({name}): {value}.").format(name=say(name.replace("_", " ")), value=say(value))
            for name, value in recipe["published"].items()
            if isinstance(value, str)
        ]
        command = say("`{recipe}`: `{command}`.").format(recipe=recipe["name"], command=result["command"])
        notes.append(" ".join(["- " + command, *also]))
    return "\n".join([*rows, "", say("The commands:"), "", *notes, "", say("The machines:")]) + "\n"


def show_short(say: Say) -> str:
    """The table of the README, and the machines behind it."""
    columns = ("`lenet train …`", "data", "test accuracy", "seeds", "printed by the source")
    rows = write_head(map(say, columns))
    machines: dict[str, list[str]] = {}
    for result in read_accuracy():
        recipe, seeds = result["recipe"], len(result["seeds"])
        accuracy = show_share(result["summary"]["test_accuracy"], seeds)
        published = show_published(recipe["published"], say)
        name = recipe["name"] + f" --epochs {recipe['epochs']}" * ("--epochs" in result["command"])
        rows.append(write_row((f"`{name}`", recipe["data"], accuracy, str(seeds), published)))
        processor = name_processor(result["machine"], say)
        commit = result["machine"].get("commit") or say(UNKNOWN)
        described = say("{processor}; commit: {commit}.").format(processor=processor, commit=commit)
        machines.setdefault(described, []).append(f"`{recipe['name']}`")
    line = say("Processor of {recipes}: {machine}" if len(machines) > 1 else "Processor: {machine}")
    lines = [
        line.format(recipes=say(", ").join(names), machine=machine) for machine, names in machines.items()
    ]
    return "\n".join([*rows, "", "<br>\n".join(lines)]) + "\n"


def show_published(published: dict[str, Any], say: Say) -> str:
    words = {"train_loss": "loss {:.4g}", "train_accuracy": "train {:.2%}", "test_accuracy": "test {:.2%}"}
    words |= {"validation_accuracy": "validation {:.2%}"}
    parts = [say(words[name]).format(value) for name, value in published.items() if name in words]
    return say("; ").join(parts) or "–"


def show_sizes(result: dict[str, Any], say: Say) -> str:
    groups: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for entry in result["entries"]:
        groups[entry["family"], entry["parameters"]].append(entry["accuracy"])
    head = say(
        "`{command}`: accuracy on MNIST's test images after {epochs} epochs, which is fewer than `tiny` and "
        "`best` train. Three 3×3 convolutions as in `tiny`, with its recipe; LeNet-5 with other numbers of "
        "channels and units, with the recipe `best`."
    ).format(**result)
    rows = write_head(map(say, ("network", "parameters", "seeds", "test accuracy, %")))
    for (family, parameters), values in sorted(groups.items(), key=lambda group: group[0][1]):
        rows.append(
            write_row(
                [
                    say(family),
                    f"{parameters:,}",
                    str(len(values)),
                    show_mean(mean(values), stdev(values) if len(values) > 1 else 0.0, 2, len(values)),
                ]
            )
        )
    figure = say("Accuracy on MNIST by the number of parameters, for two families of networks")
    return "\n".join([head, "", *rows, "", f"![{figure}](sizes.png)\n"])


SECTIONS = {
    "tutorial-loop": ("Speed of the training loop", show_speed),
    "kernel": ("The fused kernel and PyTorch's own operators", show_kernel),
    "kernel-spinning": ("The same with PyTorch's own thread settings", show_kernel),
    "peers": ("Comparison with other libraries", show_peers),
    "classic": ("The networks of 1998", show_classic),
    "sizes": ("Accuracy and the number of parameters", show_sizes),
    "sprint": ("Time to 99 % on MNIST", show_sprint),
    "pictures-line": ("Pictures of single digits", show_pictures),
    "readers": ("Beside OCR systems", show_readers),
    "strings-line": ("Strings of digits", show_strings),
    "rejection": ("Rejection and calibration", show_rejection),
    "promises": ("Promised error rates", show_promises),
    "corruptions": ("Corruptions", show_corruptions),
    "exports": ("Exported networks", show_exports),
    "adapt": ("Adapting to a writer", show_adapt),
    "bulk": ("Pictures in bulk", show_bulk),
    "cluster": ("Pictures on a cluster", show_cluster),
    "serving": ("The server", show_serving),
    "page": ("The page", show_page),
    "kill-and-resume": ("Killed and resumed", show_kills),
}


if __name__ == "__main__":
    main()
